// Convolutions on maps (B, h, w, C) with parameters shaped and named as PyTorch's Conv2d and ConvTranspose2d have them. Their kernels
// are packed when they have changed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <vitals/autograd/convolution.hpp>
#include <vitals/nn/runtime_parameter.hpp>

namespace vitals::inline v0::nn {

template <backend::Backend B>
struct Convolution {
  RuntimeParameter<B> weight;  ///< (Out, In, k, k)
  RuntimeParameter<B> bias;    ///< (Out)
  std::size_t stride, padding;

  Convolution(std::size_t in, std::size_t out, std::size_t kernel, std::size_t padded = 0, std::size_t strided = 1)
      : weight(std::array<std::size_t, 4>{out, in, kernel, kernel}), bias(out), stride(strided), padding(padded) {}

  template <class Self, class Visit>
  static void members(Self& self, Visit&& visit) {
    visit("weight", self.weight);
    visit("bias", self.bias);
  }

  /// Maps of equal size, their channels joined to In -> (B, h', w', Out). One thread at a time.
  Map<B> operator()(Tape<B>& tape, const std::vector<Map<B>>& inputs) const {
    if (version_ != weight.version()) {
      const auto s = weight.shape();
      packed_ = backend::Spatial<B>::pack_kernel(tape.executor, weight.data(), s[0], {0, 0, 0, s[1], s[2], s[3], stride});
      version_ = weight.version();
    }
    return ops::convolution(tape, inputs, weight, packed_, &bias, stride, padding);
  }

 private:
  mutable typename backend::Spatial<B>::Kernel packed_;
  mutable std::uint64_t version_ = 0;
};

/// The kernel is as large as the stride: each pixel becomes a square.
template <backend::Backend B>
struct TransposedConvolution {
  RuntimeParameter<B> weight;  ///< (In, Out, k, k)
  RuntimeParameter<B> bias;    ///< (Out)

  TransposedConvolution(std::size_t in, std::size_t out, std::size_t kernel)
      : weight(std::array<std::size_t, 4>{in, out, kernel, kernel}), bias(out) {}

  template <class Self, class Visit>
  static void members(Self& self, Visit&& visit) {
    visit("weight", self.weight);
    visit("bias", self.bias);
  }

  /// (B, h, w, In) -> (B, k h, k w, Out). One thread at a time.
  Map<B> operator()(Tape<B>& tape, const Map<B>& x) const {
    if (version_ != weight.version()) {
      const auto s = weight.shape();
      packed_ = backend::Spatial<B>::pack_transposed_kernel(tape.executor, weight.data(), s[0], s[1], s[2]);
      version_ = weight.version();
    }
    return ops::transposed_convolution(tape, x, weight, packed_, bias);
  }

 private:
  mutable typename backend::Spatial<B>::TransposedKernel packed_;
  mutable std::uint64_t version_ = 0;
};

}  // namespace vitals::inline v0::nn
