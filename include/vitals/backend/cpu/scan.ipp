// Implementation of scan.hpp: plain loops for any processor, and for AVX2 and AVX-512 a small vocabulary plus the one text
// of the loops in scan_body.inc.
#pragma once

#include <vitals/backend/cpu/scan.hpp>
#include <vitals/core/half.hpp>

namespace vitals::inline v0::backend::cpu::plain {

inline std::size_t at_least(const float* x, std::size_t rows, std::size_t cols, const float* thresholds,
                            std::uint32_t* positions) {
  std::size_t found = 0;
  std::uint32_t position = 0;
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t c = 0; c < cols; ++c, ++position)
      if (x[position] >= thresholds[r]) positions[found++] = position;
  return found;
}

inline std::size_t count_at_least(const float* x, std::size_t n, float threshold) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < n; ++i) count += x[i] >= threshold;
  return count;
}

inline void dots(const float* const* a, const float* const* b, std::size_t count, std::size_t dim, double* out) {
  for (std::size_t i = 0; i < count; ++i) {
    double lane[8] = {};
    for (std::size_t d = 0; d < dim; ++d) lane[d % 8] += static_cast<double>(a[i][d]) * static_cast<double>(b[i][d]);
    out[i] = ((lane[0] + lane[4]) + (lane[1] + lane[5])) + ((lane[2] + lane[6]) + (lane[3] + lane[7]));
  }
}

inline void scale_and_shift(const float* x, double scale, const float* shift, std::size_t dim, float* out) {
  for (std::size_t d = 0; d < dim; ++d) {
    const double scaled = static_cast<double>(x[d]) * scale;
    out[d] = static_cast<float>(scaled - static_cast<double>(shift[d]));
  }
}

inline float rounding_loss(const float* x, std::size_t n) {
  float total = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const float lost = x[i] - static_cast<float>(bfloat16(x[i]));
    total += lost * lost;
  }
  return total;
}

inline constexpr ScanKernels scan{at_least, count_at_least, dots, scale_and_shift, rounding_loss};

}  // namespace vitals::inline v0::backend::cpu::plain

#if VITALS_X86

#include <immintrin.h>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push  // g++ 12's own intrinsics start from an undefined vector and are warned about (bug 105593)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

#define VITALS_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,popcnt")))
#define VITALS_VECTOR VITALS_TARGET __attribute__((always_inline)) inline

namespace vitals::inline v0::backend::cpu::avx512_scan {

using V = float __attribute__((vector_size(64)));
using I = int __attribute__((vector_size(64)));
using D = __m512d;
inline constexpr std::size_t width = 16;

VITALS_VECTOR unsigned hits(const float* x, float threshold) {
  return _mm512_cmp_ps_mask(_mm512_loadu_ps(x), _mm512_set1_ps(threshold), _CMP_GE_OQ);
}
VITALS_VECTOR D nothing() { return _mm512_setzero_pd(); }
VITALS_VECTOR D widen(const float* x) { return _mm512_cvtps_pd(_mm256_loadu_ps(x)); }
VITALS_VECTOR void narrow(float* x, D a) { _mm256_storeu_ps(x, _mm512_cvtpd_ps(a)); }
VITALS_VECTOR void spill(double* x, D a) { _mm512_storeu_pd(x, a); }
VITALS_VECTOR D fma(D a, D b, D c) { return _mm512_fmadd_pd(a, b, c); }
VITALS_VECTOR D mul(D a, double b) { return _mm512_mul_pd(a, _mm512_set1_pd(b)); }
VITALS_VECTOR D sub(D a, D b) { return _mm512_sub_pd(a, b); }

#include <vitals/backend/cpu/scan_body.inc>

}  // namespace vitals::inline v0::backend::cpu::avx512_scan

#undef VITALS_TARGET
#define VITALS_TARGET __attribute__((target("avx2,fma,popcnt")))

namespace vitals::inline v0::backend::cpu::avx2_scan {

using V = float __attribute__((vector_size(32)));
using I = int __attribute__((vector_size(32)));
struct D {
  __m256d low, high;
};
inline constexpr std::size_t width = 8;

VITALS_VECTOR unsigned hits(const float* x, float threshold) {
  return static_cast<unsigned>(
      _mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(x), _mm256_set1_ps(threshold), _CMP_GE_OQ)));
}
VITALS_VECTOR D nothing() { return {_mm256_setzero_pd(), _mm256_setzero_pd()}; }
VITALS_VECTOR D widen(const float* x) {
  return {_mm256_cvtps_pd(_mm_loadu_ps(x)), _mm256_cvtps_pd(_mm_loadu_ps(x + 4))};
}
VITALS_VECTOR void narrow(float* x, D a) {
  _mm_storeu_ps(x, _mm256_cvtpd_ps(a.low)), _mm_storeu_ps(x + 4, _mm256_cvtpd_ps(a.high));
}
VITALS_VECTOR void spill(double* x, D a) { _mm256_storeu_pd(x, a.low), _mm256_storeu_pd(x + 4, a.high); }
VITALS_VECTOR D fma(D a, D b, D c) {
  return {_mm256_fmadd_pd(a.low, b.low, c.low), _mm256_fmadd_pd(a.high, b.high, c.high)};
}
VITALS_VECTOR D mul(D a, double b) {
  return {_mm256_mul_pd(a.low, _mm256_set1_pd(b)), _mm256_mul_pd(a.high, _mm256_set1_pd(b))};
}
VITALS_VECTOR D sub(D a, D b) { return {_mm256_sub_pd(a.low, b.low), _mm256_sub_pd(a.high, b.high)}; }

#include <vitals/backend/cpu/scan_body.inc>

}  // namespace vitals::inline v0::backend::cpu::avx2_scan

#undef VITALS_TARGET
#undef VITALS_VECTOR

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#endif  // VITALS_X86

namespace vitals::inline v0::backend::cpu {

VITALS_INLINE const ScanKernels& scan_kernels([[maybe_unused]] Isa isa) {
#if VITALS_X86
  if (isa >= Isa::avx512) return avx512_scan::scan;
  if (isa == Isa::avx2) return avx2_scan::scan;
#endif
  return plain::scan;
}

}  // namespace vitals::inline v0::backend::cpu
