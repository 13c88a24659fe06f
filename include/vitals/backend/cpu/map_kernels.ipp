// Implementation of map_kernels.hpp: the one text of map_kernels_body.inc in the vocabulary of each instruction set, and number
// by number for double and for compilers without vectors.
#pragma once

#include <cmath>

#include <vitals/backend/cpu/map_kernels.hpp>

#if !VITALS_HEADER_ONLY
#define VITALS_KERNELS_VOCABULARY_ONLY  // its tables are compiled elsewhere
#include <vitals/backend/cpu/kernels.ipp>
#endif

#define VITALS_TARGET
#define VITALS_VECTOR inline

namespace vitals::inline v0::backend::cpu {

// The vocabulary of one number.
namespace one {

inline constexpr std::size_t width = 1;
template <class T>
T load_n(const T* p, std::size_t) {
  return *p;
}
template <class T>
void store_n(T* p, T x, std::size_t) {
  *p = x;
}
template <class T>
T add(T a, T b) {
  return a + b;
}
template <class T>
T sub(T a, T b) {
  return a - b;
}
template <class T>
T mul(T a, T b) {
  return a * b;
}
template <class T>
T fma(T a, T b, T c) {
  return a * b + c;
}
template <class T>
T fnma(T a, T b, T c) {
  return c - a * b;
}
template <class T>
T max(T a, T b) {
  return a > b ? a : b;
}
template <class T>
T where_negative(T a, T x, T y) {
  return a < 0 ? x : y;
}
template <class T>
T exp(T x) {
  return std::exp(x);
}

namespace in_double {
using Number = double;
using V = double;
inline V zero() { return 0; }
inline V all(double x) { return x; }
#include <vitals/backend/cpu/map_kernels_body.inc>
}  // namespace in_double

#if !VITALS_VECTOR_EXTENSIONS
namespace in_float {
using Number = float;
using V = float;
inline V zero() { return 0; }
inline V all(float x) { return x; }
#include <vitals/backend/cpu/map_kernels_body.inc>
}  // namespace in_float
#endif

}  // namespace one

}  // namespace vitals::inline v0::backend::cpu

#undef VITALS_VECTOR

#if VITALS_VECTOR_EXTENSIONS

#define VITALS_VECTOR __attribute__((always_inline)) inline

namespace vitals::inline v0::backend::cpu::baseline {
using Number = float;
#include <vitals/backend/cpu/map_kernels_body.inc>
}  // namespace vitals::inline v0::backend::cpu::baseline

#undef VITALS_VECTOR

#endif  // VITALS_VECTOR_EXTENSIONS

#undef VITALS_TARGET

#if VITALS_X86

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push  // as in kernels.ipp
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

#define VITALS_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")))
#define VITALS_VECTOR VITALS_TARGET __attribute__((always_inline)) inline

namespace vitals::inline v0::backend::cpu::avx512 {
using Number = float;
#include <vitals/backend/cpu/map_kernels_body.inc>
}  // namespace vitals::inline v0::backend::cpu::avx512

#undef VITALS_TARGET
#define VITALS_TARGET __attribute__((target("avx2,fma")))

namespace vitals::inline v0::backend::cpu::avx2 {
using Number = float;
#include <vitals/backend/cpu/map_kernels_body.inc>
}  // namespace vitals::inline v0::backend::cpu::avx2

#undef VITALS_TARGET
#undef VITALS_VECTOR

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#endif  // VITALS_X86

namespace vitals::inline v0::backend::cpu {

template <>
VITALS_INLINE const MapKernels<float>& map_kernels<float>([[maybe_unused]] Isa isa) {
#if VITALS_X86
  if (isa >= Isa::avx512) return avx512::maps;
  if (isa == Isa::avx2) return avx2::maps;
#endif
#if VITALS_VECTOR_EXTENSIONS
  return baseline::maps;
#else
  return one::in_float::maps;
#endif
}

template <>
VITALS_INLINE const MapKernels<double>& map_kernels<double>(Isa) {
  return one::in_double::maps;
}

}  // namespace vitals::inline v0::backend::cpu
