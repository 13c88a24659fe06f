// Implementation of mapped_file.hpp.
#pragma once

#include <cerrno>
#include <cstdint>
#include <string>
#include <system_error>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vitals/core/error.hpp>
#include <vitals/io/mapped_file.hpp>

namespace vitals::inline v0::io {

VITALS_INLINE MappedFile::MappedFile(const std::filesystem::path& file) {
  const auto fail = [&](const char* what) {
    return IoError(std::string(what) + ": " + std::error_code(errno, std::generic_category()).message(), file.string());
  };
  // O_NONBLOCK: opening a pipe must not wait for a writer before it is refused below.
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) throw fail("cannot open the file");
  struct Closer {
    int descriptor;
    ~Closer() { ::close(descriptor); }
  } closer{descriptor};
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) throw fail("cannot read the file");
  if (!S_ISREG(status.st_mode))
    throw IoError(S_ISDIR(status.st_mode) ? "cannot read: a folder" : "cannot read: not a regular file", file.string(),
                  "give the name of a file");
  if (status.st_size == 0) return;
  size_ = static_cast<std::size_t>(status.st_size);
  void* mapping = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
  if (mapping == MAP_FAILED) throw fail("cannot map the file");
  data_ = static_cast<const std::byte*>(mapping);
}

VITALS_INLINE MappedFile::~MappedFile() {
  if (data_) ::munmap(const_cast<std::byte*>(data_), size_);
}

VITALS_INLINE void MappedFile::expect_scattered(bool scattered) const {
  if (data_) ::madvise(const_cast<std::byte*>(data_), size_, scattered ? MADV_RANDOM : MADV_NORMAL);
}

VITALS_INLINE void MappedFile::release(std::span<const std::byte> range) const {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = (reinterpret_cast<std::uintptr_t>(range.data()) + page - 1) / page * page;
  const auto end = reinterpret_cast<std::uintptr_t>(range.data() + range.size()) / page * page;
  if (range.empty() || begin >= end) return;
  ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

}  // namespace vitals::inline v0::io
