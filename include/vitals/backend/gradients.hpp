// The closed list of a backend's backward operations: Gradients<B>, specialised for each backend that can train, beside
// the forward list in concept.hpp. `concept Differentiable` checks it, one named requirement each.
//
// Letters as in concept.hpp. What is written is overwritten unless a last argument `add` says that it is added to; what a
// comment calls a sum is always added to.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>

#include <vitals/backend/concept.hpp>
#include <vitals/backend/feed_forward.hpp>
#include <vitals/backend/low_rank.hpp>
#include <vitals/backend/steps.hpp>
#include <vitals/core/parallel.hpp>

namespace vitals::inline v0::backend {

template <class B>
struct Gradients;

namespace detail {

/// dx (m, in; stride) = dy (m, out; stride) diag(scale) W; scale (out) may be null. transpose: to (in, out) = (diag(scale) W)^T,
/// for a product that is made many times: B::linear(e, dy, m, to, nullptr, dx) gives the same numbers.
template <class B>
concept HasInputGradient = requires(Executor& e, const Scalar<B>* dy, std::size_t n, const typename B::Weight& w,
                                    Scalar<B>* dx, typename B::Weight& to) {
  Gradients<B>::input_gradient(e, dy, n, n, w, dy, dx, n, true);
  Gradients<B>::transpose(e, w, dy, to);
};
/// dw (out, in) = dy (m, out; stride)^T x (m, in; stride); sums (out) += the sum of dy's rows, a last argument that may be missing
/// or null
template <class B>
concept HasWeightGradient = requires(Executor& e, const Scalar<B>* dy, std::size_t n, Scalar<B>* dw) {
  Gradients<B>::weight_gradient(e, dy, n, dy, n, n, n, n, dw, true);
  Gradients<B>::weight_gradient(e, dy, n, dy, n, n, n, n, dw, true, dw);
};
/// sums (n) += the sum of rows; y += a x; of a matrix g shaped like W: sums (out) += rowsum(W * g), dw = diag(scale) g or added to
/// dw; the sum of squares
template <class B>
concept HasSums = requires(Executor& e, const Scalar<B>* x, std::size_t n, Scalar<B>* y, const typename B::Weight& w) {
  Gradients<B>::column_sums(e, x, n, n, n, y);
  Gradients<B>::add_scaled(e, x, Scalar<B>(1), y, n);
  Gradients<B>::scale_rows_and_dots(e, w, x, x, y, true, y);
  { Gradients<B>::sum_of_squares(e, x, n) } -> std::same_as<double>;
};
/// dx = dy GELU'(x); dx may be dy
template <class B>
concept HasGeluBackward = requires(Executor& e, const Scalar<B>* x, std::size_t n, Scalar<B>* dx) {
  Gradients<B>::gelu(e, x, x, dx, n);
};
/// x (m, 2 h), dy (m, h) -> dx (m, 2 h)
template <class B>
concept HasSiluGateBackward = requires(Executor& e, const Scalar<B>* x, std::size_t n, Scalar<B>* dx) {
  Gradients<B>::silu_gate(e, x, x, dx, n, n);
};
/// x, dy (m, d), gamma -> dx (m, d); dgamma and dbeta (d) are sums; each of the three may be null
template <class B>
concept HasLayerNormBackward = requires(Executor& e, const Scalar<B>* x, std::size_t n, Scalar<B>* dx) {
  Gradients<B>::layer_norm(e, x, x, dx, n, n, x, Scalar<B>(1), true, dx, dx);
};
/// qkv (B, N, 3, H, d), dout (B, N, H, d) -> dqkv
template <class B>
concept HasAttentionBackward = requires(Executor& e, const Scalar<B>* x, std::size_t n, Scalar<B>* dx) {
  Gradients<B>::attention(e, x, x, n, n, n, n, dx);
};
/// The first queries alone asked: qkv, dout (B, queries, H, d) -> all of dqkv
template <class B>
concept HasAttentionFirstBackward = requires(Executor& e, const Scalar<B>* x, std::size_t n, Scalar<B>* y) {
  Gradients<B>::attention_first_backward(e, x, x, n, n, n, n, n, y);
};
/// y = x with numbers dropped by Philox(seed, stream)
template <class B>
concept HasDropout = requires(Executor& e, const Scalar<B>* x, std::size_t n, Scalar<B>* y) {
  Gradients<B>::dropout(e, x, y, n, 0.5, std::uint64_t{1}, std::uint64_t{1}, true);
};
/// exact_weights: whether the packed form holds every Scalar exactly. unpack: all of W, row-major. update: f(values, begin, n) on
/// pieces of W's row-major values, which are then packed again; `master`, where not null, holds them.
template <class B>
concept HasUpdate = requires(Executor& e, typename B::Weight& w, Scalar<B>* master,
                             void (*f)(Scalar<B>*, std::size_t, std::size_t)) {
  { Gradients<B>::exact_weights } -> std::convertible_to<bool>;
  Gradients<B>::unpack(e, w, master);
  Gradients<B>::update(e, w, master, f);
};

/// In place on n numbers, on the calling thread; momentum may be null.
template <class B>
concept HasSteps = requires(Scalar<B>* w, std::size_t n, const SgdStep<Scalar<B>>& sgd,
                            const AdamWStep<Scalar<B>>& adamw) {
  Gradients<B>::sgd(w, w, w, n, sgd);
  Gradients<B>::adamw(w, w, w, w, n, adamw);
};

}  // namespace detail

template <class B>
concept Differentiable = Backend<B> && detail::HasInputGradient<B> && detail::HasWeightGradient<B> &&
    detail::HasSums<B> && detail::HasGeluBackward<B> && detail::HasSiluGateBackward<B> &&
    detail::HasLayerNormBackward<B> && detail::HasAttentionBackward<B> && detail::HasAttentionFirstBackward<B> &&
    detail::HasDropout<B> && detail::HasUpdate<B>;

// Not on the list, for they can be made of what is.

/// The feed-forward part of a block as one operation: forward as B::feed_forward, writing feed_forward_kept(m, W1, W2) numbers for
/// the way back (where that is 0, neither is called); backward dy -> dx, db1 (h), where not null, is a sum, and where the last
/// argument is not null the weights' gradients too, which uses up what was kept. Transposed weights as in transpose: W2 with gamma,
/// W1 without.
template <class B>
concept HasJoinedFeedForward = requires(Executor& e, const detail::Scalar<B>* x, std::size_t m, const typename B::Weight& w,
                                        detail::Scalar<B>* y, const FeedForwardGradients<detail::Scalar<B>>* weights) {
  { Gradients<B>::feed_forward_kept(m, w, w) } -> std::same_as<std::size_t>;
  Gradients<B>::feed_forward_keeping(e, x, m, w, x, w, x, x, y, y);
  Gradients<B>::feed_forward_backward(e, x, m, w, w, y, y, true, y, weights);
};
/// y = x W^T + bias, or, `add`, y += gamma * (x W^T + bias), with a part of low
/// rank in one go.
template <class B>
concept HasProductWithLowRank = requires(Executor& e, const detail::Scalar<B>* x, std::size_t m, const typename B::Weight& w,
                                         detail::Scalar<B>* y, const LowRankPart<detail::Scalar<B>>& part) {
  Gradients<B>::product_with_low_rank(e, x, m, w, x, x, y, true, part);
};

}  // namespace vitals::inline v0::backend
