// Convolutions of maps on a tape, as PyTorch's conv2d and conv_transpose2d define them. Backward, with dy:
//
//   dx = dy under the kernel turned by half a turn,   dW[o, i, ky, kx] = sum over pixels of dy[o] x[i] moved by (ky, kx),   db = sum of dy
//
// Several inputs of equal size stand for their concatenation along the channels, which is never written. Kept are the inputs, where
// the weight trains.
#pragma once

#include <array>
#include <cstddef>
#include <utility>
#include <vector>

#include <vitals/autograd/linear.hpp>
#include <vitals/autograd/map.hpp>

namespace vitals::inline v0::ops {

/// inputs (B, h, w, C_i), their channels joined: In; weight (Out, In, kh, kw), plain numbers, and the same packed
/// (Spatial<B>::pack_kernel); bias (Out) or nullptr -> (B, h', w', Out), h' = (h + 2 padding - kh) / stride + 1. padding < kh, kw.
template <class B, class Weight>
Map<B> convolution(Tape<B>& tape, const std::vector<Map<B>>& inputs, const Weight& weight,
                   const typename backend::Spatial<B>::Kernel& packed, const Weight* bias, std::size_t stride,
                   std::size_t padding) {
  using Scalar = typename B::Scalar;
  using S = backend::Spatial<B>;
  const auto& first = inputs.at(0).shape();
  backend::WindowShape shape{first[0], first[1], first[2], 0, weight.shape()[2], weight.shape()[3], stride, padding};
  std::vector<backend::MapPart<const Scalar>> parts;
  bool needed = detail::trains(weight) || (bias && bias->trainable());
  for (const auto& x : inputs) {
    if (x.extent(0) != first[0] || x.extent(1) != first[1] || x.extent(2) != first[2])
      throw ShapeError("[convolution] maps " + to_string(x.shape()) + " and " + to_string(first) + " joined");
    parts.push_back({x.data(), x.extent(3), false});
    shape.in += x.extent(3);
    needed = needed || x.needs_gradient();
  }
  const std::size_t out = weight.shape()[0];
  if (weight.shape()[1] != shape.in || stride == 0 || padding >= std::min(shape.kernel_height, shape.kernel_width) ||
      shape.out_height() == 0 || shape.out_width() == 0)
    throw ShapeError("[convolution] a kernel " + to_string(weight.shape()) + ", stride " + std::to_string(stride) +
                     ", padding " + std::to_string(padding) + ", on a map " + to_string(first) + " of " +
                     std::to_string(shape.in) + " channels in all");
  auto y = tape.template make<dyn, dyn, dyn, dyn>({first[0], shape.out_height(), shape.out_width(), out});
  S::convolution(tape.executor, parts, shape, packed, bias ? bias->data() : nullptr, y.data());
  if (!needed) return y;
  std::vector<std::shared_ptr<Slot<B>>> slots;
  std::vector<Kept<B>> kept;
  std::vector<std::size_t> channels;
  for (const auto& x : inputs) {
    slots.push_back(x.slot());
    channels.push_back(x.extent(3));
    kept.push_back(weight.trainable() ? x.keep() : Kept<B>{});
  }
  tape.record(y, [slots = std::move(slots), kept = std::move(kept), channels = std::move(channels), shape, out,
                  rows = y.rows(), &weight, bias](Tape<B>& back, Slot<B>& dy) {
    if (bias && bias->trainable()) detail::add_column_sums<B>(back, dy.data(), rows, out, *bias);
    if (Scalar* dw = detail::sums_of<B>(weight)) {
      std::vector<std::shared_ptr<const Memory<B>>> seen;
      std::vector<backend::MapPart<const Scalar>> in;
      for (std::size_t i = 0; i < kept.size(); ++i) {
        seen.push_back(kept[i].open(back.executor));
        in.push_back({seen.back()->data(), channels[i], false});
      }
      S::convolution_weight_gradient(back.executor, in, dy.data(), out, shape, dw);
    }
    std::vector<backend::MapPart<Scalar>> gradients;
    for (std::size_t i = 0; i < slots.size(); ++i)
      gradients.push_back(detail::open_gradient<B>(slots[i].get(), channels[i]));
    S::convolution_input_gradient(back.executor, dy.data(), out, weight.data(), shape, gradients);
  });
  return y;
}

/// x (B, h, w, In), weight (In, Out, k, k), stride k, and the same packed (Spatial<B>::pack_transposed_kernel); bias (Out) ->
/// (B, k h, k w, Out)
template <class B, class Weight>
Map<B> transposed_convolution(Tape<B>& tape, const Map<B>& x, const Weight& weight,
                              const typename backend::Spatial<B>::TransposedKernel& packed, const Weight& bias) {
  using Scalar = typename B::Scalar;
  using S = backend::Spatial<B>;
  const auto [batch, h, w, in] = x.shape();
  const std::size_t out = weight.shape()[1], k = weight.shape()[2];
  if (weight.shape()[0] != in || weight.shape()[3] != k)
    throw ShapeError("[transposed_convolution] a kernel " + to_string(weight.shape()) + " on a map " +
                     to_string(x.shape()));
  auto y = tape.template make<dyn, dyn, dyn, dyn>({batch, k * h, k * w, out});
  S::transposed_convolution(tape.executor, x.data(), batch, h, w, packed, k, bias.data(), y.data());
  if (!x.needs_gradient() && !detail::trains(weight, bias)) return y;
  tape.record(y, [dx = x.slot(), kept = weight.trainable() ? x.keep() : Kept<B>{}, shape = x.shape(), out, k, &weight,
                  &bias](Tape<B>& back, Slot<B>& dy) {
    const std::size_t images = shape[0], height = shape[1], width = shape[2], channels = shape[3];
    if (bias.trainable()) detail::add_column_sums<B>(back, dy.data(), images * height * width * k * k, out, bias);
    if (Scalar* dw = detail::sums_of<B>(weight)) {
      const auto seen = kept.open(back.executor);
      S::transposed_convolution_weight_gradient(back.executor, seen->data(), dy.data(), images, height, width, channels,
                                                out, k, dw);
    }
    if (dx)
      dx->add([&](Scalar* to, bool add) {
        S::transposed_convolution_input_gradient(back.executor, dy.data(), images, height, width, weight.data(),
                                                 channels, out, k, add, to);
      });
  });
  return y;
}

}  // namespace vitals::inline v0::ops
