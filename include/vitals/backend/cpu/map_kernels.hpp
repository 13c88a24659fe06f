// The innermost loops of what decoders do on maps (B, h, w, C), channels last, as a table of functions for each instruction set:
// batch norm, ReLU, weighted sums of rows (resizing), exponentials (losses). Apart from kernels.hpp, so that a program that only
// runs models does not pay.
#pragma once

#include <cstddef>

#include <vitals/backend/cpu/isa.hpp>
#include <vitals/backend/cpu/kernels.hpp>
#include <vitals/core/config.hpp>

namespace vitals::inline v0::backend::cpu {

/// T float or double. x, y, dy, dx: `rows` rows of n numbers without gaps; the other arrays hold n numbers, one a column. With
/// `relu` what stands behind is max(x scale + shift, 0), and dy counts where that is positive.
template <class T>
struct MapKernels {
  /// The mean of every column and the sum of the squared distances from it.
  void (*moments)(const T* x, std::size_t rows, std::size_t n, T* mean, T* squares);
  /// y = x scale + shift, or its positive part. y may be x.
  void (*scale_shift)(const T* x, std::size_t rows, std::size_t n, const T* scale, const T* shift, bool relu, T* y);
  /// sums += the sum of dy, dots += the sum of dy (x - mean).
  void (*norm_sums)(const T* x, const T* dy, std::size_t rows, std::size_t n, const T* scale, const T* shift,
                    const T* mean, bool relu, T* sums, T* dots);
  /// dx = scale (dy - first - (x - mean) second), added to dx where `add`. dx may be dy.
  void (*norm_backward)(const T* x, const T* dy, std::size_t rows, std::size_t n, const T* scale, const T* shift,
                        const T* mean, const T* first, const T* second, bool relu, bool add, T* dx);
  /// y = the positive part of x; dx = dy where y > 0, else 0. n numbers; y may be x, dx may be dy.
  void (*relu)(const T* x, std::size_t n, T* y);
  void (*relu_backward)(const T* y, const T* dy, std::size_t n, T* dx);
  /// y = the sum of weights[k] * rows[k], n numbers each; added to y where `add`.
  void (*weighted_sum)(const T* const* rows, const T* weights, std::size_t count, std::size_t n, bool add, T* y);
  /// B^T d B of winograd.hpp for n channels: d is 16 pixels, row by row, at pixels[k]; result p goes to `to + p plane`.
  void (*winograd_input)(const T* const* pixels, std::size_t n, T* to, std::size_t plane);
  /// A dy A^T of it, of 4 pixels.
  void (*winograd_gradient)(const T* const* pixels, std::size_t n, T* to, std::size_t plane);
  /// A^T m A + bias for n channels: number p of m stands at `m + p plane`; the 4 results go to pixels[k], or are added there; those
  /// whose address is null are dropped. bias may be null.
  void (*winograd_output)(const T* m, std::size_t plane, std::size_t n, const T* bias, bool add, T* const* pixels);
  /// y = exp(x), n numbers; in float x is clamped to [-87, 88]. y may be x.
  void (*exponentials)(const T* x, std::size_t n, T* y);
};

/// The table of an instruction set; double has one for all.
template <class T>
const MapKernels<T>& map_kernels(Isa isa);
template <>
VITALS_INLINE const MapKernels<float>& map_kernels<float>(Isa isa);
template <>
VITALS_INLINE const MapKernels<double>& map_kernels<double>(Isa isa);

}  // namespace vitals::inline v0::backend::cpu

#if VITALS_HEADER_ONLY
#include <vitals/backend/cpu/map_kernels.ipp>
#endif
