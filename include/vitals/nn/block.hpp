// A pre-norm Transformer block: x += ls1 * attention(norm1(x)); x += ls2 * mlp(norm2(x)).
// Dosovitskiy et al., "An image is worth 16x16 words", arXiv 2010.11929, equations 2 and 3, with LayerScale.
#pragma once

#include <cstddef>
#include <utility>

#include <vitals/nn/attention.hpp>
#include <vitals/nn/layer_norm.hpp>
#include <vitals/nn/layer_scale.hpp>

namespace vitals::inline v0::nn {

/// FeedForward: Mlp<D, Hidden, B> or SwiGlu<D, Hidden, B>.
template <std::size_t D, std::size_t Heads, class FeedForward, backend::Backend B>
struct Block {
  LayerNorm<D, B> norm1;
  Attention<D, Heads, B> attn;
  LayerScale<D, B> ls1;
  LayerNorm<D, B> norm2;
  FeedForward mlp;
  LayerScale<D, B> ls2;

  template <class Self, class Visit>
  static void members(Self& self, Visit&& visit) {
    visit("norm1", self.norm1);
    visit("attn", self.attn);
    visit("ls1", self.ls1);
    visit("norm2", self.norm2);
    visit("mlp", self.mlp);
    visit("ls2", self.ls2);
  }

  /// x (B, N, D) -> (B, N, D)
  template <class Ctx>
  auto operator()(Ctx& ctx, typename Ctx::template Value<dyn, dyn, D> x, double eps) const {
    const auto before_attention = norm1(ctx, x, eps);
    x = attn.add_to(ctx, std::move(x), before_attention, ls1);
    const auto before_mlp = norm2(ctx, x, eps);
    return mlp.add_to(ctx, std::move(x), before_mlp, ls2);
  }

  /// What operator() gives for the first `count` tokens, (B, count, D), without the work for the others: they are only
  /// looked at. A last block of which nothing but the CLS token is wanted.
  template <class Ctx>
  auto first_tokens(Ctx& ctx, const typename Ctx::template Value<dyn, dyn, D>& x, std::size_t count, double eps) const {
    const auto before_attention = norm1(ctx, x, eps);
    auto y = attn.add_to(ctx, ops::take_tokens(ctx, x, 0, count), before_attention, ls1);
    const auto before_mlp = norm2(ctx, y, eps);
    return mlp.add_to(ctx, std::move(y), before_mlp, ls2);
  }
};

}  // namespace vitals::inline v0::nn
