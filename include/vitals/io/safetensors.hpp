// .safetensors: eight bytes of length, a JSON header, then the numbers of every tensor without gaps.
// The format is Hugging Face's (https://github.com/huggingface/safetensors). TensorFile reads it; this header writes it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <vitals/core/config.hpp>
#include <vitals/core/half.hpp>
#include <vitals/io/tensor_entry.hpp>

namespace vitals::inline v0::io {

/// The DType that holds a C++ number type.
template <class T>
constexpr DType dtype_of() {
  if constexpr (std::is_same_v<T, double>)
    return DType::f64;
  else if constexpr (std::is_same_v<T, float>)
    return DType::f32;
  else if constexpr (std::is_same_v<T, float16>)
    return DType::f16;
  else if constexpr (std::is_same_v<T, bfloat16>)
    return DType::bf16;
  else if constexpr (std::is_same_v<T, bool>)
    return DType::boolean;
  else {
    static_assert(std::is_integral_v<T> && sizeof(T) <= 8, "dtype_of: a float, half or integer type");
    constexpr bool is_signed = std::is_signed_v<T>;
    if constexpr (sizeof(T) == 8)
      return is_signed ? DType::i64 : DType::u64;
    else if constexpr (sizeof(T) == 4)
      return is_signed ? DType::i32 : DType::u32;
    else if constexpr (sizeof(T) == 2)
      return is_signed ? DType::i16 : DType::u16;
    else
      return is_signed ? DType::i8 : DType::u8;
  }
}

/// One tensor to be written: row-major numbers that someone else keeps alive.
struct NamedTensor {
  std::string name;
  std::vector<std::size_t> shape;
  DType dtype = DType::f32;
  std::span<const std::byte> bytes;

  NamedTensor(std::string tensor_name, std::vector<std::size_t> tensor_shape, DType type,
              std::span<const std::byte> numbers)
      : name(std::move(tensor_name)), shape(std::move(tensor_shape)), dtype(type), bytes(numbers) {}
  template <class T, std::size_t N>
  NamedTensor(std::string tensor_name, std::vector<std::size_t> tensor_shape, std::span<T, N> numbers)
      : NamedTensor(std::move(tensor_name), std::move(tensor_shape), dtype_of<std::remove_const_t<T>>(),
                    std::as_bytes(numbers)) {}
};

/// Writes a .safetensors file atomically. The same input gives the same bytes. Tensors are laid out by the size of
/// their numbers, larger first, and within one size in the given order, so that every tensor is aligned.
/// `metadata` becomes the header's "__metadata__". Throws ShapeError where a shape and its bytes differ,
/// ArgumentError for a name given twice, "__metadata__" as a name, or text that is not UTF-8, IoError.
void write_safetensors(const std::filesystem::path& file, std::span<const NamedTensor> tensors,
                       const std::map<std::string, std::string>& metadata = {});

namespace detail {

/// What a container's parser found. `format` as TensorFile::format().
struct ParsedTensors {
  std::string format;
  std::vector<TensorEntry> entries;
  std::map<std::string, std::string> metadata;
};

/// Whether the bytes look like a .safetensors file: a plausible header length, then '{'.
bool looks_like_safetensors(std::span<const std::byte> file);
/// Checks the whole structure. `where` names the file in errors. Throws FormatError.
ParsedTensors parse_safetensors(std::span<const std::byte> file, const std::string& where);

}  // namespace detail

}  // namespace vitals::inline v0::io

#if VITALS_HEADER_ONLY
#include <vitals/io/safetensors.ipp>
#endif
