// Implementation of atomic_file.hpp.
#pragma once

#include <atomic>
#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vitals/core/error.hpp>
#include <vitals/io/atomic_file.hpp>

namespace vitals::inline v0::io {

namespace detail {

inline IoError system_error(const std::string& what, const std::filesystem::path& file, int number = errno) {
  return IoError(what + ": " + std::error_code(number, std::generic_category()).message(), file.string());
}

}  // namespace detail

VITALS_INLINE AtomicFile::AtomicFile(std::filesystem::path target) : target_(std::move(target)) {
  std::error_code ignored;
  // A link stays a link: what it points to is replaced. A device or a folder must never be renamed over.
  if (std::filesystem::is_symlink(target_, ignored)) {
    const auto real = std::filesystem::weakly_canonical(target_, ignored);
    if (!ignored) target_ = real;
  }
  const auto status = std::filesystem::status(target_, ignored);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status))
    throw IoError("cannot write: not a regular file", target_.string(), "give the name of a file");
  if (!target_.has_filename()) throw IoError("cannot write: no file name", target_.string());

  // Process number and counter make the name unique on this machine; O_EXCL settles it where a folder is shared.
  static std::atomic<unsigned> counter{0};
  const std::string stem = "." + target_.filename().string().substr(0, 180) + "." + std::to_string(::getpid()) + "-";
  for (int attempt = 0; attempt < 1000; ++attempt) {
    temporary_ = target_.parent_path() / (stem + std::to_string(counter++) + ".tmp");
    descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor_ >= 0) {
      // A file that only its owner may read stays so.
      if (std::filesystem::exists(status)) ::fchmod(descriptor_, static_cast<mode_t>(status.permissions()));
      return;
    }
    if (errno != EEXIST) break;
  }
  throw detail::system_error("cannot write", target_);
}

VITALS_INLINE AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(temporary_.c_str());
}

VITALS_INLINE void AtomicFile::write(std::span<const std::byte> bytes) {
  if (descriptor_ < 0) throw IoError("cannot write: the file is already in place", target_.string());
  while (!bytes.empty()) {
    const ssize_t n = ::write(descriptor_, bytes.data(), bytes.size());
    if (n > 0)
      bytes = bytes.subspan(static_cast<std::size_t>(n));
    else if (n == 0)
      throw detail::system_error("cannot write", target_, ENOSPC);
    else if (errno != EINTR)
      throw detail::system_error("cannot write", target_);
  }
}

VITALS_INLINE void AtomicFile::write(std::string_view text) { write(std::as_bytes(std::span(text))); }

VITALS_INLINE void AtomicFile::commit() {
  if (descriptor_ < 0) throw IoError("cannot write: the file is already in place", target_.string());
  if (::fsync(descriptor_) != 0) throw detail::system_error("cannot write", target_);
  const int closed = ::close(std::exchange(descriptor_, -1));
  if (closed != 0 || ::rename(temporary_.c_str(), target_.c_str()) != 0) {
    const int number = errno;
    ::unlink(temporary_.c_str());
    throw detail::system_error("cannot write", target_, number);
  }
  // The new name must survive a power cut too. Some file systems cannot sync a folder and say EINVAL.
  const auto folder = target_.has_parent_path() ? target_.parent_path() : std::filesystem::path(".");
  const int d = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (d < 0) return;  // a folder that may be written but not read
  const int synced = ::fsync(d), number = errno;
  ::close(d);
  if (synced != 0 && number != EINVAL && number != ENOTSUP) throw detail::system_error("cannot write", target_, number);
}

VITALS_INLINE void write_text_file(const std::filesystem::path& target, std::string_view text) {
  AtomicFile file(target);
  file.write(text);
  file.commit();
}

}  // namespace vitals::inline v0::io
