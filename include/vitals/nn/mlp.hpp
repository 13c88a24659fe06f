// The feed-forward part of a block: fc2(GELU(fc1(x))), with the exact (erf) GELU.
#pragma once

#include <cstddef>
#include <utility>

#include <vitals/autograd/eval.hpp>
#include <vitals/nn/layer_scale.hpp>
#include <vitals/nn/linear.hpp>

namespace vitals::inline v0::nn {

template <std::size_t D, std::size_t Hidden, backend::Backend B>
struct Mlp {
  Linear<D, Hidden, B> fc1;
  Linear<Hidden, D, B> fc2;

  template <class Self, class Visit>
  static void members(Self& self, Visit&& visit) {
    visit("fc1", self.fc1);
    visit("fc2", self.fc2);
  }

  /// residual + ls * mlp(x); residual, x (B, N, D)
  template <class Ctx>
  auto add_to(Ctx& ctx, typename Ctx::template Value<dyn, dyn, D> residual,
              const typename Ctx::template Value<dyn, dyn, D>& x, const LayerScale<D, B>& ls) const {
    return ops::feed_forward<Hidden>(ctx, std::move(residual), x, fc1.weight, fc1.bias, fc2.weight, fc2.bias, ls.gamma);
  }
};

}  // namespace vitals::inline v0::nn
