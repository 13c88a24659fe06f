// Patch embedding: a convolution with kernel and stride P, as one product over flattened patches. Tokens run row by row.
#pragma once

#include <cstddef>

#include <vitals/autograd/eval.hpp>
#include <vitals/nn/parameter.hpp>

namespace vitals::inline v0::nn {

template <std::size_t P, std::size_t D, backend::Backend B>
struct PatchEmbed {
  struct Projection {
    Weight<B, D, 3, P, P> weight;
    Parameter<B, D> bias;

    template <class Self, class Visit>
    static void members(Self& self, Visit&& visit) {
      visit("weight", self.weight);
      visit("bias", self.bias);
    }
  } proj;

  template <class Self, class Visit>
  static void members(Self& self, Visit&& visit) {
    visit("proj", self.proj);
  }

  /// pixels (B, 3, H, W) -> (B, H/P * W/P, D)
  template <class Ctx>
  auto operator()(Ctx& ctx, TensorView<const float, dyn, 3, dyn, dyn> pixels) const {
    return ops::linear<D>(ctx, ops::patches<P>(ctx, pixels), proj.weight, proj.bias);
  }
};

}  // namespace vitals::inline v0::nn
