// LayerNorm over the width: (x - mean) / sqrt(variance + eps) * weight + bias. Ba, Kiros, Hinton, arXiv 1607.06450.
#pragma once

#include <cstddef>

#include <vitals/autograd/eval.hpp>
#include <vitals/nn/parameter.hpp>

namespace vitals::inline v0::nn {

template <std::size_t D, backend::Backend B>
struct LayerNorm {
  Parameter<B, D> weight, bias;

  template <class Self, class Visit>
  static void members(Self& self, Visit&& visit) {
    visit("weight", self.weight);
    visit("bias", self.bias);
  }

  /// x (B, N, D) -> (B, N, D)
  template <class Ctx>
  auto operator()(Ctx& ctx, const typename Ctx::template Value<dyn, dyn, D>& x, double eps) const {
    return ops::layer_norm(ctx, x, weight, bias, eps);
  }
};

}  // namespace vitals::inline v0::nn
