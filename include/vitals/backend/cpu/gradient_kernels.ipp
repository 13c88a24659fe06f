// Implementation of gradient_kernels.hpp: the one text of the .inc files in the vocabulary of each instruction set.
#pragma once

#include <vitals/backend/cpu/gradient_kernels.hpp>

#if !VITALS_HEADER_ONLY
#define VITALS_KERNELS_VOCABULARY_ONLY  // its tables are compiled elsewhere
#include <vitals/backend/cpu/kernels.ipp>
#endif

#if VITALS_VECTOR_EXTENSIONS

#define VITALS_TARGET
#define VITALS_VECTOR __attribute__((always_inline)) inline

namespace vitals::inline v0::backend::cpu::baseline {

VITALS_VECTOR V square_root(V x) {
  for (std::size_t i = 0; i < width; ++i) x[i] = __builtin_sqrtf(x[i]);
  return x;
}

#include <vitals/backend/cpu/softmax_backward_body.inc>

namespace bf16 {
#include <vitals/backend/cpu/softmax_pairs_body.inc>
}

#include <vitals/backend/cpu/gradient_kernels_body.inc>

}  // namespace vitals::inline v0::backend::cpu::baseline

#undef VITALS_TARGET
#undef VITALS_VECTOR

#endif  // VITALS_VECTOR_EXTENSIONS

#if VITALS_X86

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push  // as in kernels.ipp
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

#define VITALS_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")))
#define VITALS_VECTOR VITALS_TARGET __attribute__((always_inline)) inline

namespace vitals::inline v0::backend::cpu::avx512 {

VITALS_VECTOR V square_root(V x) { return _mm512_sqrt_ps(x); }

#include <vitals/backend/cpu/softmax_backward_body.inc>

namespace bf16 {
#include <vitals/backend/cpu/softmax_pairs_body.inc>
}

#include <vitals/backend/cpu/gradient_kernels_body.inc>

}  // namespace vitals::inline v0::backend::cpu::avx512

#undef VITALS_TARGET
#define VITALS_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")))

namespace vitals::inline v0::backend::cpu::avx512::bf16_native {

#include <vitals/backend/cpu/softmax_pairs_body.inc>

constexpr GradientKernels with_pairs(GradientKernels kernels) {
  kernels.softmax_pairs = softmax_pairs;
  return kernels;
}
inline constexpr GradientKernels gradients = with_pairs(avx512::gradients);

}  // namespace vitals::inline v0::backend::cpu::avx512::bf16_native

#undef VITALS_TARGET
#define VITALS_TARGET __attribute__((target("avx2,fma")))

namespace vitals::inline v0::backend::cpu::avx2 {

VITALS_VECTOR V square_root(V x) { return _mm256_sqrt_ps(x); }

#include <vitals/backend/cpu/softmax_backward_body.inc>

namespace bf16 {
#include <vitals/backend/cpu/softmax_pairs_body.inc>
}

#include <vitals/backend/cpu/gradient_kernels_body.inc>

}  // namespace vitals::inline v0::backend::cpu::avx2

#undef VITALS_TARGET
#undef VITALS_VECTOR

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#endif  // VITALS_X86

namespace vitals::inline v0::backend::cpu {

VITALS_INLINE const GradientKernels* gradient_kernels([[maybe_unused]] Isa isa) {
#if VITALS_X86
  if (isa == Isa::avx512bf16) return &avx512::bf16_native::gradients;
  if (isa >= Isa::avx512) return &avx512::gradients;
  if (isa == Isa::avx2) return &avx2::gradients;
#endif
#if VITALS_VECTOR_EXTENSIONS
  return &baseline::gradients;
#else
  return nullptr;
#endif
}

}  // namespace vitals::inline v0::backend::cpu
