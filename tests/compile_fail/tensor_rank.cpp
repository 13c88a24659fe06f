// An element is named by as many indices as the tensor has axes.
// EXPECT: no match for call to|no matching function for call to object of type
#include <vitals/core/tensor.hpp>

namespace vt = vitals;

int main() {
  vt::Tensor<float, vt::dyn, 3, 224, 224> pixels({1, 3, 224, 224});
#ifdef FIXED
  return static_cast<int>(pixels(0, 0, 0, 0));
#else
  return static_cast<int>(pixels(0, 0, 0));
#endif
}
