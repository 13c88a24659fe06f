// The innermost loops of the backward pass and of the optimisers as a table of functions for each instruction set, beside
// those of the forward pass in kernels.hpp. Apart from them, so that a program that only runs models does not pay.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <vitals/backend/cpu/isa.hpp>
#include <vitals/backend/cpu/kernels.hpp>
#include <vitals/backend/steps.hpp>
#include <vitals/core/config.hpp>

namespace vitals::inline v0::backend::cpu {

/// float32 operations. `dx` (and the like) are written, where not said otherwise; n numbers each.
struct GradientKernels {
  /// dx = dy * GELU'(x). dx may be dy.
  void (*gelu)(const float* x, const float* dy, float* dx, std::size_t n);
  /// dy *= GELU'(x) of rows x n numbers, good enough where dy then becomes bfloat16; x as pack_transposed packs bfloat16, two rows
  /// to a lane, [lanes][n], n whole vectors. sums (n), where not null, becomes the sum of dy's rows. The second one also makes x
  /// GELU(x), as Store::gelu does in bfloat16.
  void (*gelu_slope_of_pairs)(std::uint32_t* x, float* dy, std::size_t rows, std::size_t n, float* sums);
  void (*gelu_and_slope_of_pairs)(std::uint32_t* x, float* dy, std::size_t rows, std::size_t n, float* sums);
  /// Backward of silu(gate) * value.
  void (*silu_gate)(const float* gate, const float* value, const float* dy, float* dgate, float* dvalue, std::size_t n);
  /// Rows of d numbers. dx is added to where add is true; dgamma and dbeta (d) are always added to. Each may be null.
  void (*layer_norm)(const float* x, const float* dy, float* dx, std::size_t rows, std::size_t d, const float* gamma,
                     float eps, bool add, float* dgamma, float* dbeta);
  /// s becomes p = softmax(scale * s), dp becomes ds. rows x n, row stride ld; there is room for an even number of rows, and in
  /// each for whole vectors.
  void (*softmax)(float* s, float* dp, std::size_t rows, std::size_t n, std::size_t ld, float scale);
  /// The same for products of bfloat16: p and ds come out as pairs of rows (as ProductKernels::pack_transposed makes them), row
  /// stride ld, and ds as pairs of neighbours too, row stride ld / 2. s and dp are used up; ld is even.
  void (*softmax_pairs)(float* s, float* dp, std::size_t rows, std::size_t n, std::size_t ld, float scale,
                        std::uint32_t* p_pairs, std::uint32_t* ds_pairs, std::uint32_t* ds_rows);
  /// sums (n) += `rows` rows of x, row stride ld, one after the other: the same bits in pieces.
  void (*column_sums)(const float* x, std::size_t ld, std::size_t rows, std::size_t n, float* sums);
  /// y += a x
  void (*add_scaled)(float* y, const float* x, float a, std::size_t n);
  float (*dot)(const float* x, const float* y, std::size_t n);
  /// momentum may be null where o.momentum is 0.
  void (*sgd)(float* w, const float* gradient, float* momentum, std::size_t n, const SgdStep<float>& o);
  void (*adamw)(float* w, const float* gradient, float* mean, float* square, std::size_t n, const AdamWStep<float>& o);
};

/// The table of an instruction set; nullptr where this build has none.
const GradientKernels* gradient_kernels(Isa isa);

namespace detail {

/// Those of the instruction set in use; nullptr for double.
template <class T>
const GradientKernels* gradient_kernels_for() {
  if constexpr (std::is_same_v<T, float>)
    return gradient_kernels(active_isa());
  else
    return nullptr;
}

}  // namespace detail

}  // namespace vitals::inline v0::backend::cpu

#if VITALS_HEADER_ONLY
#include <vitals/backend/cpu/gradient_kernels.ipp>
#endif
