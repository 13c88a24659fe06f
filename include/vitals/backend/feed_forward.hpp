// What the way back of a feed-forward part computes beside dx where its weights train.
#pragma once

namespace vitals::inline v0::backend {

/// With h (M, H) = x W1^T + b1 and dh its gradient.
template <class Scalar>
struct FeedForwardGradients {
  const Scalar* x = nullptr;  ///< (M, K), for dw1
  Scalar* dw1 = nullptr;      ///< (H, K) = dh^T x, or null
  bool add_to_dw1 = false;
  Scalar* g2 = nullptr;    ///< (K, H) = dy^T GELU(h), the gradient of diag(gamma) W2, or null
  Scalar* sums = nullptr;  ///< (K), += the sum of dy's rows where g2 is made, or null
  Scalar* dh = nullptr;    ///< room of feed_forward_kept numbers
};

}  // namespace vitals::inline v0::backend
