// Tensors hold plain numbers.
// EXPECT: Tensor holds plain numbers
#include <string>

#include <vitals/core/tensor.hpp>

int main() {
#ifdef FIXED
  vitals::Tensor<float, 4> t;
#else
  vitals::Tensor<std::string, 4> t;
#endif
  return static_cast<int>(t.size());
}
