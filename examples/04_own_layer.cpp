// Lesson 4: a layer of your own with its gradient. One factor and one shift for each channel, y = gamma x + beta (Lian et al.,
// "Scaling & Shifting Your Features", arXiv 2210.08823): forward, backward, a check against finite differences, training.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

#include <vitals/backend/cpu/cpu_double.hpp>
#include <vitals/core/rng.hpp>
#include <vitals/training.hpp>

namespace vt = vitals;
using vt::dyn;

template <class B, std::size_t D>
struct ScaleShift {
  using Backend = B;
  vt::nn::Parameter<B, D> gamma, beta;

  ScaleShift() {
    gamma.assign(vt::default_pool(), std::vector<float>(D, 1.0f));
    beta.assign(vt::default_pool(), std::vector<float>(D, 0.0f));
  }
  template <class Self, class Visit>
  static void members(Self& self, Visit&& visit) {  // for optimisers, files, counts
    visit("gamma", self.gamma);
    visit("beta", self.beta);
  }

  /// x (B, N, D) -> (B, N, D)
  auto operator()(const vt::Variable<B, dyn, dyn, D>& x) const {
    auto& tape = x.tape();
    auto y = tape.template make<dyn, dyn, D>(x.shape());
    for (std::size_t i = 0; i < x.size(); ++i) y.data()[i] = gamma.data()[i % D] * x.data()[i] + beta.data()[i % D];
    // On the way back comes dy; dgamma = sum dy x, dbeta = sum dy, dx = gamma dy. `keep` holds x until then.
    tape.record(y, [this, dx = x.slot(), kept = x.keep()](vt::Tape<B>& back, vt::Slot<B>& dy) {
      const auto seen = kept.open(back.executor);
      const auto sums = [&](const auto& parameter, auto&& term) {
        parameter.gradient().add([&](auto* to, bool add) {  // add: there is something already
          if (!add) std::fill_n(to, D, 0);
          for (std::size_t i = 0; i < dy.size; ++i) to[i % D] += term(i);
        });
      };
      sums(gamma, [&](std::size_t i) { return dy.data()[i] * seen->data()[i]; });
      sums(beta, [&](std::size_t i) { return dy.data()[i]; });
      if (dx)  // something trainable stands before this layer
        dx->add([&](auto* to, bool add) {
          for (std::size_t i = 0; i < dy.size; ++i) to[i] = (add ? to[i] : 0) + gamma.data()[i % D] * dy.data()[i];
        });
    });
    return y;
  }
};

int main() try {
  using B = vt::Cpu<double>;  // for the check; the layer works in float, too
  vt::Tensor<float, dyn, dyn, 8> features({6, 1, 8});
  const vt::Rng random(1);
  for (std::size_t i = 0; i < features.size(); ++i) features.data()[i] = static_cast<float>(random.normal_at(i));
  const std::vector<std::size_t> labels{0, 1, 2, 0, 1, 2};

  ScaleShift<B, 8> layer;
  vt::nn::Linear<8, 3, B> head(2);
  vt::Tape<B> tape;
  const auto loss = [&] {
    return vt::losses::cross_entropy(head(layer(tape.input(vt::TensorView<const float, dyn, dyn, 8>(features)))),
                                     labels);
  };

  tape.backward(loss());
  const double computed = layer.gamma.gradient().data()[3], step = 1e-4;
  const auto moved = [&](double by) {
    layer.gamma.update(vt::default_pool(), [&](double* v, std::size_t begin, std::size_t) { v[3 - begin] += by; });
    const double value = loss().data()[0];
    layer.gamma.update(vt::default_pool(), [&](double* v, std::size_t begin, std::size_t) { v[3 - begin] -= by; });
    tape.clear();
    return value;
  };
  const double measured = (moved(step) - moved(-step)) / (2 * step);
  std::printf("d loss / d gamma[3]: %.8f by the layer, %.8f by finite differences\n", computed, measured);
  if (std::abs(computed - measured) > 1e-7) return 1;

  vt::train::AdamW optimizer(vt::trainable(layer, head), {.lr = 0.05});
  optimizer.discard_gradients();
  for (int i = 1; i <= 60; ++i) {
    const auto now = loss();
    if (i % 20 == 0) std::printf("step %d, loss %.3f\n", i, now.data()[0]);
    tape.backward(now);
    optimizer.step();
  }
} catch (const vt::Error& error) {
  return std::fprintf(stderr, "04_own_layer: error: %s\n", error.what()), 1;
}
