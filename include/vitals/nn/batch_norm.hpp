// Batch norm on maps, with ReLU behind it or not; parameters and running statistics named as PyTorch's BatchNorm2d has them.
#pragma once

#include <cstddef>
#include <vector>

#include <vitals/autograd/batch_norm.hpp>
#include <vitals/nn/norm_mode.hpp>
#include <vitals/nn/runtime_parameter.hpp>

namespace vitals::inline v0::nn {

template <backend::Backend B>
struct BatchNorm {
  RuntimeParameter<B> weight, bias;               ///< (C), 1 and 0 at first
  RuntimeParameter<B> running_mean, running_var;  ///< (C), 0 and 1 at first; they do not train
  bool relu;

  explicit BatchNorm(std::size_t channels, bool with_relu = false, Executor& executor = default_pool())
      : weight(channels), bias(channels), running_mean(channels), running_var(channels), relu(with_relu) {
    const std::vector<float> ones(channels, 1.0f), zeros(channels, 0.0f);
    weight.assign(executor, ones);
    bias.assign(executor, zeros);
    running_mean.assign(executor, zeros);
    running_var.assign(executor, ones);
    running_mean.set_trainable(false);
    running_var.set_trainable(false);
  }

  template <class Self, class Visit>
  static void members(Self& self, Visit&& visit) {
    visit("weight", self.weight);
    visit("bias", self.bias);
    visit("running_mean", self.running_mean);
    visit("running_var", self.running_var);
  }

  /// (B, h, w, C) -> (B, h, w, C)
  Map<B> operator()(Tape<B>& tape, const Map<B>& x, NormMode mode) {
    return ops::batch_norm(tape, x, weight, bias, running_mean, running_var,
                           {.of_batch = mode == NormMode::train, .relu = relu});
  }
};

}  // namespace vitals::inline v0::nn
