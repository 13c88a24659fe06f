// A (B, 384) feature matrix does not enter a function that takes (B, 768).
// EXPECT g++: error: .*Tensor.*384.* to .*TensorView.*768
// EXPECT clang++: no known conversion from .*384>' to .*768>'
#include <vitals/core/tensor.hpp>

namespace vt = vitals;

float first_logit(vt::TensorView<const float, vt::dyn, 768> cls) { return cls(0, 0); }

int main() {
#ifdef FIXED
  vt::Tensor<float, vt::dyn, 768> cls({1, 768});
#else
  vt::Tensor<float, vt::dyn, 384> cls({1, 384});
#endif
  return static_cast<int>(first_logit(cls));
}
