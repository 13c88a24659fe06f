// TensorFile: named tensors of a file on disk, read-only and memory-mapped, whatever the container is:
// .safetensors, PyTorch's zip archive (.pth, .pt since 1.6) or its legacy stream. Found out from the content.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <vitals/core/config.hpp>

namespace vitals::inline v0::io {

/// The number types that model files use.
enum class DType : std::uint8_t { f64, f32, f16, bf16, f8_e4m3, f8_e5m2, i64, i32, i16, i8, u64, u32, u16, u8, boolean };

/// "float32", "bfloat16", "int64" ...
const char* name(DType);
/// Bytes of one number.
std::size_t size_of(DType);

/// One tensor of a file. Its numbers are element (i, j, ...) at data + sum(i * stride) * size_of(dtype).
struct TensorEntry {
  std::string name;
  DType dtype = DType::f32;
  std::vector<std::size_t> shape;
  std::vector<std::size_t> strides;  ///< in elements; may be any order (a transposed view of a shared storage)
  const std::byte* data = nullptr;   ///< into the mapping; every element lies inside the file (checked at open)

  std::size_t size() const {
    std::size_t n = 1;
    for (auto s : shape) n *= s;
    return n;
  }
  /// Elements follow each other in row-major order.
  bool contiguous() const;
};

/// A file of named tensors. Copies share the mapping; entries point into it and live as long as a copy does.
class TensorFile {
 public:
  /// Opens and checks the whole structure (not the numbers). Nested dictionaries of a .pth give names joined by ".":
  /// {"teacher": {"backbone.norm.weight": t}} is "teacher.backbone.norm.weight". What is not a tensor is left out.
  /// Throws IoError (cannot be read), FormatError (not such a file, truncated, lying sizes, a pickle that asks for
  /// anything but tensors: the message names the global it asks for).
  static TensorFile open(const std::filesystem::path& file);

  const std::filesystem::path& path() const;
  /// "safetensors", "torch zip" or "torch legacy".
  const std::string& format() const;
  /// In the order of the file.
  std::span<const TensorEntry> entries() const;
  /// nullptr where there is none of that name.
  const TensorEntry* find(std::string_view name) const;
  /// Strings of the safetensors header ("__metadata__"); empty for other formats.
  const std::map<std::string, std::string>& metadata() const;

  /// Copies the numbers of `entry` in row-major order, converted to float (f64 is rounded). out.size() == entry.size().
  /// Throws ShapeError where sizes differ, FormatError for integers or booleans.
  void read(const TensorEntry& entry, std::span<float> out) const;
  /// As read(), with every type, integers included, to double.
  void read(const TensorEntry& entry, std::span<double> out) const;
  /// Tells the system that the pages of this tensor may leave memory; they come back from the file when touched.
  void release(const TensorEntry& entry) const;

 private:
  struct State;
  std::shared_ptr<const State> state_;
};

}  // namespace vitals::inline v0::io

#if VITALS_HEADER_ONLY
#include <vitals/io/tensor_file.ipp>
#endif
