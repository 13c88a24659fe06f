// LayerScale: a learned factor for each channel of a residual branch. Touvron et al., "Going deeper with image
// Transformers", arXiv 2103.17239, equation 6. The product is made where the branch is added (ops::linear_scale_add).
#pragma once

#include <cstddef>

#include <vitals/nn/parameter.hpp>

namespace vitals::inline v0::nn {

template <std::size_t D, backend::Backend B>
struct LayerScale {
  Parameter<B, D> gamma;

  template <class Self, class Visit>
  static void members(Self& self, Visit&& visit) {
    visit("gamma", self.gamma);
  }
};

}  // namespace vitals::inline v0::nn
