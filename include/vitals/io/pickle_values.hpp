// What the pickle reader makes of a pickle: values in an arena, referred to by number.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include <vitals/io/pickle_names.hpp>
#include <vitals/io/tensor_entry.hpp>

namespace vitals::inline v0::io::detail {

enum class PickleKind : std::uint8_t {
  none,
  boolean,
  integer,
  big_integer,
  real,
  text,
  bytes,
  tuple,
  list,
  dict,
  global,
  storage,
  tensor,
  opaque,
  unbuilt  ///< a tensor of PyTorch before 0.4 whose numbers have not come yet
};

/// A storage that the pickle refers to: `key` names the record that holds its numbers.
struct PickleStorage {
  std::string_view key;
  DType dtype = DType::f32;
  std::uint64_t numel = 0;
};

/// A tensor: a view of a storage. Shape and strides are the numbers of tuples in the arena.
struct PickleTensor {
  std::uint32_t storage = 0, shape = 0, strides = 0;
  DType dtype = DType::f32;
  std::uint64_t offset = 0;  ///< in elements of the storage's type
};

struct PickleValue {
  PickleKind kind = PickleKind::none;
  DType dtype = DType::f32;                    ///< of a storage_type or dtype
  PickleGlobal global = PickleGlobal::opaque;  ///< of a global
  std::uint32_t index = 0;                     ///< of a container, storage or tensor; bytes of a text
  union {
    std::int64_t integer = 0;
    double real;
    const char* text;
  };
};

/// Where the values of a pickle live, referred to by number.
struct PickleArena {
  std::vector<PickleValue> values;
  std::vector<std::vector<std::uint32_t>> containers;
  std::vector<PickleStorage> storages;
  std::vector<PickleTensor> tensors;
};

}  // namespace vitals::inline v0::io::detail
