// The two bicubic resizings that medical benchmarks meet. They differ, and a backbone's features with them:
//
//   Pillow's (PIL.Image.resize BICUBIC): a = -0.5; when shrinking, the kernel is widened so that every pixel counts
//     (antialiasing); 8 bit in, 8 bit out; weights in 22-bit fixed point; along the columns first, rounded to 8 bit,
//     then along the rows. Since Pillow 13 the rows come first where the height loses more than twice as many pixels as
//     the width (tall pictures, or straight to a wide size); older ones differ there by a grey level here and there.
//   PyTorch's (upsample_bicubic2d, align_corners = False, antialias = False): a = -0.75; four taps at every scale, so
//     shrinking skips pixels; float; the border repeated; overshoot stays.
//
// Kernel (Keys, "Cubic convolution interpolation for digital image processing", 1981), with distance x:
//   (a+2)|x|^3 - (a+3)|x|^2 + 1  for |x| < 1;   a|x|^3 - 5a|x|^2 + 8a|x| - 4a  for |x| < 2;   0 elsewhere.
#pragma once

#include <cstddef>
#include <cstdint>

#include <vitals/core/config.hpp>
#include <vitals/core/tensor.hpp>

namespace vitals::inline v0::transforms {

/// What enters the model, in pixels.
struct Size {
  std::size_t height = 224, width = 224;
  constexpr Size() = default;
  constexpr Size(std::size_t side) : height(side), width(side) {}
  constexpr Size(std::size_t h, std::size_t w) : height(h), width(w) {}
  friend bool operator==(const Size&, const Size&) = default;
};

/// A part of a resized picture: only this part is computed. The default is the whole.
struct Window {
  std::size_t top = 0, left = 0;
  Size size{0};  ///< 0 x 0: everything right of and below the corner
};

/// The first `channels` channels of a picture (H, W, C), resized to `to` as Pillow does it, cut to `window`:
/// (channels, h, w). Throws ShapeError for an empty picture, fewer channels than asked for, or a window outside `to`.
Tensor<std::uint8_t, dyn, dyn, dyn> resize_pillow(TensorView<const std::uint8_t, dyn, dyn, dyn> picture,
                                                  std::size_t channels, Size to, Window window = {});

/// The same as PyTorch does it on a float tensor. Throws as resize_pillow.
Tensor<float, dyn, dyn, dyn> resize_tensor(TensorView<const std::uint8_t, dyn, dyn, dyn> picture, std::size_t channels,
                                           Size to, Window window = {});
Tensor<float, dyn, dyn, dyn> resize_tensor(TensorView<const std::uint16_t, dyn, dyn, dyn> picture, std::size_t channels,
                                           Size to, Window window = {});
Tensor<float, dyn, dyn, dyn> resize_tensor(TensorView<const float, dyn, dyn, dyn> picture, std::size_t channels,
                                           Size to, Window window = {});

}  // namespace vitals::inline v0::transforms

#if VITALS_HEADER_ONLY
#include <vitals/data/resize.ipp>
#endif
