// A tensor that may not be written does not enter a function that writes.
// EXPECT g++: error: .*Tensor.* to .*TensorView
// EXPECT clang++: no known conversion from 'const .*Tensor.* to .*TensorView
#include <vitals/core/tensor.hpp>

namespace vt = vitals;

void normalise(vt::TensorView<float, vt::dyn, 384> cls) { cls(0, 0) = 1; }

int main() {
#ifdef FIXED
  vt::Tensor<float, vt::dyn, 384> cls({1, 384});
#else
  const vt::Tensor<float, vt::dyn, 384> cls({1, 384});
#endif
  normalise(cls);
}
