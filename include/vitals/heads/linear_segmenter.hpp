// The study's linear decoder: a 1 x 1 convolution on the patch tokens of the last block, its logits resized bilinearly
// (align_corners = False) to the size of the picture.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <vitals/autograd/resize.hpp>
#include <vitals/core/rng.hpp>
#include <vitals/heads/decoder.hpp>
#include <vitals/nn/convolution.hpp>
#include <vitals/nn/module.hpp>
#include <vitals/nn/norm_mode.hpp>

namespace vitals::inline v0::heads {

template <backend::Backend B>
struct LinearSegmenter {
  DecoderShape shape;
  nn::Convolution<B> classifier;  ///< (K, D, 1, 1)

  /// Weights N(0, 0.01), biases 0.
  LinearSegmenter(const DecoderShape& of, std::uint64_t seed, Executor& executor)
      : shape(of), classifier(of.dim, of.classes, 1) {
    std::vector<float> values(classifier.weight.size());
    const Rng rng(seed, 0x6465636F);  // "deco"
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(0.01 * rng.normal_at(i));
    classifier.weight.assign(executor, values);
    classifier.bias.assign(executor, std::vector<float>(of.classes));
  }

  template <class Self, class Visit>
  static void members(Self& self, Visit&& visit) {
    visit("classifier", self.classifier);
  }

  /// The last block's tokens (B, h, w, D) -> logits (B, H, W, K).
  Map<B> operator()(Tape<B>& tape, const std::vector<Map<B>>& blocks, nn::NormMode) {
    return ops::resize(tape, classifier(tape, {blocks.back()}), shape.size[0], shape.size[1],
                       backend::Resize::bilinear);
  }
};

}  // namespace vitals::inline v0::heads
