// .npy: one array as numpy.save writes it (NEP 1, versions 1 to 3). Numbers only: arrays of Python objects, which are
// pickles, and structured types are refused. npz.hpp reads several arrays in one archive.
#pragma once

#include <cstddef>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include <vitals/core/config.hpp>
#include <vitals/core/error.hpp>
#include <vitals/core/half.hpp>
#include <vitals/io/safetensors.hpp>
#include <vitals/io/tensor_entry.hpp>

namespace vitals::inline v0::io {

/// An array in row-major order and in the byte order of this machine, whatever the file had.
struct NpyArray {
  DType dtype = DType::f32;
  std::vector<std::size_t> shape;
  std::vector<std::byte> bytes;

  std::size_t size() const { return bytes.size() / size_of(dtype); }
  /// The numbers as they are stored. Throws FormatError where T is not the stored type.
  template <class T>
  std::span<const T> values() const {
    if (dtype_of<T>() != dtype)
      throw FormatError(std::string("[NpyArray::values] an array of ") + name(dtype) + " read as " +
                        name(dtype_of<T>()));
    return {reinterpret_cast<const T*>(bytes.data()), size()};
  }
  /// The numbers converted to double (exact up to 2^53), and to float (rounded).
  std::vector<double> to_double() const;
  std::vector<float> to_float() const;
};

/// Fortran order and big-endian numbers are turned. Types: f2 f4 f8, i1 to i8, u1 to u8, bool.
/// Throws IoError, FormatError (not such a file, truncated, bytes left over, another type).
NpyArray read_npy(const std::filesystem::path& file);

/// Writes row-major numbers atomically (version 1, little-endian). Throws ShapeError where shape and bytes differ,
/// ArgumentError for a type that numpy does not have (bfloat16, float8), IoError.
void write_npy(const std::filesystem::path& file, const std::vector<std::size_t>& shape, DType dtype,
               std::span<const std::byte> bytes);
template <class T, std::size_t N>
void write_npy(const std::filesystem::path& file, const std::vector<std::size_t>& shape, std::span<T, N> numbers) {
  write_npy(file, shape, dtype_of<std::remove_const_t<T>>(), std::as_bytes(numbers));
}

namespace detail {

/// The array in the bytes of a .npy file. `where` names it in errors. Throws FormatError.
NpyArray parse_npy(std::span<const std::byte> file, const std::string& where);

}  // namespace detail

}  // namespace vitals::inline v0::io

#if VITALS_HEADER_ONLY
#include <vitals/io/npy.ipp>
#endif
