// Implementation of augment.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <type_traits>
#include <variant>

#include <vitals/core/error.hpp>
#include <vitals/data/augment.hpp>

namespace vitals::inline v0::data {

VITALS_INLINE Crop random_crop(std::size_t height, std::size_t width, Rng& rng, const CropOptions& options) {
  if (height == 0 || width == 0) throw ShapeError("[random_crop] an empty picture");
  const double h = static_cast<double>(height), w = static_cast<double>(width);
  const auto between = [&](double low, double high) { return low + (high - low) * rng.uniform(); };
  Crop crop;
  for (int attempt = 0; attempt < 10 && crop.height == 0; ++attempt) {
    const double area = h * w * between(options.min_area, options.max_area);
    const double ratio = std::exp(between(std::log(options.min_ratio), std::log(options.max_ratio)));
    const double wide = std::nearbyint(std::sqrt(area * ratio)), high = std::nearbyint(std::sqrt(area / ratio));
    if (wide < 1 || high < 1 || wide > w || high > h) continue;
    crop.height = static_cast<std::size_t>(high);
    crop.width = static_cast<std::size_t>(wide);
    crop.top = rng.below(height - crop.height + 1);
    crop.left = rng.below(width - crop.width + 1);
  }
  if (crop.height == 0) {  // nothing fitted
    crop.height = height;
    crop.width = width;
    if (w / h < options.min_ratio)
      crop.height = static_cast<std::size_t>(std::nearbyint(w / options.min_ratio));
    else if (w / h > options.max_ratio)
      crop.width = static_cast<std::size_t>(std::nearbyint(h * options.max_ratio));
    crop.height = std::clamp<std::size_t>(crop.height, 1, height);
    crop.width = std::clamp<std::size_t>(crop.width, 1, width);
    crop.top = (height - crop.height) / 2;
    crop.left = (width - crop.width) / 2;
  }
  crop.flip = rng.uniform() < options.flip;
  return crop;
}

VITALS_INLINE io::Image cropped(const io::Image& image, const Crop& crop) {
  if (crop.height == 0 || crop.width == 0 || crop.height > image.height() || crop.width > image.width() ||
      crop.top > image.height() - crop.height || crop.left > image.width() - crop.width)
    throw ShapeError("[cropped] " + std::to_string(crop.height) + " x " + std::to_string(crop.width) + " pixels at (" +
                     std::to_string(crop.top) + ", " + std::to_string(crop.left) + ") of a picture of " +
                     std::to_string(image.height()) + " x " + std::to_string(image.width()));
  return std::visit(
      [&](const auto& pixels) {
        using Pixels = std::remove_cvref_t<decltype(pixels)>;
        const std::size_t channels = pixels.extent(2);
        Pixels out({crop.height, crop.width, channels});
        for (std::size_t y = 0; y < crop.height; ++y)
          for (std::size_t x = 0; x < crop.width; ++x) {
            const std::size_t from = crop.left + (crop.flip ? crop.width - 1 - x : x);
            std::copy_n(pixels.data() + ((crop.top + y) * pixels.extent(1) + from) * channels, channels,
                        out.data() + (y * crop.width + x) * channels);
          }
        return io::Image{std::move(out)};
      },
      image.pixels);
}

VITALS_INLINE io::Image rotated(const io::Image& image, double degrees) {
  if (!std::isfinite(degrees)) throw ArgumentError("[rotated] an angle of " + std::to_string(degrees) + " degrees");
  const double angle = degrees * 3.14159265358979323846 / 180, c = std::cos(angle), s = std::sin(angle);
  return std::visit(
      [&](const auto& pixels) {
        using Pixels = std::remove_cvref_t<decltype(pixels)>;
        using Number = std::remove_cvref_t<decltype(*pixels.data())>;
        const auto height = static_cast<long>(pixels.extent(0)), width = static_cast<long>(pixels.extent(1));
        const std::size_t channels = pixels.extent(2);
        Pixels out(pixels.shape());
        const double middle_y = static_cast<double>(height - 1) / 2, middle_x = static_cast<double>(width - 1) / 2;
        for (long y = 0; y < height; ++y)
          for (long x = 0; x < width; ++x) {
            // Where the pixel comes from; rows count downwards.
            const double dy = static_cast<double>(y) - middle_y, dx = static_cast<double>(x) - middle_x;
            const double from_y = middle_y + s * dx + c * dy, from_x = middle_x + c * dx - s * dy;
            const double top = std::floor(from_y), left = std::floor(from_x);
            for (std::size_t k = 0; k < channels; ++k) {
              double sum = 0;
              for (int j = 0; j < 2; ++j)
                for (int i = 0; i < 2; ++i) {
                  const long yy = static_cast<long>(top) + j, xx = static_cast<long>(left) + i;
                  if (yy < 0 || xx < 0 || yy >= height || xx >= width) continue;
                  const double wy = j ? from_y - top : 1 - (from_y - top), wx = i ? from_x - left : 1 - (from_x - left);
                  sum += wy * wx *
                         static_cast<double>(pixels.data()[static_cast<std::size_t>(yy * width + xx) * channels + k]);
                }
              if constexpr (std::is_integral_v<Number>) sum = std::nearbyint(sum);
              out.data()[static_cast<std::size_t>(y * width + x) * channels + k] = static_cast<Number>(sum);
            }
          }
        return io::Image{std::move(out)};
      },
      image.pixels);
}

}  // namespace vitals::inline v0::data
