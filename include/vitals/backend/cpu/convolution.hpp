// Convolutions of maps (B, h, w, C), channels last, on the packed products of the linear layers. A convolution is a sum over the rows
// of its kernel: with a border of zeros around the map, the numbers under one row of the kernel stand side by side in memory, kw C of
// them, and those of the next pixel begin C further on. So row ky is a plain product
//
//   Y += X_ky W_ky^T,   X_ky (pixels, kw C; row stride C),   W_ky (Out, kw C)
//
// and no column matrix (im2col) is ever written; only the bordered copy of a few rows of the map, in cache. The way back to the input
// is the same with dY and the kernel turned by half a turn; dW_ky = dY^T X_ky.
//
// Where Out is small, a panel of the product holds the results of a few neighbouring pixels: the kernel stands in it as often, each
// time In columns further on. (What is not a number spreads over those pixels.) Kernels of 3 x 3 between maps of many channels go
// another way (winograd.hpp).
//
// Several maps of equal size may stand for their concatenation along the channels: they are joined in the bordered copy.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include <vitals/backend/cpu/product.hpp>
#include <vitals/backend/window.hpp>
#include <vitals/core/config.hpp>
#include <vitals/core/parallel.hpp>

namespace vitals::inline v0::backend::cpu {

/// A convolution's weight (Out, In, kh, kw), row-major as PyTorch has it, ready for products: a matrix for each row, or
/// transformed (winograd.hpp).
template <class T>
struct PackedKernel {
  std::vector<PackedMatrix<T>> rows;  ///< (Out, kw In) each, or (P Out, (P + kw - 1) In) of P = `pixels` neighbours
  std::size_t pixels = 1;
  std::vector<PackedMatrix<T>> transformed;  ///< 16 of (Out, In), or none
};

template <class T>
PackedKernel<T> pack_kernel(Executor& executor, const Wide<T>* weight, std::size_t out, const WindowShape& shape);

/// inputs joined (B, h, w, In) -> y (B, h', w', Out); bias (Out) may be null.
template <class T>
void convolution(Executor& executor, std::span<const MapPart<const Wide<T>>> inputs, const WindowShape& shape,
                 const PackedKernel<T>& kernel, const Wide<T>* bias, Wide<T>* y);

/// dy (B, h', w', Out) -> the gradients of the inputs; a part without data is left out.
template <class T>
void convolution_input_gradient(Executor& executor, const Wide<T>* dy, std::size_t out, const Wide<T>* weight,
                                const WindowShape& shape, std::span<const MapPart<Wide<T>>> gradients);

/// dw (Out, In, kh, kw) is added to.
template <class T>
void convolution_weight_gradient(Executor& executor, std::span<const MapPart<const Wide<T>>> inputs, const Wide<T>* dy,
                                 std::size_t out, const WindowShape& shape, Wide<T>* dw);

// A transposed convolution whose stride is the size of its kernel, k x k: each pixel becomes a square of pixels. Its weight is
// (In, Out, k, k), as PyTorch has it; it is a product with (k k Out, In) and a change of places.

template <class T>
PackedMatrix<T> pack_transposed_kernel(Executor& executor, const Wide<T>* weight, std::size_t in, std::size_t out,
                                       std::size_t k);
/// x (B, h, w, In) -> y (B, k h, k w, Out); bias (Out) may be null.
template <class T>
void transposed_convolution(Executor& executor, const Wide<T>* x, std::size_t batch, std::size_t h, std::size_t w,
                            const PackedMatrix<T>& kernel, std::size_t k, const Wide<T>* bias, Wide<T>* y);
/// dx is written, or added to where `add`; kernel as packed for the way forward.
template <class T>
void transposed_convolution_input_gradient(Executor& executor, const Wide<T>* dy, std::size_t batch, std::size_t h,
                                           std::size_t w, const Wide<T>* weight, std::size_t in, std::size_t out,
                                           std::size_t k, bool add, Wide<T>* dx);
/// dw (In, Out, k, k) is added to.
template <class T>
void transposed_convolution_weight_gradient(Executor& executor, const Wide<T>* x, const Wide<T>* dy, std::size_t batch,
                                            std::size_t h, std::size_t w, std::size_t in, std::size_t out,
                                            std::size_t k, Wide<T>* dw);

}  // namespace vitals::inline v0::backend::cpu

#if VITALS_HEADER_ONLY
#include <vitals/backend/cpu/convolution.ipp>
#endif
