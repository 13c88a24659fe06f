// Implementation of memory.hpp.
#pragma once

#include <new>

#include <vitals/backend/cpu/memory.hpp>

#if defined(__SANITIZE_ADDRESS__)
#define VITALS_HUGE_PAGES 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define VITALS_HUGE_PAGES 0
#endif
#endif
#if !defined(VITALS_HUGE_PAGES)
#if defined(__linux__)
#define VITALS_HUGE_PAGES 1
#else
#define VITALS_HUGE_PAGES 0
#endif
#endif

#if VITALS_HUGE_PAGES
#include <sys/mman.h>

#include <algorithm>
#include <map>
#include <mutex>
#endif

namespace vitals::inline v0::backend::cpu {

namespace detail {

inline constexpr std::size_t large_buffer = 64 * 1024;  // smaller ones are not worth a region

#if VITALS_HUGE_PAGES

// First fit, lowest address, over the free pieces of all regions. Blocks are few and live long, so a map is enough.
class Regions {
 public:
  void* allocate(std::size_t bytes) {
    const std::lock_guard guard(lock_);
    auto piece = std::find_if(free_.begin(), free_.end(), [&](const auto& f) { return f.second >= bytes; });
    if (piece == free_.end())
      piece = add_region(std::max(region_bytes, (bytes + huge_page - 1) / huge_page * huge_page));
    char* const at = piece->first;
    const std::size_t left = piece->second - bytes;
    free_.erase(piece);
    if (left) free_.emplace(at + bytes, left);
    return at;
  }

  void release(char* at, std::size_t bytes) noexcept {
    const std::lock_guard guard(lock_);
    auto after = free_.lower_bound(at);
    if (after != free_.end() && after->first == at + bytes && !regions_.count(after->first)) {
      bytes += after->second;
      after = free_.erase(after);
    }
    if (after != free_.begin() && !regions_.count(at)) {
      const auto before = std::prev(after);
      if (before->first + before->second == at) {
        at = before->first;
        bytes += before->second;
        free_.erase(before);
      }
    }
    if (const auto region = regions_.find(at); region != regions_.end() && region->second == bytes) {
      regions_.erase(region);
      munmap(at, bytes);
      return;
    }
    free_.emplace(at, bytes);
  }

 private:
  static constexpr std::size_t huge_page = std::size_t{2} << 20, region_bytes = std::size_t{64} << 20;

  // Address space only: pages become memory when they are first written.
  std::map<char*, std::size_t>::iterator add_region(std::size_t bytes) {
    void* const mapped = mmap(nullptr, bytes + huge_page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) throw std::bad_alloc();
    char* const start = static_cast<char*>(mapped);
    const std::size_t skip = (huge_page - reinterpret_cast<std::size_t>(start) % huge_page) % huge_page;
    if (skip) munmap(start, skip);
    munmap(start + skip + bytes, huge_page - skip);
#if defined(MADV_HUGEPAGE)
    madvise(start + skip, bytes, MADV_HUGEPAGE);  // a wish: where it is refused, small pages serve
#endif
    regions_.emplace(start + skip, bytes);
    return free_.emplace(start + skip, bytes).first;
  }

  std::mutex lock_;
  std::map<char*, std::size_t> free_, regions_;
};

// Never destroyed: buffers of other threads may end after everything static.
inline Regions& regions() {
  static Regions* const all = new Regions;
  return *all;
}

#endif

inline std::size_t whole_lines(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

}  // namespace detail

VITALS_INLINE void* allocate(std::size_t bytes) {
#if VITALS_HUGE_PAGES
  if (bytes >= detail::large_buffer) return detail::regions().allocate(detail::whole_lines(bytes));
#endif
  return ::operator new (bytes, std::align_val_t{64});
}

VITALS_INLINE void release(void* p, [[maybe_unused]] std::size_t bytes) noexcept {
  if (!p) return;
#if VITALS_HUGE_PAGES
  if (bytes >= detail::large_buffer)
    return detail::regions().release(static_cast<char*>(p), detail::whole_lines(bytes));
#endif
  ::operator delete (p, std::align_val_t{64});
}

}  // namespace vitals::inline v0::backend::cpu
