// The study's U-Net decoder (arXiv 2312.02366; Ronneberger et al., arXiv 1505.04597) on the patch tokens of the last five blocks, each
// after the final LayerNorm. The last block's map is where it starts; each of four steps doubles its size and takes in the block before:
//
//   step(x, skip):  u = ConvTranspose 2 x 2, stride 2 (x)
//                   s = ReLU(BN(Conv 3 x 3 (skip))) at the size of the tokens, resized bilinearly (align_corners = True) to u's size
//                   ReLU(BN(Conv 3 x 3 ([u, s])))
//
// with D / 2, D / 4, D / 8, K channels, and bicubic resizing of the logits to the size of the picture. The logits themselves have
// passed batch norm and ReLU, as in the study.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <vitals/autograd/resize.hpp>
#include <vitals/core/rng.hpp>
#include <vitals/heads/decoder.hpp>
#include <vitals/nn/batch_norm.hpp>
#include <vitals/nn/convolution.hpp>
#include <vitals/nn/module.hpp>

namespace vitals::inline v0::heads {

/// Where PyTorch starts a convolution: uniform between -1 / sqrt(fan_in) and 1 / sqrt(fan_in), its bias too. A tensor's values depend
/// on the seed and its place in the table.
template <class B>
void initialize_convolutions(const std::vector<nn::NamedParameter<B>>& table, std::uint64_t seed, Executor& executor) {
  double bound = 0;
  for (std::size_t i = 0; i < table.size(); ++i) {
    auto& parameter = *table[i].parameter;
    const auto shape = parameter.shape();
    if (shape.size() == 4)  // (Out, In, k, k), transposed (In, Out, k, k): PyTorch counts the second axis in both
      bound = 1 / std::sqrt(static_cast<double>(shape[1] * shape[2] * shape[3]));
    else if (!(table[i].name.ends_with(".bias") && i > 0 && table[i - 1].parameter->shape().size() == 4))
      continue;  // batch norm
    std::vector<float> values(parameter.size());
    const Rng rng(seed, 0x756E65740000 + i);  // "unet"
    for (std::size_t k = 0; k < values.size(); ++k) values[k] = static_cast<float>(bound * (2 * rng.uniform_at(k) - 1));
    parameter.assign(executor, values);
  }
}

template <backend::Backend B>
struct UnetStep {
  nn::TransposedConvolution<B> up;
  nn::Convolution<B> skip_conv;
  nn::BatchNorm<B> skip_norm;
  nn::Convolution<B> conv;
  nn::BatchNorm<B> norm;

  UnetStep(std::size_t dim, std::size_t in, std::size_t out, Executor& executor)
      : up(in, out, 2),
        skip_conv(dim, out, 3, 1),
        skip_norm(out, true, executor),
        conv(2 * out, out, 3, 1),
        norm(out, true, executor) {}

  template <class Self, class Visit>
  static void members(Self& self, Visit&& visit) {
    visit("up", self.up);
    visit("skip_conv", self.skip_conv);
    visit("skip_norm", self.skip_norm);
    visit("conv", self.conv);
    visit("norm", self.norm);
  }

  /// x (B, h, w, In), skip (B, h0, w0, D) -> (B, 2 h, 2 w, Out)
  Map<B> operator()(Tape<B>& tape, const Map<B>& x, const Map<B>& skip, nn::NormMode mode) {
    const auto u = up(tape, x);
    const auto s = ops::resize(tape, skip_norm(tape, skip_conv(tape, {skip}), mode), u.extent(1), u.extent(2),
                               backend::Resize::bilinear_aligned);
    return norm(tape, conv(tape, {u, s}), mode);
  }
};

template <backend::Backend B>
struct UnetDecoder {
  DecoderShape shape;
  UnetStep<B> up1, up2, up3, up4;

  UnetDecoder(const DecoderShape& of, std::uint64_t seed, Executor& executor)
      : shape(of),
        up1(of.dim, of.dim, of.dim / 2, executor),
        up2(of.dim, of.dim / 2, of.dim / 4, executor),
        up3(of.dim, of.dim / 4, of.dim / 8, executor),
        up4(of.dim, of.dim / 8, of.classes, executor) {
    initialize_convolutions<B>(nn::parameters<B>(*this), seed, executor);
  }

  template <class Self, class Visit>
  static void members(Self& self, Visit&& visit) {
    visit("up1", self.up1);
    visit("up2", self.up2);
    visit("up3", self.up3);
    visit("up4", self.up4);
  }

  /// Five maps (B, h, w, D), shallow to deep -> logits (B, H, W, K).
  Map<B> operator()(Tape<B>& tape, const std::vector<Map<B>>& blocks, nn::NormMode mode) {
    auto x = up1(tape, blocks[4], blocks[3], mode);
    x = up2(tape, x, blocks[2], mode);
    x = up3(tape, x, blocks[1], mode);
    x = up4(tape, x, blocks[0], mode);
    return ops::resize(tape, x, shape.size[0], shape.size[1], backend::Resize::bicubic);
  }
};

}  // namespace vitals::inline v0::heads
