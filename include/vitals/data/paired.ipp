// Implementation of paired.hpp.
#pragma once

#include <cmath>
#include <numbers>
#include <string>
#include <variant>

#include <vitals/core/error.hpp>
#include <vitals/data/paired.hpp>

namespace vitals::inline v0::data {

namespace detail {

inline constexpr std::size_t outside = SIZE_MAX;

// A pair of height x width whose pixel i is pixel from(i) of `pair`, or 0 where that is `outside`.
template <class From>
MaskedImage rearranged(const MaskedImage& pair, std::size_t height, std::size_t width, From&& from) {
  std::vector<std::size_t> places(height * width);
  for (std::size_t y = 0; y < height; ++y)
    for (std::size_t x = 0; x < width; ++x) places[y * width + x] = from(y, x);
  MaskedImage out;
  out.spacing = pair.spacing;
  out.mask = Tensor<std::uint8_t, dyn, dyn>({height, width});
  for (std::size_t i = 0; i < places.size(); ++i)
    if (places[i] != outside) out.mask.data()[i] = pair.mask.data()[places[i]];
  std::visit(
      [&](const auto& pixels) {
        const std::size_t channels = pixels.extent(2);
        std::remove_cvref_t<decltype(pixels)> moved({height, width, channels});
        for (std::size_t i = 0; i < places.size(); ++i)
          if (places[i] != outside)
            for (std::size_t c = 0; c < channels; ++c)
              moved.data()[i * channels + c] = pixels.data()[places[i] * channels + c];
        out.image.pixels = std::move(moved);
      },
      pair.image.pixels);
  return out;
}

}  // namespace detail

VITALS_INLINE MaskedImage flipped(const MaskedImage& pair, bool left_right, bool up_down) {
  const std::size_t height = pair.mask.extent(0), width = pair.mask.extent(1);
  return detail::rearranged(pair, height, width, [&](std::size_t y, std::size_t x) {
    return (up_down ? height - 1 - y : y) * width + (left_right ? width - 1 - x : x);
  });
}

VITALS_INLINE MaskedImage cropped(const MaskedImage& pair, const Crop& crop) {
  const std::size_t height = pair.mask.extent(0), width = pair.mask.extent(1);
  if (crop.height == 0 || crop.width == 0 || crop.height > height || crop.width > width ||
      crop.top > height - crop.height || crop.left > width - crop.width)
    throw ShapeError("[cropped] " + std::to_string(crop.height) + " x " + std::to_string(crop.width) + " pixels at (" +
                     std::to_string(crop.top) + ", " + std::to_string(crop.left) + ") of a picture of " +
                     std::to_string(height) + " x " + std::to_string(width));
  return detail::rearranged(pair, crop.height, crop.width, [&](std::size_t y, std::size_t x) {
    return (crop.top + y) * width + crop.left + (crop.flip ? crop.width - 1 - x : x);
  });
}

VITALS_INLINE MaskedImage rotated(const MaskedImage& pair, double degrees) {
  if (!std::isfinite(degrees)) throw ArgumentError("[rotated] an angle that is no number");
  const std::size_t height = pair.mask.extent(0), width = pair.mask.extent(1);
  const double radians = degrees * std::numbers::pi / 180, c = std::cos(radians), s = std::sin(radians);
  const double middle_y = (static_cast<double>(height) - 1) / 2, middle_x = (static_cast<double>(width) - 1) / 2;
  return detail::rearranged(pair, height, width, [&](std::size_t y, std::size_t x) {
    const double dx = static_cast<double>(x) - middle_x, dy = static_cast<double>(y) - middle_y;
    // Rounding of the sine must not decide where a pixel lies exactly between two: a millionth to the lower one.
    const double from_x = std::nearbyint(dx * c - dy * s + middle_x - 1e-6),
                 from_y = std::nearbyint(dx * s + dy * c + middle_y - 1e-6);
    if (from_x < 0 || from_y < 0 || from_x >= static_cast<double>(width) || from_y >= static_cast<double>(height))
      return detail::outside;
    return static_cast<std::size_t>(from_y) * width + static_cast<std::size_t>(from_x);
  });
}

VITALS_INLINE MaskedImage augmented(const MaskedImage& pair, const PairedOptions& options, Rng& rng) {
  bool up_down = false;
  for (double probability : options.flip_up_down)
    if (rng.uniform() < probability) up_down = !up_down;
  const bool left_right = options.flip_left_right > 0 && rng.uniform() < options.flip_left_right;
  auto out = flipped(pair, left_right, up_down);
  if (options.degrees != 0) out = rotated(out, options.degrees * (2 * rng.uniform() - 1));
  if (options.crop) out = cropped(out, random_crop(out.mask.extent(0), out.mask.extent(1), rng, options.crops));
  return out;
}

}  // namespace vitals::inline v0::data
