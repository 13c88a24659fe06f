// Multi-head self-attention with a fused query-key-value projection. Vaswani et al., "Attention is all you need", arXiv
// 1706.03762, section 3.2; the order of the rows of qkv (q, k, v; heads inside) is that of timm and DINOv2.
#pragma once

#include <cstddef>
#include <utility>

#include <vitals/autograd/eval.hpp>
#include <vitals/nn/layer_scale.hpp>
#include <vitals/nn/linear.hpp>

namespace vitals::inline v0::nn {

template <std::size_t D, std::size_t Heads, backend::Backend B>
struct Attention {
  static_assert(D % Heads == 0, "Attention: the width is not a multiple of the number of heads");

  Linear<D, 3 * D, B> qkv;
  Linear<D, D, B> proj;

  template <class Self, class Visit>
  static void members(Self& self, Visit&& visit) {
    visit("qkv", self.qkv);
    visit("proj", self.proj);
  }

  /// residual + ls * proj(attention(x)); x (B, N, D), residual (B, Q, D) the first Q <= N tokens: those that ask
  template <class Ctx>
  auto add_to(Ctx& ctx, typename Ctx::template Value<dyn, dyn, D> residual,
              const typename Ctx::template Value<dyn, dyn, D>& x, const LayerScale<D, B>& ls) const {
    const auto mixed = ops::attention<Heads>(ctx, qkv(ctx, x), residual.extent(1));
    return ops::linear_scale_add(ctx, std::move(residual), mixed, proj.weight, proj.bias, ls.gamma);
  }
};

}  // namespace vitals::inline v0::nn
