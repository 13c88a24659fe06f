// A reader of Python pickles that executes nothing. It knows the opcodes as moves of a stack machine and a short list
// of names (PyTorch's storages and rebuild functions, OrderedDict, torch.Size, a few harmless classes whose content is
// dropped); any other name that a pickle asks for is an error that says which. What comes out are values in an arena,
// referred to by number, so that self-containing or deeply nested data need no recursion.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <vitals/core/config.hpp>
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
  unbuilt,
  mark
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

/// The values of one pickle.
class Pickle {
 public:
  /// Reads one pickle from the head of `bytes` (which must outlive this). `where` names the file in errors.
  /// Throws FormatError: a global that is not on the list, truncated, damaged, or larger than any checkpoint.
  Pickle(std::span<const std::byte> bytes, const std::string& where);

  std::uint32_t root() const { return root_; }
  /// Bytes up to and with its STOP.
  std::size_t consumed() const { return at_; }
  const PickleValue& operator[](std::uint32_t value) const { return values_[value]; }
  /// Items of a tuple or list; of a dict: key, value, key, value ...
  std::span<const std::uint32_t> items(const PickleValue& container) const { return containers_[container.index]; }
  std::string_view text(const PickleValue& value) const { return {value.text, value.index}; }
  const std::vector<PickleStorage>& storages() const { return storages_; }
  const PickleTensor& tensor(const PickleValue& value) const { return tensors_[value.index]; }

 private:
  struct Machine;
  std::vector<PickleValue> values_;
  std::vector<std::vector<std::uint32_t>> containers_;
  std::vector<PickleStorage> storages_;
  std::vector<PickleTensor> tensors_;
  std::uint32_t root_ = 0;
  std::size_t at_ = 0;
};

}  // namespace vitals::inline v0::io::detail

#if VITALS_HEADER_ONLY
#include <vitals/io/pickle.ipp>
#endif
