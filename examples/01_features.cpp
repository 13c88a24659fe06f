// Lesson 1: the features of an image. `01_features dinov2_vits14_pretrain.pth chest.png`
#include <cstdio>

#include <vitals/vitals.hpp>

namespace vt = vitals;

int main(int argc, char** argv) try {
  if (argc != 3) return std::fprintf(stderr, "usage: 01_features WEIGHTS IMAGE\n"), 2;
  using Model = vt::ViT<vt::dinov2::vits14, vt::Cpu<float>>;  // a model is a type
  const Model model = vt::load<Model>(argv[1]);               // strict: one error lists every wrong key
  const auto image = vt::io::read_image(argv[2]);             // (H, W, C)
  const auto pixels = vt::transforms::dinov2(224)(image);     // (1, 3, 224, 224)
  const auto out = model(pixels);                             // out.cls (1, 384), out.patches (1, 256, 384)
  for (float v : out.cls) std::printf("%.6g\n", v);
} catch (const vt::Error& error) {
  return std::fprintf(stderr, "01_features: error: %s\n", error.what()), 1;
}
