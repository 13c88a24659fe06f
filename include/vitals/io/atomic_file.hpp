// AtomicFile: a file that appears under its name whole or not at all. Written beside, fsync, rename.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

#include <vitals/core/config.hpp>

namespace vitals::inline v0::io {

/// Writes to a temporary file in the same folder; commit() puts it in place. Without commit() (an exception, the end
/// of scope) the temporary file is removed and what stood under the name stays.
class AtomicFile {
 public:
  /// Throws IoError where the folder does not exist or cannot be written.
  explicit AtomicFile(std::filesystem::path target);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  /// Throws IoError (disk full and the like), naming the target.
  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  /// fsync of the file, rename, fsync of the folder. Throws IoError.
  void commit();

 private:
  std::filesystem::path target_, temporary_;
  int descriptor_ = -1;
};

/// The whole text at once.
void write_text_file(const std::filesystem::path& target, std::string_view text);

}  // namespace vitals::inline v0::io

#if VITALS_HEADER_ONLY
#include <vitals/io/atomic_file.ipp>
#endif
