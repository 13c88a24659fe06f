// Runs the code of a foreign library that writes to the standard error: in a thread of its own, whose table of open files is
// its own too, so that only there the standard error is a piece of memory. What other threads write goes where it always goes.
#pragma once

#include <exception>
#include <string>
#include <thread>

#if defined(__linux__)
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace vitals::inline v0::io::detail {

/// Of the calling thread alone: its standard error is a piece of memory from here on, and it has no open files but the first three.
/// False where the system cannot do that (Linux before 5.9, other systems): its standard error is then as before.
inline bool silence_this_thread() {
#if defined(SYS_close_range)
  constexpr unsigned unshare = 2;  // CLOSE_RANGE_UNSHARE
  if (::syscall(SYS_close_range, 3u, ~0u, unshare) != 0) return false;
  const int memory = ::memfd_create("stderr", 0);
  return memory >= 0 && ::dup2(memory, STDERR_FILENO) == STDERR_FILENO;
#else
  return false;
#endif
}

/// Calls body() in a silenced thread, waits, and gives the beginning of what it wrote to the standard error; nothing where the
/// system cannot silence it. `body` opens no files. Throws what it throws, and std::system_error where no thread can be had.
template <class Body>
std::string silenced(const Body& body) {
  std::exception_ptr failure;
  std::string written;
  std::thread([&] {
    const bool silent = silence_this_thread();
    try {
      body();
#if defined(__linux__)
      char text[1024];
      const auto length = silent ? ::pread(STDERR_FILENO, text, sizeof text, 0) : 0;
      if (length > 0) written.assign(text, static_cast<std::size_t>(length));
#else
      static_cast<void>(silent);
#endif
    } catch (...) {
      failure = std::current_exception();
    }
  }).join();
  if (failure) std::rethrow_exception(failure);
  return written;
}

}  // namespace vitals::inline v0::io::detail
