// SwiGLU feed-forward: w3(silu(w1 x) * (w2 x)), with w1 and w2 fused into w12 (first half gate, second half value).
// Shazeer, "GLU variants improve Transformer", arXiv 2002.05202; what DINOv2's ViT-g uses.
#pragma once

#include <cstddef>
#include <utility>

#include <vitals/autograd/eval.hpp>
#include <vitals/nn/layer_scale.hpp>
#include <vitals/nn/linear.hpp>

namespace vitals::inline v0::nn {

template <std::size_t D, std::size_t Hidden, backend::Backend B>
struct SwiGlu {
  Linear<D, 2 * Hidden, B> w12;
  Linear<Hidden, D, B> w3;

  template <class Self, class Visit>
  static void members(Self& self, Visit&& visit) {
    visit("w12", self.w12);
    visit("w3", self.w3);
  }

  /// residual + ls * swiglu(x); residual, x (B, N, D)
  template <class Ctx>
  auto add_to(Ctx& ctx, typename Ctx::template Value<dyn, dyn, D> residual,
              const typename Ctx::template Value<dyn, dyn, D>& x, const LayerScale<D, B>& ls) const {
    const auto hidden = ops::silu_gate(ctx, w12(ctx, x));
    return ops::linear_scale_add(ctx, std::move(residual), hidden, w3.weight, w3.bias, ls.gamma);
  }
};

}  // namespace vitals::inline v0::nn
