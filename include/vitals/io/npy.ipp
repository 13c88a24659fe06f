// Implementation of npy.hpp.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

#include <vitals/core/tensor.hpp>
#include <vitals/io/atomic_file.hpp>
#include <vitals/io/bytes.hpp>
#include <vitals/io/mapped_file.hpp>
#include <vitals/io/npy.hpp>

namespace vitals::inline v0::io {

namespace detail {

struct NpyType {
  std::string_view code;
  DType dtype;
};
inline constexpr NpyType npy_types[] = {{"f8", DType::f64}, {"f4", DType::f32}, {"f2", DType::f16},
                                        {"i8", DType::i64}, {"i4", DType::i32}, {"i2", DType::i16},
                                        {"i1", DType::i8},  {"u8", DType::u64}, {"u4", DType::u32},
                                        {"u2", DType::u16}, {"u1", DType::u8},  {"b1", DType::boolean}};

// The header is a Python dictionary: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
class NpyHeader {
 public:
  std::optional<DType> dtype;
  std::optional<bool> fortran;
  std::optional<std::vector<std::size_t>> shape;
  bool swapped = false;

  NpyHeader(std::string_view text, const std::string& where) : rest_(text), where_(where) {
    expect('{');
    while (!take('}')) {
      const auto key = quoted();
      expect(':');
      if (key == "descr" && !dtype)
        read_type();
      else if (key == "fortran_order" && !fortran)
        fortran = read_bool();
      else if (key == "shape" && !shape)
        read_shape();
      else
        throw error("an unexpected or repeated key " + printable(key));
      if (!take(',')) {
        expect('}');
        break;
      }
    }
    skip_space();
    if (!rest_.empty()) throw error("bytes after its end");
    if (!dtype || !fortran || !shape) throw error("'descr', 'fortran_order' or 'shape' is missing");
  }

 private:
  FormatError error(const std::string& what) const { return FormatError("npy header: " + what, where_); }
  void skip_space() {
    while (!rest_.empty() && (rest_[0] == ' ' || rest_[0] == '\n')) rest_.remove_prefix(1);
  }
  bool take(char c) {
    skip_space();
    if (rest_.empty() || rest_[0] != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void expect(char c) {
    if (!take(c)) throw error(std::string("expected '") + c + "' at " + printable(rest_.substr(0, 20)));
  }
  std::string_view quoted() {
    skip_space();
    const char quote = rest_.empty() ? ' ' : rest_[0];
    const auto end = rest_.find(quote, 1);
    if ((quote != '\'' && quote != '"') || end == std::string_view::npos)
      throw error("expected a quoted text at " + printable(rest_.substr(0, 20)));
    const auto text = rest_.substr(1, end - 1);
    rest_.remove_prefix(end + 1);
    return text;
  }
  void read_type() {
    skip_space();
    if (!rest_.empty() && rest_[0] == '[')
      throw FormatError("npy: a structured array, where plain numbers are expected", where_);
    const auto text = quoted();
    for (const auto& known : npy_types)
      if (text.size() == 3 && text.substr(1) == known.code) dtype = known.dtype;
    if (!dtype || std::string_view("<>|=").find(text[0]) == std::string_view::npos)
      throw FormatError("npy: numbers of type " + printable(text), where_,
                        "only float, integer and bool arrays are read; Python objects never");
    swapped = text[0] == '>';
  }
  bool read_bool() {
    skip_space();
    for (const bool value : {true, false}) {
      const std::string_view word = value ? "True" : "False";
      if (!rest_.starts_with(word)) continue;
      rest_.remove_prefix(word.size());
      return value;
    }
    throw error("expected True or False");
  }
  void read_shape() {
    expect('(');
    shape.emplace();
    while (!take(')')) {
      skip_space();
      std::size_t extent = 0;
      const auto [end, problem] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), extent);
      if (problem != std::errc{}) throw error("a shape that is not one");
      rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
      shape->push_back(extent);
      if (shape->size() > 32) throw error("a shape of more than 32 axes");
      if (!take(',')) {
        expect(')');
        break;
      }
    }
  }

  std::string_view rest_;
  const std::string& where_;
};

// Copies column-major numbers of `width` bytes to row-major order.
inline void npy_from_fortran(const std::byte* from, std::byte* to, const std::vector<std::size_t>& shape,
                             std::size_t width, std::size_t count) {
  std::vector<std::size_t> strides(shape.size(), width), at(shape.size(), 0);
  for (std::size_t i = 1; i < shape.size(); ++i) strides[i] = strides[i - 1] * shape[i - 1];
  std::size_t offset = 0;
  for (std::size_t n = 0; n < count; ++n) {
    std::memcpy(to + n * width, from + offset, width);
    for (std::size_t axis = shape.size(); axis-- > 0;) {
      offset += strides[axis];
      if (++at[axis] < shape[axis]) break;
      offset -= strides[axis] * shape[axis];
      at[axis] = 0;
    }
  }
}

VITALS_INLINE NpyArray parse_npy(std::span<const std::byte> file, const std::string& where) {
  const std::string advice = "the file is damaged or was not written to its end";
  if (file.size() < 10 || as_text(file.first(6)) != "\x93NUMPY") throw FormatError("not a .npy file", where);
  const auto version = std::to_integer<unsigned>(file[6]);
  if (version < 1 || version > 3) throw FormatError("npy version " + std::to_string(version), where, "1 to 3 are read");
  const std::size_t start = version == 1 ? 10 : 12;
  if (file.size() < start) throw FormatError("npy: too short", where, advice);
  const std::size_t length = version == 1 ? load<std::uint16_t>(file.data() + 8) : load<std::uint32_t>(file.data() + 8);
  if (length > file.size() - start) throw FormatError("npy: the header is cut off", where, advice);
  const NpyHeader header(as_text(file.subspan(start, length)), where);
  const auto data = file.subspan(start + length);

  NpyArray array;
  array.dtype = *header.dtype;
  array.shape = *header.shape;
  const std::size_t width = size_of(array.dtype);
  std::size_t bytes = width;
  for (const auto extent : array.shape)
    if (!multiply_fits(bytes, extent)) throw FormatError("npy: shape " + to_string(array.shape) + " is absurd", where);
  if (bytes != data.size())
    throw FormatError("npy: shape " + to_string(array.shape) + " of " + name(array.dtype) + " needs " +
                          std::to_string(bytes) + " bytes, the file has " + std::to_string(data.size()),
                      where, advice);
  array.bytes.assign(data.begin(), data.end());
  if (*header.fortran && array.shape.size() > 1)
    npy_from_fortran(data.data(), array.bytes.data(), array.shape, width, bytes / width);
  if (header.swapped)
    for (auto p = array.bytes.begin(); p != array.bytes.end(); p += static_cast<std::ptrdiff_t>(width))
      std::reverse(p, p + static_cast<std::ptrdiff_t>(width));
  if (array.dtype == DType::boolean)  // a bool must not be anything but 0 or 1
    for (auto& b : array.bytes) b = b == std::byte{0} ? b : std::byte{1};
  return array;
}

template <class T>
std::vector<T> npy_converted(const NpyArray& array) {
  std::vector<T> out(array.size());
  const auto fill = [&]<class Stored>(Stored) {
    for (std::size_t i = 0; i < out.size(); ++i)
      out[i] = static_cast<T>(load<Stored>(array.bytes.data() + i * sizeof(Stored)));
  };
  // clang-format off
  switch (array.dtype) {
    case DType::f64: fill(double{}); break;
    case DType::f32: fill(float{}); break;
    case DType::i64: fill(std::int64_t{}); break;
    case DType::i32: fill(std::int32_t{}); break;
    case DType::i16: fill(std::int16_t{}); break;
    case DType::i8: fill(std::int8_t{}); break;
    case DType::u64: fill(std::uint64_t{}); break;
    case DType::u32: fill(std::uint32_t{}); break;
    case DType::u16: fill(std::uint16_t{}); break;
    case DType::u8: fill(std::uint8_t{}); break;
    case DType::boolean:
      for (std::size_t i = 0; i < out.size(); ++i) out[i] = array.bytes[i] == std::byte{0} ? T(0) : T(1);
      break;
    case DType::f16:
      for (std::size_t i = 0; i < out.size(); ++i)
        out[i] = static_cast<T>(static_cast<float>(load<float16>(array.bytes.data() + 2 * i)));
      break;
    default: throw FormatError(std::string("[NpyArray] numpy has no ") + name(array.dtype));
  }
  // clang-format on
  return out;
}

}  // namespace detail

VITALS_INLINE std::vector<double> NpyArray::to_double() const { return detail::npy_converted<double>(*this); }
VITALS_INLINE std::vector<float> NpyArray::to_float() const { return detail::npy_converted<float>(*this); }

VITALS_INLINE NpyArray read_npy(const std::filesystem::path& file) {
  const MappedFile mapping(file);
  return detail::parse_npy(mapping.bytes(), file.string());
}

VITALS_INLINE void write_npy(const std::filesystem::path& file, const std::vector<std::size_t>& shape, DType dtype,
                             std::span<const std::byte> bytes) {
  std::string_view code;
  for (const auto& known : detail::npy_types)
    if (known.dtype == dtype) code = known.code;
  if (code.empty()) throw ArgumentError(std::string("[write_npy] numpy has no ") + name(dtype), file.string());
  std::size_t expected = size_of(dtype);
  bool fits = true;
  for (const auto extent : shape) fits = fits && detail::multiply_fits(expected, extent);
  if (!fits || expected != bytes.size())
    throw ShapeError(
        "[write_npy] " + std::to_string(bytes.size()) + " bytes for shape " + to_string(shape) + " of " + name(dtype),
        file.string());
  std::string text = std::string("{'descr': '") + (size_of(dtype) == 1 ? '|' : '<') + std::string(code) +
                     "', 'fortran_order': False, 'shape': (";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  text += shape.size() == 1 ? ",), }" : "), }";
  text.append(63 - (10 + text.size()) % 64, ' ');  // the numbers begin at a multiple of 64
  text += '\n';
  if (text.size() > 0xffff) throw ArgumentError("[write_npy] " + std::to_string(shape.size()) + " axes", file.string());
  const auto length = static_cast<std::uint16_t>(text.size());
  AtomicFile out(file);
  out.write(std::string_view("\x93NUMPY\x01\0", 8));
  out.write(std::as_bytes(std::span(&length, 1)));
  out.write(text);
  out.write(bytes);
  out.commit();
}

}  // namespace vitals::inline v0::io
