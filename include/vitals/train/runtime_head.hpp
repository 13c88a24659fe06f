// A linear head whose width is known at run time only, on a tape: logits = x W^T + b. Backward as in autograd/linear.hpp.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <vitals/autograd/tape.hpp>
#include <vitals/core/rng.hpp>
#include <vitals/nn/module.hpp>
#include <vitals/nn/parameter.hpp>

namespace vitals::inline v0::train {

/// Plain numbers whose count is known at run time only.
template <class B>
struct RuntimeVector : nn::ParameterStorage<B> {
  explicit RuntimeVector(std::size_t n) : nn::ParameterStorage<B>(false, std::array<std::size_t, 1>{n}) {}
};

template <class B>
struct RuntimeHead {
  using Scalar = typename B::Scalar;
  nn::RuntimeWeight<B> weight;  ///< (K, D)
  RuntimeVector<B> bias;        ///< (K)

  /// Weights N(0, 0.01), biases 0, as the study's classifier.
  RuntimeHead(std::size_t outputs, std::size_t dim, std::uint64_t seed, Executor& executor)
      : weight(outputs, dim), bias(outputs) {
    weight.keep_master();
    std::vector<float> values(outputs * dim);
    Rng rng(seed, 0x68656164);  // "head"
    for (float& v : values) v = static_cast<float>(0.01 * rng.normal());
    weight.assign(executor, values);
    bias.assign(executor, std::vector<float>(outputs));
  }

  std::vector<nn::NamedParameter<B>> rows() { return {{"head.weight", &weight}, {"head.bias", &bias}}; }

  /// x (B, N, D) -> (B, N, K)
  template <std::size_t D>
  Variable<B, dyn, dyn, dyn> operator()(const Variable<B, dyn, dyn, D>& x) const {
    auto& tape = x.tape();
    const std::size_t m = x.rows(), in = x.extent(2), out = weight.shape()[0];
    auto y = tape.template make<dyn, dyn, dyn>({x.extent(0), x.extent(1), out});
    B::linear(tape.executor, x.data(), m, weight.packed(), bias.data(), y.data());
    tape.record(y, [dx = x.slot(), kept = x.keep(), m, in, out, this](Tape<B>& back, Slot<B>& dy) {
      using G = backend::Gradients<B>;
      const auto seen = kept.open(back.executor);
      weight.gradient().add([&](Scalar* to, bool add) {
        G::weight_gradient(back.executor, dy.data(), out, seen->data(), in, m, out, in, to, add,
                           ops::detail::sums_of<B>(bias));
      });
      if (dx)
        dx->add([&](Scalar* to, bool add) {
          G::input_gradient(back.executor, dy.data(), out, m, weight.packed(), nullptr, to, in, add);
        });
    });
    return y;
  }
};

}  // namespace vitals::inline v0::train
