// MappedFile: a file's bytes as memory. Nothing is read until it is touched, and the system may drop pages again, so
// a model of gigabytes opens in no time and needs little more memory than what is used of it.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

#include <vitals/core/config.hpp>

namespace vitals::inline v0::io {

/// Read-only. Replacing the file by another (rename, as AtomicFile does) leaves the mapping as it was. Shrinking it in
/// place while it is mapped is beyond what any reader can check: touching the lost pages ends the process (SIGBUS).
class MappedFile {
 public:
  /// Throws IoError: missing, not readable, a folder or a device. An empty file gives no bytes.
  explicit MappedFile(const std::filesystem::path& file);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  /// Says that the next accesses are scattered (a table of contents is read), so that each brings in one page and not its
  /// neighbours; false goes back to reading ahead.
  void expect_scattered(bool scattered) const;
  /// Lets the whole pages inside `range` (part of bytes()) leave memory; they come back from the file when touched.
  void release(std::span<const std::byte> range) const;

 private:
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace vitals::inline v0::io

#if VITALS_HEADER_ONLY
#include <vitals/io/mapped_file.ipp>
#endif
