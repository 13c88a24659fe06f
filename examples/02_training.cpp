// Lesson 2: a training loop. A small model of your own learns to tell drawn chest films with fluid in the chest from those
// without: `02_training`. With dinov2::vits14 and vt::load it is the same loop; docs/training.md goes on from here.
#include <cstdio>

#include <vitals/data/phantom.hpp>
#include <vitals/training.hpp>

namespace vt = vitals;

inline constexpr vt::ViTConfig tiny{.dim = 64, .depth = 2, .heads = 2, .patch = 14, .grid = 4};

int main() try {
  vt::Tensor<float, vt::dyn, 3, vt::dyn, vt::dyn> pixels({32, 3, 56, 56});
  std::vector<std::size_t> labels;
  for (std::size_t i = 0; i < 32; ++i) {
    vt::phantom::Options film{.height = 56, .width = 56, .patient = i};
    if (i % 2) film.findings = {vt::phantom::Finding::effusion};
    vt::transforms::paper(56)(vt::phantom::chest(film).image, pixels[i]);
    labels.push_back(i % 2);
  }

  vt::ViT<tiny, vt::Cpu<float>> model(1);         // random values of seed 1
  vt::nn::Linear<64, 2, vt::Cpu<float>> head(2);  // Linear<128, 2> would not compile below
  vt::train::AdamW optimizer(vt::trainable(model, head), {.lr = 1e-3});
  vt::Tape tape;  // through all steps, for its memory
  for (int step = 1; step <= 100; ++step) {
    const auto loss = vt::losses::cross_entropy(head(model.cls(tape, pixels)), labels);
    if (step % 20 == 0) std::printf("step %d, loss %.3f\n", step, static_cast<double>(loss.data()[0]));
    tape.backward(loss);  // adds to the gradients of what trains
    optimizer.step();     // moves it and empties the gradients
  }
} catch (const vt::Error& error) {
  return std::fprintf(stderr, "02_training: error: %s\n", error.what()), 1;
}
