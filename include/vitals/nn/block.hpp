// A pre-norm Transformer block: x += ls1 * attention(norm1(x)); x += ls2 * mlp(norm2(x)).
// Dosovitskiy et al., "An image is worth 16x16 words", arXiv 2010.11929, equations 2 and 3, with LayerScale.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include <vitals/nn/attention.hpp>
#include <vitals/nn/layer_norm.hpp>
#include <vitals/nn/layer_scale.hpp>

namespace vitals::inline v0::nn {

/// Which of a model's blocks one is: only drop path asks.
struct Place {
  std::uint64_t index = 0, count = 1;
  /// 0 the first, 1 the last.
  double depth() const { return count > 1 ? static_cast<double>(index) / static_cast<double>(count - 1) : 1; }
};

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
  auto operator()(Ctx& ctx, typename Ctx::template Value<dyn, dyn, D> x, double eps, const Place& place = {}) const {
    const auto before_attention = norm1(ctx, x, eps);
    return add_branches(ctx, std::move(x), before_attention, eps, place);
  }

  /// What operator() gives for the first `count` tokens, (B, count, D), without the work for the others: they are only
  /// looked at. A last block of which nothing but the CLS token is wanted.
  template <class Ctx>
  auto first_tokens(Ctx& ctx, const typename Ctx::template Value<dyn, dyn, D>& x, std::size_t count, double eps,
                    const Place& place = {}) const {
    const auto before_attention = norm1(ctx, x, eps);
    return add_branches(ctx, ops::take_tokens(ctx, x, 0, count), before_attention, eps, place);
  }

 private:
  // Both branches, on the residual (B, Q, D); before_attention (B, N, D).
  template <class Ctx>
  auto add_branches(Ctx& ctx, typename Ctx::template Value<dyn, dyn, D> x,
                    const typename Ctx::template Value<dyn, dyn, D>& before_attention, double eps,
                    const Place& place) const {
    using Value = typename Ctx::template Value<dyn, dyn, D>;
    x = ops::residual_branch(ctx, std::move(x), {2 * place.index, place.depth()},
                             [&](Value r) { return attn.add_to(ctx, std::move(r), before_attention, ls1); });
    const auto before_mlp = norm2(ctx, x, eps);
    return ops::residual_branch(ctx, std::move(x), {2 * place.index + 1, place.depth()},
                                [&](Value r) { return mlp.add_to(ctx, std::move(r), before_mlp, ls2); });
  }
};

}  // namespace vitals::inline v0::nn
