// TensorFile: named tensors of a file on disk, read-only and memory-mapped, whatever the container is:
// .safetensors, PyTorch's zip archive (.pth, .pt since 1.6) or its legacy stream. Found out from the content.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <vitals/core/config.hpp>
#include <vitals/io/tensor_entry.hpp>

namespace vitals::inline v0::io {

/// A file of named tensors. Copies share the mapping; entries point into it and live as long as a copy does.
class TensorFile {
 public:
  /// Opens and checks the whole structure (not the numbers). Nested dictionaries of a .pth give names joined by ".":
  /// {"teacher": {"backbone.norm.weight": t}} is "teacher.backbone.norm.weight"; the items of a list are named by their
  /// number, a tensor alone is "tensor". What is not a tensor is left out.
  /// Opening costs milliseconds whatever the size: pages are read when numbers are touched. The file must not shrink
  /// while it is open (see MappedFile); replacing it by another file is fine.
  /// Throws IoError (cannot be read), FormatError (not such a file, truncated, lying sizes, a pickle that asks for
  /// anything but tensors: the message names the global it asks for).
  static TensorFile open(const std::filesystem::path& file);
  /// The same from bytes in memory, which must stay: weights that a program carries in itself. `name` stands for the path in
  /// errors. Throws FormatError.
  static TensorFile of_bytes(std::span<const std::byte> bytes, const std::filesystem::path& name);

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
  /// float8_e4m3 is the variant without infinities (e4m3fn), as safetensors and PyTorch mean it.
  /// Throws ShapeError where sizes differ, FormatError for integers or booleans.
  void read(const TensorEntry& entry, std::span<float> out) const;
  /// As read(), with every type, integers included, to double (exact up to 2^53).
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
