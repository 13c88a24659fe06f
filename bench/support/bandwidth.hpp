// How fast this machine's memories give numbers, measured: the slanted ceilings of the roofline.
//
// Each thread runs the triad a = b + s c of STREAM (McCalpin 1995) in the widest vectors of an instruction set, over
// arrays of its own that fit into a given memory. Two numbers are read and one is written for each result: 12 bytes.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <thread>
#include <vector>

#include <unistd.h>

#include <vitals/backend/cpu/isa.hpp>
#include <vitals/core/config.hpp>

namespace bench {

namespace detail {

inline volatile float triad_scale = 0.5f;

// n a multiple of 64.
template <class V>
[[gnu::always_inline]] inline void triad_in(float* a, const float* b, const float* c, std::size_t n) {
  constexpr std::size_t width = sizeof(V) / sizeof(float);
  using Unaligned [[gnu::aligned(4), gnu::may_alias]] = V;
  const V s = V{} + triad_scale;
  for (std::size_t i = 0; i < n; i += 4 * width)
#pragma GCC unroll 4
    for (std::size_t j = 0; j < 4 * width; j += width)
      *reinterpret_cast<Unaligned*>(a + i + j) =
          *reinterpret_cast<const Unaligned*>(b + i + j) + s * *reinterpret_cast<const Unaligned*>(c + i + j);
}

inline void triad_portable(float* a, const float* b, const float* c, std::size_t n) {
  using V [[gnu::vector_size(16)]] = float;
  triad_in<V>(a, b, c, n);
}
#if VITALS_X86
__attribute__((target("avx2,fma"))) inline void triad_avx2(float* a, const float* b, const float* c, std::size_t n) {
  using V [[gnu::vector_size(32)]] = float;
  triad_in<V>(a, b, c, n);
}
__attribute__((target("avx512f"))) inline void triad_avx512(float* a, const float* b, const float* c, std::size_t n) {
  using V [[gnu::vector_size(64)]] = float;
  triad_in<V>(a, b, c, n);
}
#endif

inline std::size_t cache_bytes(int name, std::size_t otherwise) {
  const long bytes = ::sysconf(name);
  return bytes > 0 ? static_cast<std::size_t>(bytes) : otherwise;
}

}  // namespace detail

/// Bytes/s of `threads` threads together, the three arrays of each thread `bytes` long in all. Takes about 0.1 s.
inline double measure_bandwidth(vitals::backend::cpu::Isa isa, std::size_t bytes, unsigned threads) {
  using Clock = std::chrono::steady_clock;
  using vitals::backend::cpu::Isa;
  auto* triad = detail::triad_portable;
#if VITALS_X86
  if (isa == Isa::avx2) triad = detail::triad_avx2;
  if (isa >= Isa::avx512) triad = detail::triad_avx512;
#else
  (void)isa;
#endif
  const std::size_t n = std::max<std::size_t>(64, bytes / 12 / 64 * 64);
  const std::size_t passes =
      std::max<std::size_t>(1, (std::size_t{4} << 20) / (12 * n));  // a run of about 0.1 ms or more
  const std::size_t runs = std::clamp<std::size_t>((std::size_t{1} << 30) / (12 * n * passes), 5, 200);
  std::atomic<unsigned> ready{0};
  std::vector<double> best(threads, 0.0);
  const auto work = [&](unsigned t) {
    std::vector<float> a(n, 0.0f), b(n, 1.0f), c(n, 2.0f);  // written by the thread that reads them
    for (std::size_t run = 0; run < runs; ++run) {
      ready.fetch_add(1);
      while (ready.load() < threads * (run + 1)) std::this_thread::yield();
      const auto begin = Clock::now();
      for (std::size_t pass = 0; pass < passes; ++pass) {
        triad(a.data(), b.data(), c.data(), n);
        asm volatile("" : : "r"(a.data()) : "memory");  // each pass is really made
      }
      const std::chrono::duration<double> time = Clock::now() - begin;
      best[t] = std::max(best[t], static_cast<double>(12 * n * passes) / time.count());
    }
  };
  std::vector<std::thread> others;
  for (unsigned t = 1; t < threads; ++t) others.emplace_back(work, t);
  work(0);
  for (auto& other : others) other.join();
  double sum = 0;
  for (double one : best) sum += one;
  return sum;
}

/// The memories that are measured, and how much of one a thread uses: half of its own level 2, a part of level 3 that
/// level 2 cannot hold, and more than all of level 3.
struct Memory {
  const char* name;
  std::size_t bytes;
};
inline std::vector<Memory> memories(unsigned threads) {
  const std::size_t l2 = detail::cache_bytes(_SC_LEVEL2_CACHE_SIZE, std::size_t{1} << 20);
  const std::size_t l3 = detail::cache_bytes(_SC_LEVEL3_CACHE_SIZE, std::size_t{32} << 20);
  return {{"L2", l2 / 2}, {"L3", std::max(4 * l2, l3 / (4 * threads))}, {"memory", 4 * l3 / threads}};
}

}  // namespace bench
