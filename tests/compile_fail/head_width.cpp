// A head for 768-wide features does not fit behind ViT-S, whose features are 384 wide.
// EXPECT: Linear: the width of the features is not the width this head was declared with
// EXPECT: 384 *== *768|Width = 384|'384UL == 768UL'
#include <vitals/models/dinov2.hpp>
#include <vitals/nn/linear.hpp>

namespace vt = vitals;

#ifdef FIXED
constexpr std::size_t width = 384;
#else
constexpr std::size_t width = 768;
#endif

vt::Tensor<float, vt::dyn, 2> logits(const vt::ViT<vt::dinov2::vits14, vt::Cpu<float>>& model,
                                     const vt::nn::Linear<width, 2, vt::Cpu<float>>& head,
                                     vt::TensorView<const float, vt::dyn, 3, vt::dyn, vt::dyn> pixels) {
  return head(model(pixels).cls);
}

int main() {}
