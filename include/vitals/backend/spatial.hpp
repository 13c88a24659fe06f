// The closed list of a backend's operations on maps (B, h, w, C), channels last: what segmentation decoders are made of, forward and
// backward side by side. Spatial<B>, specialised for each backend that has decoders, beside concept.hpp and gradients.hpp.
// `concept SpatialBackend` checks it, one named requirement each.
//
// A map is rows of n = C numbers. What is written is overwritten unless an argument `add` says that it is added to.
#pragma once

#include <concepts>
#include <cstddef>
#include <span>

#include <vitals/backend/gradients.hpp>
#include <vitals/backend/resize.hpp>
#include <vitals/backend/window.hpp>
#include <vitals/core/parallel.hpp>

namespace vitals::inline v0::backend {

template <class B>
struct Spatial;

namespace detail {

/// weight (Out, In, kh, kw); parts joined along the channels -> y (B, h', w', Out); the gradients of parts and, added, of weight
template <class B>
concept HasConvolution = requires(Executor& e, const Scalar<B>* x, std::size_t n, Scalar<B>* y, const WindowShape& s,
                                  std::span<const MapPart<const Scalar<B>>> in,
                                  std::span<const MapPart<Scalar<B>>> out) {
  Spatial<B>::convolution(e, in, s, Spatial<B>::pack_kernel(e, x, n, s), x, y);
  Spatial<B>::convolution_input_gradient(e, x, n, x, s, out);
  Spatial<B>::convolution_weight_gradient(e, in, x, n, s, y);
};
/// weight (In, Out, k, k), stride k: x (B, h, w, In) -> y (B, k h, k w, Out)
template <class B>
concept HasTransposedConvolution = requires(Executor& e, const Scalar<B>* x, std::size_t n, Scalar<B>* y) {
  Spatial<B>::transposed_convolution(e, x, n, n, n, Spatial<B>::pack_transposed_kernel(e, x, n, n, n), n, x, y);
  Spatial<B>::transposed_convolution_input_gradient(e, x, n, n, n, x, n, n, n, true, y);
  Spatial<B>::transposed_convolution_weight_gradient(e, x, x, n, n, n, n, n, n, y);
};
/// mean and biased variance of columns; y = x scale + shift (and ReLU); the sums and the rest of the way back (cpu/maps.hpp)
template <class B>
concept HasBatchNorm = requires(Executor& e, const Scalar<B>* x, std::size_t n, Scalar<B>* y) {
  Spatial<B>::column_moments(e, x, n, n, y, y);
  Spatial<B>::scale_shift(e, x, n, n, x, x, true, y);
  Spatial<B>::norm_sums(e, x, x, n, n, x, x, x, true, y, y);
  Spatial<B>::norm_backward(e, x, x, n, n, x, x, x, x, x, true, true, y);
};
/// the positive part, in place too; largest of squares, whose gradient is added
template <class B>
concept HasReluAndPool = requires(Executor& e, const Scalar<B>* x, std::size_t n, Scalar<B>* y) {
  Spatial<B>::relu(e, x, n, y);
  Spatial<B>::relu_backward(e, x, x, n, y);
  Spatial<B>::max_pool(e, x, n, n, n, n, n, y);
  Spatial<B>::max_pool_backward(e, x, x, n, n, n, n, n, y);
};
/// exp of n numbers on the calling thread, in place too
template <class B>
concept HasExponentials = requires(const Scalar<B>* x, std::size_t n, Scalar<B>* y) {
  Spatial<B>::exponentials(x, n, y);
};
/// weighted sums of neighbours along both axes; with taps turned round the way back
template <class B>
concept HasResize = requires(Executor& e, const Scalar<B>* x, std::size_t n, const Taps<Scalar<B>>& taps,
                             Scalar<B>* y) {
  Spatial<B>::resize(e, x, n, n, taps, taps, true, y);
};

}  // namespace detail

template <class B>
concept SpatialBackend = Differentiable<B> && detail::HasConvolution<B> && detail::HasTransposedConvolution<B> &&
    detail::HasBatchNorm<B> && detail::HasReluAndPool<B> && detail::HasExponentials<B> && detail::HasResize<B>;

}  // namespace vitals::inline v0::backend
