// The feed-forward part of a block in bfloat16 in training: in both directions the inner numbers (M, H) go from one product to the
// next a tile at a time, and between the two only h is kept, rounded to half its length.
//
// Forward, with h = x W1^T + b1: y += gamma (GELU(h) W2^T + b2).
// Backward: dh = dy diag(gamma) W2 * GELU'(h), dx = dh W1, db1 = the sum of dh's rows, dW1 = dh^T x, dW2 = diag(gamma) dy^T GELU(h).
#pragma once

#include <cstddef>

#include <vitals/backend/cpu/product.hpp>
#include <vitals/backend/feed_forward.hpp>
#include <vitals/core/half.hpp>
#include <vitals/core/config.hpp>
#include <vitals/core/parallel.hpp>

namespace vitals::inline v0::backend::cpu {

/// How many numbers feed_forward_keeping keeps of m rows, W1 (H, K), W2 (K, H). 0 where these weights cannot be joined so: no
/// kernels, or K too long to be summed in one go.
std::size_t feed_forward_kept(std::size_t m, const PackedMatrix<bfloat16>& w1, const PackedMatrix<bfloat16>& w2);

/// feed_forward (product.hpp), giving the same y to the bit; `kept` is for feed_forward_backward, in a form of its own.
void feed_forward_keeping(Executor& executor, const float* x, std::size_t m, const PackedMatrix<bfloat16>& w1,
                          const float* bias1, const PackedMatrix<bfloat16>& w2, const float* bias2, const float* gamma,
                          float* y, float* kept);

/// dy (M, K) -> dx (M, K), added to where `add`; db1 (H), where not null, is added to, and where the weights train theirs are
/// computed; then `kept` is used up. w2t (H, K) is (diag(gamma) W2)^T and w1t (K, H) is W1^T (gradient_product.hpp, transpose).
void feed_forward_backward(Executor& executor, const float* dy, std::size_t m, const PackedMatrix<bfloat16>& w2t,
                           const PackedMatrix<bfloat16>& w1t, float* kept, float* dx, bool add, float* db1,
                           const FeedForwardGradients<float>* weights);

}  // namespace vitals::inline v0::backend::cpu

#if VITALS_HEADER_ONLY
#include <vitals/backend/cpu/gradient_feed_forward.ipp>
#endif
