// The closed list of operations that a backend offers. A backend is a policy: a type with these static functions, which
// take sizes at run time and are templated on nothing but the scalar. `concept Backend` checks a policy against the
// list, one named requirement each, so that a policy that lacks an operation says which one at compile time.
//
// Pointers are to the backend's own memory (Buffer); upload and download are the only ways across. Letters: m rows,
// B batch, N tokens, H heads, d width of a head, D width of the model, P patch size.
#pragma once

#include <concepts>
#include <cstddef>

#include <vitals/core/parallel.hpp>

namespace vitals::inline v0::backend {

namespace detail {

template <class B>
using Scalar = typename B::Scalar;

/// Buffer(n): memory for n scalars, movable, data(), size(). Weight: a matrix (out, in) in packed form.
template <class B>
concept HasStorage = requires(std::size_t n, const typename B::Weight w) {
  typename B::Scalar;
  { typename B::Buffer(n).data() } -> std::same_as<typename B::Scalar*>;
  { w.rows() } -> std::same_as<std::size_t>;
  { w.cols() } -> std::same_as<std::size_t>;
};

/// Host float32 to the backend's memory and scalar.
template <class B>
concept HasUpload = requires(const float* host, std::size_t n, Scalar<B>* to) {
  B::upload(host, n, to);
};
/// And back.
template <class B>
concept HasDownload = requires(const Scalar<B>* from, std::size_t n, float* host) {
  B::download(from, n, host);
};
/// Within the backend's memory.
template <class B>
concept HasCopy = requires(const Scalar<B>* from, std::size_t n, Scalar<B>* to) {
  B::copy(from, n, to);
};
/// A host weight (out, in), row-major, to its packed form; unpack is the inverse.
template <class B>
concept HasPack = requires(Executor& e, const float* host, std::size_t n, const typename B::Weight& w, float* to) {
  { B::pack(e, host, n, n) } -> std::same_as<typename B::Weight>;
  B::unpack(w, to);
};
/// y (m, out) = x (m, in) W^T + bias
template <class B>
concept HasLinear = requires(Executor& e, const Scalar<B>* x, std::size_t m, const typename B::Weight& w,
                             Scalar<B>* y) {
  B::linear(e, x, m, w, x, y);
};
/// y = GELU(x W^T + bias), exact erf
template <class B>
concept HasLinearGelu = requires(Executor& e, const Scalar<B>* x, std::size_t m, const typename B::Weight& w,
                                 Scalar<B>* y) {
  B::linear_gelu(e, x, m, w, x, y);
};
/// y += gamma * (x W^T + bias)
template <class B>
concept HasLinearScaleAdd = requires(Executor& e, const Scalar<B>* x, std::size_t m, const typename B::Weight& w,
                                     Scalar<B>* y) {
  B::linear_scale_add(e, x, m, w, x, x, y);
};
/// y += gamma * (GELU(x W1^T + bias1) W2^T + bias2)
template <class B>
concept HasFeedForward = requires(Executor& e, const Scalar<B>* x, std::size_t m, const typename B::Weight& w,
                                  Scalar<B>* y) {
  B::feed_forward(e, x, m, w, x, w, x, x, y);
};
/// y (m, out; row stride ldy) += scale * (x W^T); scale (out) may be null
template <class B>
concept HasLinearAdd = requires(Executor& e, const Scalar<B>* x, std::size_t m, const typename B::Weight& w,
                                Scalar<B>* y) {
  B::linear_add(e, x, m, w, x, y, m);
};
/// y = x * Phi(x), n numbers; y may be x
template <class B>
concept HasGelu = requires(Executor& e, const Scalar<B>* x, Scalar<B>* y, std::size_t n) {
  B::gelu(e, x, y, n);
};
/// rows of D, biased variance
template <class B>
concept HasLayerNorm = requires(Executor& e, const Scalar<B>* x, Scalar<B>* y, std::size_t m, Scalar<B> eps) {
  B::layer_norm(e, x, y, m, m, x, x, eps);
};
/// qkv (B, N, 3, H, d) -> (B, Q, H, d), the first Q tokens of each image asking all N; and (B, H, Q, N) where the last
/// pointer is not null
template <class B>
concept HasAttention = requires(Executor& e, const Scalar<B>* x, Scalar<B>* y, std::size_t n) {
  B::attention(e, x, n, n, n, n, n, y, y);
};
/// (m, 2 h) -> (m, h): silu(first half) * second half
template <class B>
concept HasSiluGate = requires(Executor& e, const Scalar<B>* x, Scalar<B>* y, std::size_t m) {
  B::silu_gate(e, x, y, m, m);
};
/// pixels (B, 3, H, W) -> (B * H/P * W/P, 3 P P)
template <class B>
concept HasPatches = requires(Executor& e, const Scalar<B>* x, Scalar<B>* y, std::size_t n) {
  B::patches(e, x, n, n, n, n, y);
};
/// tokens (B, 1 + R + p, D): the CLS token, R registers and p patch rows of each image, with positions (1 + p, D) added
/// to CLS and patches
template <class B>
concept HasAssemble = requires(Executor& e, const Scalar<B>* x, Scalar<B>* y, std::size_t n) {
  B::assemble_tokens(e, x, x, x, x, n, n, n, n, y);
};

}  // namespace detail

template <class B>
concept Backend = detail::HasStorage<B> && detail::HasUpload<B> && detail::HasDownload<B> && detail::HasCopy<B> &&
    detail::HasPack<B> && detail::HasLinear<B> && detail::HasLinearGelu<B> && detail::HasLinearScaleAdd<B> &&
    detail::HasFeedForward<B> && detail::HasLinearAdd<B> && detail::HasGelu<B> && detail::HasLayerNorm<B> &&
    detail::HasAttention<B> && detail::HasSiluGate<B> && detail::HasPatches<B> && detail::HasAssemble<B>;

}  // namespace vitals::inline v0::backend
