// DType and TensorEntry: one tensor of a file, as every container (safetensors, PyTorch) describes it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace vitals::inline v0::io {

/// The number types that model files use.
enum class DType : std::uint8_t {
  f64,
  f32,
  f16,
  bf16,
  f8_e4m3,
  f8_e5m2,
  i64,
  i32,
  i16,
  i8,
  u64,
  u32,
  u16,
  u8,
  boolean
};

/// "float32", "bfloat16", "int64" ...
inline const char* name(DType type) {
  constexpr const char* names[] = {"float64",     "float32", "float16", "bfloat16", "float8_e4m3",
                                   "float8_e5m2", "int64",   "int32",   "int16",    "int8",
                                   "uint64",      "uint32",  "uint16",  "uint8",    "bool"};
  return names[static_cast<std::size_t>(type)];
}
/// Bytes of one number.
inline std::size_t size_of(DType type) {
  constexpr std::size_t sizes[] = {8, 4, 2, 2, 1, 1, 8, 4, 2, 1, 8, 4, 2, 1, 1};
  return sizes[static_cast<std::size_t>(type)];
}

/// One tensor of a file. Its numbers are element (i, j, ...) at data + sum(i * stride) * size_of(dtype).
struct TensorEntry {
  std::string name;
  DType dtype = DType::f32;
  std::vector<std::size_t> shape;
  std::vector<std::size_t> strides;  ///< in elements; may be any order (a transposed view of a shared storage)
  const std::byte* data = nullptr;   ///< into the mapping; every element lies inside the file (checked at open).
                                     ///< Not aligned in every file: copy numbers out (memcpy, TensorFile::read).

  std::size_t size() const {
    std::size_t n = 1;
    for (auto s : shape) n *= s;
    return n;
  }
  /// Elements follow each other in row-major order.
  bool contiguous() const {
    std::size_t expected = 1;
    for (std::size_t i = shape.size(); i-- > 0;) {
      if (shape[i] == 0) return true;
      if (shape[i] != 1 && strides[i] != expected) return false;
      expected *= shape[i];
    }
    return true;
  }
};

namespace detail {

/// The strides of a row-major tensor.
inline std::vector<std::size_t> row_major_strides(const std::vector<std::size_t>& shape) {
  std::vector<std::size_t> strides(shape.size(), 1);
  for (std::size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  return strides;
}

}  // namespace detail

}  // namespace vitals::inline v0::io
