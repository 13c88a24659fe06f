// Losses over pixels on a tape. With p = softmax of a pixel's logits, g its class as 0 / 1, sums over the pixels of an image:
//
//   dice           mean over images and classes, background included, of 1 - (2 sum p g + 1e-5) / (sum p + sum g + 1e-5): MONAI's
//                  DiceLoss(softmax, to_onehot_y); Milletari et al., arXiv 1606.04797
//   cross_entropy  mean over pixels of -log p[class]
//   combined       the sum of both
//   focal          mean over pixels of -(1 - p[class])^2 log p[class]: Lin et al., arXiv 1708.02002
//
// The gradient for logit k is p_k (d_k - sum_j d_j p_j), where d is that for p. Loss and gradient are made on the host; the gradient
// waits on the tape. Sums are made in pieces of a fixed number of pixels that are added in order.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <vitals/autograd/map.hpp>
#include <vitals/core/error.hpp>
#include <vitals/losses/cross_entropy.hpp>
#include <vitals/losses/segmentation_kind.hpp>

namespace vitals::inline v0::losses {

namespace detail {

inline constexpr std::size_t pixels_a_piece = 2048;
inline constexpr double dice_smoothing = 1e-5;

/// What a piece of an image adds up to.
struct PixelSums {
  std::vector<double> both, predicted, given;  ///< of each class: sum p g, sum p, sum g
  double cross_entropy = 0, focal = 0;
  std::size_t wrong = 0;  ///< 1 + the first pixel whose class is outside
};

/// p = softmax of the pixels' logits, and their sums. logs: -log p is asked for.
template <class B>
PixelSums softmax_pixels(const typename B::Scalar* z, const std::uint8_t* classes, std::size_t pixels, std::size_t n,
                         bool logs, typename B::Scalar* p) {
  using Scalar = typename B::Scalar;
  PixelSums sums{std::vector<double>(n), std::vector<double>(n), std::vector<double>(n)};
  for (std::size_t i = 0; i < pixels; ++i) {
    const Scalar* from = z + i * n;
    Scalar top = from[0];
    for (std::size_t k = 1; k < n; ++k) top = std::max(top, from[k]);
    for (std::size_t k = 0; k < n; ++k) p[i * n + k] = from[k] - top;
  }
  backend::Spatial<B>::exponentials(p, pixels * n, p);
  for (std::size_t i = 0; i < pixels; ++i) {
    Scalar* row = p + i * n;
    const std::size_t label = classes[i];
    if (label >= n) {
      if (!sums.wrong) sums.wrong = i + 1;
      continue;
    }
    Scalar total = 0;
    for (std::size_t k = 0; k < n; ++k) total += row[k];
    const Scalar inverse = Scalar(1) / total;
    for (std::size_t k = 0; k < n; ++k) {
      row[k] *= inverse;
      sums.predicted[k] += static_cast<double>(row[k]);
    }
    sums.both[label] += static_cast<double>(row[label]);
    sums.given[label] += 1;
    if (logs) {
      const Scalar top = *std::max_element(z + i * n, z + i * n + n);
      const double minus_log = std::log(static_cast<double>(total)) + static_cast<double>(top - z[i * n + label]);
      const double rest = 1 - static_cast<double>(row[label]);
      sums.cross_entropy += minus_log;
      sums.focal += rest * rest * minus_log;
    }
  }
  return sums;
}

}  // namespace detail

/// logits (B, H, W, K), masks (B, H, W) of class numbers: one number. Throws ShapeError (sizes differ), DataError (a class outside,
/// with its image and pixel).
template <class B>
Variable<B, dyn> segmentation(const Map<B>& logits, TensorView<const std::uint8_t, dyn, dyn, dyn> masks,
                              SegmentationLoss kind) {
  using Scalar = typename B::Scalar;
  const auto [batch, height, width, n] = logits.shape();
  if (masks.extent(0) != batch || masks.extent(1) != height || masks.extent(2) != width)
    throw ShapeError("[segmentation loss] masks " + to_string(masks.shape()) + " for logits " +
                     to_string(logits.shape()));
  const bool dice = kind == SegmentationLoss::dice || kind == SegmentationLoss::combined;
  const bool entropy = kind == SegmentationLoss::cross_entropy || kind == SegmentationLoss::combined;
  const bool focal = kind == SegmentationLoss::focal;
  auto& tape = logits.tape();
  const std::size_t pixels = height * width, classes = n, images = batch;
  const std::size_t pieces = (pixels + detail::pixels_a_piece - 1) / detail::pixels_a_piece;
  auto gradient = tape.memory(logits.size());  // first p, then the gradient
  std::vector<detail::PixelSums> sums(images * pieces);
  const auto each_piece = [&](auto&& body) {
    tape.executor.run(images * pieces, [&](std::size_t task) {
      const std::size_t begin = task % pieces * detail::pixels_a_piece;
      body(task, task / pieces * pixels + begin, std::min(detail::pixels_a_piece, pixels - begin));
    });
  };
  each_piece([&](std::size_t task, std::size_t first, std::size_t count) {
    sums[task] = detail::softmax_pixels<B>(logits.data() + first * classes, masks.data() + first, count, classes,
                                           entropy || focal, gradient->data() + first * classes);
  });
  double value = 0;
  std::vector<double> slope(2 * images *
                            classes);  // d dice / d p where the pixel is of the class: first + second; elsewhere second
  for (std::size_t b = 0; b < images; ++b) {
    std::vector<double> both(classes), predicted(classes), given(classes);
    for (std::size_t piece = 0; piece < pieces; ++piece) {
      const auto& some = sums[b * pieces + piece];
      if (some.wrong) {
        const std::size_t pixel = piece * detail::pixels_a_piece + some.wrong - 1;
        throw DataError("[segmentation loss] class " + std::to_string(masks.data()[b * pixels + pixel]),
                        "image " + std::to_string(b) + ", row " + std::to_string(pixel / width) + ", column " +
                            std::to_string(pixel % width),
                        "classes run from 0 to " + std::to_string(classes - 1));
      }
      for (std::size_t k = 0; k < classes; ++k) {
        both[k] += some.both[k];
        predicted[k] += some.predicted[k];
        given[k] += some.given[k];
      }
      const double share = 1 / static_cast<double>(images * pixels);
      if (entropy) value += some.cross_entropy * share;
      if (focal) value += some.focal * share;
    }
    if (!dice) continue;
    const double share = 1 / static_cast<double>(images * classes);
    for (std::size_t k = 0; k < classes; ++k) {
      const double above = 2 * both[k] + detail::dice_smoothing,
                   below = predicted[k] + given[k] + detail::dice_smoothing;
      value += share * (1 - above / below);
      slope[2 * (b * classes + k)] = -2 * share / below;
      slope[2 * (b * classes + k) + 1] = share * above / (below * below);
    }
  }
  const double pixel_share = 1 / static_cast<double>(images * pixels);
  each_piece([&](std::size_t task, std::size_t first, std::size_t count) {
    const double* slopes = slope.data() + 2 * (task / pieces) * classes;
    std::vector<Scalar> apart(classes), base(classes);  // of Dice, by class
    for (std::size_t k = 0; k < classes; ++k) {
      apart[k] = static_cast<Scalar>(slopes[2 * k]);
      base[k] = static_cast<Scalar>(slopes[2 * k + 1]);
    }
    for (std::size_t i = 0; i < count; ++i) {
      Scalar* p = gradient->data() + (first + i) * classes;
      const std::size_t label = masks.data()[first + i];
      // Cross entropy and focal loss: c (p_k - [k is the label]).
      Scalar c = entropy ? static_cast<Scalar>(pixel_share) : Scalar(0);
      if (focal) {
        const double q = std::max(static_cast<double>(p[label]), 1e-300), rest = 1 - q;
        c = static_cast<Scalar>(pixel_share * (rest * rest - 2 * rest * q * std::log(q)));
      }
      const Scalar of_label = p[label];
      Scalar dot = of_label * apart[label];
      for (std::size_t k = 0; k < classes; ++k) dot += p[k] * base[k];
      for (std::size_t k = 0; k < classes; ++k) p[k] *= base[k] - dot + c;
      p[label] += of_label * apart[label] - c;
    }
  });
  return detail::loss_of<B>(logits, value, std::move(gradient));
}

}  // namespace vitals::inline v0::losses
