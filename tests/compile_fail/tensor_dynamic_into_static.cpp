// A width known at run time only does not silently become a static one.
// EXPECT g++: error: .*Tensor.* to .*TensorView.*768
// EXPECT clang++: no known conversion from .* to .*768>'
#include <vitals/core/tensor.hpp>

namespace vt = vitals;

float first_logit(vt::TensorView<const float, vt::dyn, 768> cls) { return cls(0, 0); }

int main() {
  vt::Tensor<float, vt::dyn, vt::dyn> features({1, 768});
#ifdef FIXED
  vt::Tensor<float, vt::dyn, 768> cls(std::move(features));  // checked: throws ShapeError for another width
#else
  auto& cls = features;
#endif
  return static_cast<int>(first_logit(cls));
}
