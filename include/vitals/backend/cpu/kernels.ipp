// Implementation of kernels.hpp: each instruction set a vocabulary of vector operations plus the one text of
// the kernels in kernels_body.inc (float32), kernels_bf16_body.inc (pairs of bfloat16) and kernels_int8_body.inc (fours of int8).
#pragma once

#include <bit>

#include <vitals/backend/cpu/kernels.hpp>
#include <vitals/backend/cpu/quantize.hpp>

#if VITALS_VECTOR_EXTENSIONS

namespace vitals::inline v0::backend::cpu::detail {

// Four numbers as g++ and clang know them on every processor.
using F4 = float __attribute__((vector_size(16)));

__attribute__((always_inline)) inline F4 load4(const float* p) {
  F4 x;
  __builtin_memcpy(&x, p, sizeof x);
  return x;
}
__attribute__((always_inline)) inline void store4(float* p, F4 x) { __builtin_memcpy(p, &x, sizeof x); }

// Four lanes of four bytes.
using Four = int __attribute__((vector_size(16)));
__attribute__((always_inline)) inline void store4(std::uint32_t* p, Four x) { __builtin_memcpy(p, &x, sizeof x); }

// Rows a, b, c, d become columns: four rows of four, `stride` apart.
__attribute__((always_inline)) inline void transpose(F4 a, F4 b, F4 c, F4 d, float* to, std::size_t stride) {
  const F4 ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5), ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
  const F4 cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5), cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
  store4(to, __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5));
  store4(to + stride, __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7));
  store4(to + 2 * stride, __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5));
  store4(to + 3 * stride, __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7));
}

}  // namespace vitals::inline v0::backend::cpu::detail

#define VITALS_TARGET
#define VITALS_VECTOR __attribute__((always_inline)) inline

// What every processor has: vectors of four (SSE2 on x86-64, NEON on ARM).
namespace vitals::inline v0::backend::cpu::baseline {

using detail::pair_of;
using V = detail::F4;
using I = int __attribute__((vector_size(16)));
inline constexpr std::size_t width = 4, tile_rows = 4;

VITALS_VECTOR V all(float x) { return V{x, x, x, x}; }
VITALS_VECTOR V zero() { return all(0.0f); }
VITALS_VECTOR V load(const float* p) { return detail::load4(p); }
VITALS_VECTOR void store(float* p, V x) { detail::store4(p, x); }
VITALS_VECTOR V load_n(const float* p, std::size_t n) {
  if (n >= width) return load(p);
  V x = zero();
  for (std::size_t i = 0; i < n; ++i) x[i] = p[i];
  return x;
}
VITALS_VECTOR void store_n(float* p, V x, std::size_t n) {
  if (n >= width) return store(p, x);
  for (std::size_t i = 0; i < n; ++i) p[i] = x[i];
}
VITALS_VECTOR V first_n(V x, V other, std::size_t n) {
  for (std::size_t i = n; i < width; ++i) x[i] = other[i];
  return x;
}
VITALS_VECTOR V add(V a, V b) { return a + b; }
VITALS_VECTOR V sub(V a, V b) { return a - b; }
VITALS_VECTOR V mul(V a, V b) { return a * b; }
VITALS_VECTOR V div(V a, V b) { return a / b; }
VITALS_VECTOR V fma(V a, V b, V c) { return a * b + c; }
VITALS_VECTOR V fnma(V a, V b, V c) { return c - a * b; }
VITALS_VECTOR V max(V a, V b) { return a > b ? a : b; }
VITALS_VECTOR V min(V a, V b) { return a < b ? a : b; }
VITALS_VECTOR V abs(V a) { return (V)((I)a & 0x7fffffff); }
VITALS_VECTOR V where_negative(V a, V x, V y) { return a < 0.0f ? x : y; }
VITALS_VECTOR V round(V a) {  // halves away from zero; |a| < 2^31
  return __builtin_convertvector(__builtin_convertvector(a + where_negative(a, all(-0.5f), all(0.5f)), I), V);
}
VITALS_VECTOR V times_power_of_two(V x, V n) { return x * (V)((__builtin_convertvector(n, I) + 127) << 23); }
VITALS_VECTOR float sum(V a) { return (a[0] + a[2]) + (a[1] + a[3]); }
VITALS_VECTOR float largest(V a) {
  const float x = a[0] > a[1] ? a[0] : a[1], y = a[2] > a[3] ? a[2] : a[3];
  return x > y ? x : y;
}

#include <vitals/backend/cpu/kernels_body.inc>

namespace bf16 {

struct Pairs {
  V even, odd;
};
VITALS_VECTOR Pairs pairs(V lanes) { return {(V)((I)lanes << 16), (V)((I)lanes & ~0xffff)}; }
VITALS_VECTOR V dot(V acc, const Pairs& a, const Pairs& b) { return fma(a.odd, b.odd, fma(a.even, b.even, acc)); }
VITALS_VECTOR I rounded(V x) { return (((I)x + (((I)x >> 16) & 1) + 0x7fff) >> 16) & 0xffff; }
VITALS_VECTOR V interleave(V even, V odd) { return (V)(rounded(even) | (rounded(odd) << 16)); }
// A vector as pairs of neighbours.
VITALS_VECTOR void store_rounded(std::uint32_t* to, V x) {
  const I r = rounded(x);
  for (int i = 0; i < 2; ++i) to[i] = static_cast<std::uint32_t>(r[2 * i] | (r[2 * i + 1] << 16));
}
VITALS_VECTOR V round_pairs(const float* x) {
  const V a = load(x), b = load(x + 4);
  return interleave(__builtin_shufflevector(a, b, 0, 2, 4, 6), __builtin_shufflevector(a, b, 1, 3, 5, 7));
}

#include <vitals/backend/cpu/kernels_bf16_body.inc>

}  // namespace bf16

namespace int8 {
#include <vitals/backend/cpu/kernels_int8_baseline.inc>
}

}  // namespace vitals::inline v0::backend::cpu::baseline

#undef VITALS_TARGET
#undef VITALS_VECTOR

#endif  // VITALS_VECTOR_EXTENSIONS

#if VITALS_X86

#include <immintrin.h>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push  // g++ 12's own intrinsics start from an undefined vector and are warned about (bug 105593)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

// The functions of each set carry their own target attribute, so the including program needs no compiler flag.
#define VITALS_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")))
#define VITALS_VECTOR VITALS_TARGET __attribute__((always_inline)) inline

namespace vitals::inline v0::backend::cpu::avx512 {

using detail::pair_of;
using V = __m512;
inline constexpr std::size_t width = 16, tile_rows = 12;

VITALS_VECTOR V zero() { return _mm512_setzero_ps(); }
VITALS_VECTOR V all(float x) { return _mm512_set1_ps(x); }
VITALS_VECTOR V load(const float* p) { return _mm512_loadu_ps(p); }
VITALS_VECTOR void store(float* p, V x) { _mm512_storeu_ps(p, x); }
VITALS_VECTOR __mmask16 mask(std::size_t n) { return n >= 16 ? __mmask16(0xffff) : __mmask16((1u << n) - 1u); }
// The first n numbers (n may exceed the width); the rest of the vector is zero.
VITALS_VECTOR V load_n(const float* p, std::size_t n) { return _mm512_maskz_loadu_ps(mask(n), p); }
VITALS_VECTOR void store_n(float* p, V x, std::size_t n) { _mm512_mask_storeu_ps(p, mask(n), x); }
// The first n numbers of x, the others of `other`.
VITALS_VECTOR V first_n(V x, V other, std::size_t n) { return _mm512_mask_mov_ps(other, mask(n), x); }
VITALS_VECTOR V add(V a, V b) { return _mm512_add_ps(a, b); }
VITALS_VECTOR V sub(V a, V b) { return _mm512_sub_ps(a, b); }
VITALS_VECTOR V mul(V a, V b) { return _mm512_mul_ps(a, b); }
VITALS_VECTOR V div(V a, V b) { return _mm512_div_ps(a, b); }
VITALS_VECTOR V fma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }    // a b + c
VITALS_VECTOR V fnma(V a, V b, V c) { return _mm512_fnmadd_ps(a, b, c); }  // c - a b
VITALS_VECTOR V max(V a, V b) { return _mm512_max_ps(a, b); }
VITALS_VECTOR V min(V a, V b) { return _mm512_min_ps(a, b); }
VITALS_VECTOR V abs(V a) { return _mm512_abs_ps(a); }
VITALS_VECTOR V round(V a) { return _mm512_roundscale_ps(a, 8); }
VITALS_VECTOR V times_power_of_two(V x, V n) { return _mm512_scalef_ps(x, n); }
// x where a < 0, else y.
VITALS_VECTOR V where_negative(V a, V x, V y) {
  return _mm512_mask_mov_ps(y, _mm512_cmp_ps_mask(a, _mm512_setzero_ps(), _CMP_LT_OQ), x);
}
VITALS_VECTOR float sum(V a) { return _mm512_reduce_add_ps(a); }
VITALS_VECTOR float largest(V a) { return _mm512_reduce_max_ps(a); }

#include <vitals/backend/cpu/kernels_body.inc>

// Without products of pairs in the processor: each lane is widened to its two numbers.
namespace bf16 {

struct Pairs {
  V even, odd;
};
VITALS_VECTOR __m512i bits(V x) { return _mm512_castps_si512(x); }
VITALS_VECTOR Pairs pairs(V lanes) {
  return {_mm512_castsi512_ps(_mm512_slli_epi32(bits(lanes), 16)),
          _mm512_castsi512_ps(_mm512_and_si512(bits(lanes), _mm512_set1_epi32(static_cast<int>(0xffff0000u))))};
}
VITALS_VECTOR V dot(V acc, const Pairs& a, const Pairs& b) { return fma(a.odd, b.odd, fma(a.even, b.even, acc)); }
// Round to nearest even; the result stands in the lower half of each 32-bit lane.
VITALS_VECTOR __m512i rounded(V x) {
  const __m512i u = bits(x), tie = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
  return _mm512_srli_epi32(_mm512_add_epi32(u, _mm512_add_epi32(tie, _mm512_set1_epi32(0x7fff))), 16);
}
VITALS_VECTOR V interleave(V even, V odd) {
  return _mm512_castsi512_ps(_mm512_or_si512(rounded(even), _mm512_slli_epi32(rounded(odd), 16)));
}
VITALS_VECTOR void store_rounded(std::uint32_t* to, V x) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtepi32_epi16(rounded(x)));
}
// Eight numbers as four pairs.
VITALS_VECTOR __m128 round_pairs(const float* x) {
  return _mm_castsi128_ps(
      _mm256_cvtepi32_epi16(_mm512_castsi512_si256(rounded(_mm512_castps256_ps512(_mm256_loadu_ps(x))))));
}

#include <vitals/backend/cpu/kernels_bf16_body.inc>

}  // namespace bf16

namespace int8 {
#include <vitals/backend/cpu/kernels_int8_avx512.inc>
}

}  // namespace vitals::inline v0::backend::cpu::avx512

#undef VITALS_TARGET
#define VITALS_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")))

namespace vitals::inline v0::backend::cpu::avx512::int8_vnni {
#include <vitals/backend/cpu/kernels_int8_vnni.inc>
}

#undef VITALS_TARGET
#define VITALS_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")))

namespace vitals::inline v0::backend::cpu::avx512::bf16_native {

using Pairs = V;
VITALS_VECTOR Pairs pairs(V lanes) { return lanes; }
VITALS_VECTOR V dot(V acc, Pairs a, Pairs b) { return _mm512_dpbf16_ps(acc, (__m512bh)a, (__m512bh)b); }
inline constexpr std::uint16_t even_odd[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                               8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
VITALS_VECTOR V interleave(V even, V odd) {
  const __m512i halves = (__m512i)_mm512_cvtne2ps_pbh(odd, even);
  return _mm512_castsi512_ps(_mm512_permutexvar_epi16(_mm512_loadu_si512(even_odd), halves));
}
VITALS_VECTOR void store_rounded(std::uint32_t* to, V x) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), (__m256i)_mm512_cvtneps_pbh(x));
}
VITALS_VECTOR __m128 round_pairs(const float* x) { return (__m128)_mm256_cvtneps_pbh(_mm256_loadu_ps(x)); }

#include <vitals/backend/cpu/kernels_bf16_body.inc>

}  // namespace vitals::inline v0::backend::cpu::avx512::bf16_native

#undef VITALS_TARGET
#define VITALS_TARGET __attribute__((target("avx2,fma")))

namespace vitals::inline v0::backend::cpu::avx2 {

using detail::pair_of;
using V = __m256;
inline constexpr std::size_t width = 8, tile_rows = 6;

inline constexpr int mask_bits[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};

VITALS_VECTOR V zero() { return _mm256_setzero_ps(); }
VITALS_VECTOR V all(float x) { return _mm256_set1_ps(x); }
VITALS_VECTOR V load(const float* p) { return _mm256_loadu_ps(p); }
VITALS_VECTOR void store(float* p, V x) { _mm256_storeu_ps(p, x); }
VITALS_VECTOR __m256i mask(std::size_t n) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(mask_bits + (n >= 8 ? 0 : 8 - n)));
}
VITALS_VECTOR V load_n(const float* p, std::size_t n) { return _mm256_maskload_ps(p, mask(n)); }
VITALS_VECTOR void store_n(float* p, V x, std::size_t n) { _mm256_maskstore_ps(p, mask(n), x); }
VITALS_VECTOR V first_n(V x, V other, std::size_t n) {
  return _mm256_blendv_ps(other, x, _mm256_castsi256_ps(mask(n)));
}
VITALS_VECTOR V add(V a, V b) { return _mm256_add_ps(a, b); }
VITALS_VECTOR V sub(V a, V b) { return _mm256_sub_ps(a, b); }
VITALS_VECTOR V mul(V a, V b) { return _mm256_mul_ps(a, b); }
VITALS_VECTOR V div(V a, V b) { return _mm256_div_ps(a, b); }
VITALS_VECTOR V fma(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }
VITALS_VECTOR V fnma(V a, V b, V c) { return _mm256_fnmadd_ps(a, b, c); }
VITALS_VECTOR V max(V a, V b) { return _mm256_max_ps(a, b); }
VITALS_VECTOR V min(V a, V b) { return _mm256_min_ps(a, b); }
VITALS_VECTOR V abs(V a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
VITALS_VECTOR V round(V a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
VITALS_VECTOR V times_power_of_two(V x, V n) {  // |n| <= 127, x * 2^n normal
  return _mm256_mul_ps(
      x, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23)));
}
VITALS_VECTOR V where_negative(V a, V x, V y) {
  return _mm256_blendv_ps(y, x, _mm256_cmp_ps(a, _mm256_setzero_ps(), _CMP_LT_OQ));
}
VITALS_VECTOR float sum(V a) {
  const __m128 half = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  const __m128 two = _mm_add_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
VITALS_VECTOR float largest(V a) {
  const __m128 half = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  const __m128 two = _mm_max_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

#include <vitals/backend/cpu/kernels_body.inc>

namespace bf16 {

inline constexpr std::size_t tile_rows = 4;  // widened pairs need more registers
struct Pairs {
  V even, odd;
};
VITALS_VECTOR __m256i bits(V x) { return _mm256_castps_si256(x); }
VITALS_VECTOR Pairs pairs(V lanes) {
  return {_mm256_castsi256_ps(_mm256_slli_epi32(bits(lanes), 16)),
          _mm256_castsi256_ps(_mm256_and_si256(bits(lanes), _mm256_set1_epi32(static_cast<int>(0xffff0000u))))};
}
VITALS_VECTOR V dot(V acc, const Pairs& a, const Pairs& b) { return fma(a.odd, b.odd, fma(a.even, b.even, acc)); }
VITALS_VECTOR __m256i rounded(V x) {
  const __m256i u = bits(x), tie = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));
  return _mm256_srli_epi32(_mm256_add_epi32(u, _mm256_add_epi32(tie, _mm256_set1_epi32(0x7fff))), 16);
}
VITALS_VECTOR V interleave(V even, V odd) {
  return _mm256_castsi256_ps(_mm256_or_si256(rounded(even), _mm256_slli_epi32(rounded(odd), 16)));
}
VITALS_VECTOR __m128 neighbours(V x) {
  const __m256i r = rounded(x), packed = _mm256_packus_epi32(r, r);
  return _mm_castsi128_ps(_mm_unpacklo_epi64(_mm256_castsi256_si128(packed), _mm256_extracti128_si256(packed, 1)));
}
VITALS_VECTOR __m128 round_pairs(const float* x) { return neighbours(_mm256_loadu_ps(x)); }
VITALS_VECTOR void store_rounded(std::uint32_t* to, V x) { _mm_storeu_ps(reinterpret_cast<float*>(to), neighbours(x)); }

#include <vitals/backend/cpu/kernels_bf16_body.inc>

}  // namespace bf16

namespace int8 {
#include <vitals/backend/cpu/kernels_int8_avx2.inc>
}

}  // namespace vitals::inline v0::backend::cpu::avx2

#undef VITALS_TARGET
#undef VITALS_VECTOR

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#endif  // VITALS_X86

#if !defined(VITALS_KERNELS_VOCABULARY_ONLY)  // gradient_kernels.ipp takes the vocabulary alone

namespace vitals::inline v0::backend::cpu {

VITALS_INLINE const RowKernels* row_kernels([[maybe_unused]] Isa isa) {
#if VITALS_X86
  if (isa >= Isa::avx512) return &avx512::rows;
  if (isa == Isa::avx2) return &avx2::rows;
#endif
#if VITALS_VECTOR_EXTENSIONS
  return &baseline::rows;
#else
  return nullptr;
#endif
}

template <>
VITALS_INLINE const ProductKernels<float>* product_kernels<float>([[maybe_unused]] Isa isa) {
#if VITALS_X86
  if (isa >= Isa::avx512) return &avx512::products;
  if (isa == Isa::avx2) return &avx2::products;
#endif
#if VITALS_VECTOR_EXTENSIONS
  return &baseline::products;
#else
  return nullptr;
#endif
}

template <>
VITALS_INLINE const ProductKernels<bfloat16>* product_kernels<bfloat16>([[maybe_unused]] Isa isa) {
#if VITALS_X86
  if (isa == Isa::avx512bf16) return &avx512::bf16_native::products;
  if (isa >= Isa::avx512) return &avx512::bf16::products;
  if (isa == Isa::avx2) return &avx2::bf16::products;
#endif
#if VITALS_VECTOR_EXTENSIONS
  return &baseline::bf16::products;
#else
  return nullptr;
#endif
}

template <>
VITALS_INLINE const ProductKernels<std::int8_t>* product_kernels<std::int8_t>([[maybe_unused]] Isa isa) {
#if VITALS_X86
  if (isa >= Isa::avx512vnni) return &avx512::int8_vnni::products;
  if (isa == Isa::avx512) return &avx512::int8::products;
  if (isa == Isa::avx2) return &avx2::int8::products;
#endif
#if VITALS_VECTOR_EXTENSIONS
  return &baseline::int8::products;
#else
  return nullptr;
#endif
}

template <>
VITALS_INLINE const ProductKernels<double>* product_kernels<double>(Isa) {
  return nullptr;
}

}  // namespace vitals::inline v0::backend::cpu

#endif  // VITALS_KERNELS_VOCABULARY_ONLY
