// The peak of this machine, measured: what "percent of peak" in the benchmarks is a percent of.
//
// Each thread runs a loop of independent fused multiply-adds (or products of bfloat16 pairs, summed in float32) whose
// operands stay in registers, in the widest vectors of an instruction set. Nothing that loads or stores can be faster.
// All threads start together, many times; the best run of each counts, so a busy machine lowers it little.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <numeric>
#include <thread>
#include <vector>

#include <vitals/backend/cpu/isa.hpp>
#include <vitals/core/config.hpp>

#if VITALS_X86
#include <immintrin.h>
#endif

namespace bench {

namespace detail {

inline std::atomic<float> sink = 0;  // results end here, so that no loop is left out
// Read at run time: x = x * factor + term converges, so numbers stay normal.
inline volatile float factor = 0.5f, term = 1.0f;

/// `steps` times twelve independent x = x * a + b, each `width` numbers wide. FLOP: steps * 12 * width * 2. All twelve
/// start from different numbers: a compiler would compute equal ones once.
inline float fma_portable(std::size_t steps) {
  using V = float __attribute__((vector_size(16)));  // what every processor of the base instruction set has
  const V a = V{} + factor, b = V{} + term;
  V x[12];
#pragma GCC unroll 12
  for (int i = 0; i < 12; ++i) x[i] = b * static_cast<float>(i);
  for (std::size_t s = 0; s < steps; ++s)
#pragma GCC unroll 12
    for (auto& v : x) v = v * a + b;
  V sum{};
  for (const auto& v : x) sum += v;
  return sum[0];
}

#if VITALS_X86
__attribute__((target("avx2,fma"))) inline float fma_avx2(std::size_t steps) {
  const __m256 a = _mm256_set1_ps(factor), b = _mm256_set1_ps(term);
  __m256 x[12];
#pragma GCC unroll 12
  for (int i = 0; i < 12; ++i) x[i] = _mm256_set1_ps(static_cast<float>(i));
  for (std::size_t s = 0; s < steps; ++s)
#pragma GCC unroll 12
    for (auto& v : x) v = _mm256_fmadd_ps(v, a, b);
  __m256 sum = x[0];
#pragma GCC unroll 12
  for (std::size_t i = 1; i < 12; ++i) sum = _mm256_add_ps(sum, x[i]);
  return _mm256_cvtss_f32(sum);
}

__attribute__((target("avx512f"))) inline float fma_avx512(std::size_t steps) {
  const __m512 a = _mm512_set1_ps(factor), b = _mm512_set1_ps(term);
  __m512 x[12];
#pragma GCC unroll 12
  for (int i = 0; i < 12; ++i) x[i] = _mm512_set1_ps(static_cast<float>(i));
  for (std::size_t s = 0; s < steps; ++s)
#pragma GCC unroll 12
    for (auto& v : x) v = _mm512_fmadd_ps(v, a, b);
  __m512 sum = x[0];
#pragma GCC unroll 12
  for (std::size_t i = 1; i < 12; ++i) sum = _mm512_add_ps(sum, x[i]);
  return _mm512_cvtss_f32(sum);
}

/// The same with pairs: 64 FLOP an instruction.
__attribute__((target("avx512f,avx512bf16"))) inline float dot_bf16(std::size_t steps) {
  const __m512bh a = _mm512_cvtne2ps_pbh(_mm512_set1_ps(factor), _mm512_set1_ps(factor));
  const __m512bh b = _mm512_cvtne2ps_pbh(_mm512_set1_ps(term), _mm512_set1_ps(term));
  __m512 x[12];
#pragma GCC unroll 12
  for (int i = 0; i < 12; ++i) x[i] = _mm512_set1_ps(static_cast<float>(i));
  for (std::size_t s = 0; s < steps; ++s)
#pragma GCC unroll 12
    for (auto& v : x) v = _mm512_dpbf16_ps(v, a, b);
  __m512 sum = x[0];
#pragma GCC unroll 12
  for (std::size_t i = 1; i < 12; ++i) sum = _mm512_add_ps(sum, x[i]);
  return _mm512_cvtss_f32(sum);
}
#endif

}  // namespace detail

/// In which numbers products are made.
enum class Precision { float32, bfloat16 };
inline const char* name(Precision precision) { return precision == Precision::float32 ? "float32" : "bfloat16"; }

/// FLOP/s of `threads` threads together with an instruction set that this machine has; bfloat16 where the set has no
/// products of pairs is float32. Takes about 0.2 s.
inline double measure_peak(vitals::backend::cpu::Isa isa, Precision precision, unsigned threads) {
  using Clock = std::chrono::steady_clock;
  using vitals::backend::cpu::Isa;
  auto* loop = detail::fma_portable;
  std::size_t numbers = 4;  // multiplied and added by one instruction
#if VITALS_X86
  if (isa == Isa::avx2) loop = detail::fma_avx2, numbers = 8;
  if (isa >= Isa::avx512) loop = detail::fma_avx512, numbers = 16;
  if (isa == Isa::avx512bf16 && precision == Precision::bfloat16) loop = detail::dot_bf16, numbers = 32;
#else
  (void)isa, (void)precision;
#endif
  constexpr std::size_t steps = 200'000;
  constexpr int runs = 150;
  std::vector<double> best(threads, 0.0);
  for (int run = 0; run < runs; ++run) {
    std::atomic<unsigned> ready{0};
    const auto work = [&](unsigned t) {
      ready.fetch_add(1);
      while (ready.load() < threads) std::this_thread::yield();
      const auto begin = Clock::now();
      detail::sink = loop(steps);
      const std::chrono::duration<double> time = Clock::now() - begin;
      best[t] = std::max(best[t], static_cast<double>(steps * 12 * numbers * 2) / time.count());
    };
    std::vector<std::thread> others;
    for (unsigned t = 1; t < threads; ++t) others.emplace_back(work, t);
    work(0);
    for (auto& other : others) other.join();
  }
  return std::accumulate(best.begin(), best.end(), 0.0);
}

}  // namespace bench
