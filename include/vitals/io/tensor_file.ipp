// Implementation of tensor_file.hpp.
#pragma once

#include <bit>
#include <cstring>
#include <optional>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include <vitals/core/error.hpp>
#include <vitals/core/half.hpp>
#include <vitals/io/bytes.hpp>
#include <vitals/io/mapped_file.hpp>
#include <vitals/io/safetensors.hpp>
#include <vitals/io/tensor_file.hpp>
#include <vitals/io/torch_archive.hpp>

namespace vitals::inline v0::io {

struct TensorFile::State {
  std::filesystem::path path;
  std::optional<MappedFile> mapping;  // nothing: bytes that someone else keeps
  detail::ParsedTensors tensors;
  std::unordered_map<std::string_view, const TensorEntry*> index;  // keys are views of the entries' names

  explicit State(const std::filesystem::path& file) : path(file), mapping(file) {
    mapping->expect_scattered(true);
    parse(mapping->bytes());
    mapping->expect_scattered(false);
  }
  State(std::span<const std::byte> bytes, const std::filesystem::path& name) : path(name) { parse(bytes); }

 private:
  void parse(std::span<const std::byte> bytes) {
    const std::string where = path.string();
    if (bytes.empty()) throw FormatError("an empty file", where, "give a .safetensors or PyTorch file");
    if (detail::looks_like_safetensors(bytes) ||
        (path.extension() == ".safetensors" && !detail::looks_like_torch(bytes)))
      tensors = detail::parse_safetensors(bytes, where);
    else if (detail::looks_like_torch(bytes))
      tensors = detail::parse_torch(bytes, where);
    else
      throw FormatError("neither a .safetensors nor a PyTorch file", where, "give the weights in one of these formats");
    index.reserve(tensors.entries.size());
    for (const auto& entry : tensors.entries) index.emplace(entry.name, &entry);
  }
};

VITALS_INLINE TensorFile TensorFile::open(const std::filesystem::path& file) {
  TensorFile opened;
  opened.state_ = std::make_shared<const State>(file);
  return opened;
}

VITALS_INLINE TensorFile TensorFile::of_bytes(std::span<const std::byte> bytes, const std::filesystem::path& name) {
  TensorFile opened;
  opened.state_ = std::make_shared<const State>(bytes, name);
  return opened;
}

VITALS_INLINE const std::filesystem::path& TensorFile::path() const { return state_->path; }
VITALS_INLINE const std::string& TensorFile::format() const { return state_->tensors.format; }
VITALS_INLINE std::span<const TensorEntry> TensorFile::entries() const { return state_->tensors.entries; }
VITALS_INLINE const std::map<std::string, std::string>& TensorFile::metadata() const {
  return state_->tensors.metadata;
}

VITALS_INLINE const TensorEntry* TensorFile::find(std::string_view name) const {
  const auto found = state_->index.find(name);
  return found == state_->index.end() ? nullptr : found->second;
}

namespace detail {

// float8 with 4 bits of exponent (bias 7) and 3 of mantissa; no infinities, NaN is all ones.
inline float float8_e4m3(std::uint8_t bits) {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x80u) << 24, exponent = bits >> 3 & 15u,
                      mantissa = bits & 7u;
  if ((bits & 0x7fu) == 0x7fu) return std::bit_cast<float>(sign | 0x7fc00000u);
  if (exponent == 0)
    return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(static_cast<float>(mantissa) * 0x1p-9f));
  return std::bit_cast<float>(sign | (exponent + 120u) << 23 | mantissa << 20);
}

inline double stored_number(DType type, const std::byte* p) {
  // clang-format off
  switch (type) {
    case DType::f64: return load<double>(p);
    case DType::f32: return static_cast<double>(load<float>(p));
    case DType::f16: return static_cast<double>(static_cast<float>(load<float16>(p)));
    case DType::bf16: return static_cast<double>(static_cast<float>(load<bfloat16>(p)));
    case DType::f8_e4m3: return static_cast<double>(float8_e4m3(load<std::uint8_t>(p)));
    case DType::f8_e5m2: {  // the upper byte of a float16
      float16 half;
      half.bits = static_cast<std::uint16_t>(load<std::uint8_t>(p) << 8);
      return static_cast<double>(static_cast<float>(half));
    }
    case DType::i64: return static_cast<double>(load<std::int64_t>(p));
    case DType::i32: return static_cast<double>(load<std::int32_t>(p));
    case DType::i16: return static_cast<double>(load<std::int16_t>(p));
    case DType::i8: return static_cast<double>(load<std::int8_t>(p));
    case DType::u64: return static_cast<double>(load<std::uint64_t>(p));
    case DType::u32: return static_cast<double>(load<std::uint32_t>(p));
    case DType::u16: return static_cast<double>(load<std::uint16_t>(p));
    case DType::u8: return static_cast<double>(load<std::uint8_t>(p));
    case DType::boolean: return load<std::uint8_t>(p) ? 1.0 : 0.0;
  }
  // clang-format on
  return 0.0;
}

// One innermost row of n numbers, `step` bytes apart. The switch on the type stands outside the loop.
template <class Out>
void read_row(DType type, const std::byte* p, std::size_t step, std::size_t n, Out* out) {
  const auto each = [&](auto convert) {
    for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<Out>(convert(p + i * step));
  };
  // clang-format off
  switch (type) {
    case DType::f64: return each([](const std::byte* q) { return load<double>(q); });
    case DType::f32:
      if (std::is_same_v<Out, float> && step == sizeof(float))
        std::memcpy(out, p, n * sizeof(float));
      else
        each([](const std::byte* q) { return load<float>(q); });
      return;
    case DType::f16: return each([](const std::byte* q) { return static_cast<float>(load<float16>(q)); });
    case DType::bf16: return each([](const std::byte* q) { return static_cast<float>(load<bfloat16>(q)); });
    default: return each([type](const std::byte* q) { return stored_number(type, q); });
  }
  // clang-format on
}

template <class Out>
void read_tensor(const TensorEntry& entry, std::span<Out> out, const std::filesystem::path& path) {
  if (out.size() != entry.size())
    throw ShapeError(
        "[TensorFile::read] " + std::to_string(out.size()) + " numbers for " + std::to_string(entry.size()),
        path.string() + ", tensor " + printable(entry.name));
  if (out.empty()) return;
  const std::size_t bytes = size_of(entry.dtype);
  if (entry.contiguous()) return read_row(entry.dtype, entry.data, bytes, out.size(), out.data());
  const std::size_t last = entry.shape.size() - 1, row = entry.shape[last];
  std::vector<std::size_t> at(entry.shape.size(), 0);
  const std::byte* p = entry.data;
  for (std::size_t done = 0; done < out.size(); done += row) {
    read_row(entry.dtype, p, entry.strides[last] * bytes, row, out.data() + done);
    for (std::size_t axis = last; axis-- > 0;) {
      p += entry.strides[axis] * bytes;
      if (++at[axis] < entry.shape[axis]) break;
      p -= entry.strides[axis] * entry.shape[axis] * bytes;
      at[axis] = 0;
    }
  }
}

}  // namespace detail

VITALS_INLINE void TensorFile::read(const TensorEntry& entry, std::span<float> out) const {
  if (entry.dtype >= DType::i64)
    throw FormatError(std::string("a tensor of ") + name(entry.dtype) + " where floating-point numbers are expected",
                      path().string() + ", tensor " + detail::printable(entry.name));
  detail::read_tensor(entry, out, path());
}

VITALS_INLINE void TensorFile::read(const TensorEntry& entry, std::span<double> out) const {
  detail::read_tensor(entry, out, path());
}

VITALS_INLINE void TensorFile::release(const TensorEntry& entry) const {
  if (entry.size() == 0 || !state_->mapping) return;
  std::size_t last = 0;
  for (std::size_t i = 0; i < entry.shape.size(); ++i) last += (entry.shape[i] - 1) * entry.strides[i];
  state_->mapping->release({entry.data, (last + 1) * size_of(entry.dtype)});
}

}  // namespace vitals::inline v0::io
