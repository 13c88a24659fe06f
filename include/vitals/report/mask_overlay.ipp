// Implementation of mask_overlay.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <variant>

#include <vitals/core/error.hpp>
#include <vitals/report/mask_overlay.hpp>

namespace vitals::inline v0::report {

namespace detail {

inline std::uint8_t to_level(double v) { return static_cast<std::uint8_t>(std::lround(std::clamp(v, 0.0, 255.0))); }

inline void check_mask_size(const Picture& picture, TensorView<const std::uint8_t, dyn, dyn> mask) {
  if (picture.extent(0) != mask.extent(0) || picture.extent(1) != mask.extent(1) || picture.extent(2) != 3)
    throw ShapeError("[mask_overlay] mask " + to_string(mask.shape()) + " over a picture " +
                     to_string(picture.shape()));
}

// Whether a neighbour of a labelled pixel has another label; beyond the border counts as one.
inline bool on_contour(TensorView<const std::uint8_t, dyn, dyn> mask, std::size_t y, std::size_t x) {
  const std::uint8_t k = mask(y, x);
  if (!k) return false;
  return y == 0 || x == 0 || y + 1 == mask.extent(0) || x + 1 == mask.extent(1) || mask(y - 1, x) != k ||
         mask(y + 1, x) != k || mask(y, x - 1) != k || mask(y, x + 1) != k;
}

inline Tensor<std::uint8_t, dyn, dyn> repeated(TensorView<const std::uint8_t, dyn, dyn> mask, std::size_t factor) {
  Tensor<std::uint8_t, dyn, dyn> out({mask.extent(0) * factor, mask.extent(1) * factor});
  for (std::size_t y = 0; y < out.extent(0); ++y)
    for (std::size_t x = 0; x < out.extent(1); ++x) out(y, x) = mask(y / factor, x / factor);
  return out;
}

}  // namespace detail

VITALS_INLINE std::array<std::uint8_t, 3> class_colour(std::size_t k) {
  static constexpr std::array<std::array<std::uint8_t, 3>, 15> colours{{{230, 159, 0},
                                                                        {86, 180, 233},
                                                                        {0, 158, 115},
                                                                        {240, 228, 66},
                                                                        {213, 94, 0},
                                                                        {204, 121, 167},
                                                                        {0, 114, 178},
                                                                        {153, 221, 51},
                                                                        {170, 51, 119},
                                                                        {102, 204, 238},
                                                                        {187, 85, 51},
                                                                        {136, 204, 170},
                                                                        {119, 119, 255},
                                                                        {255, 170, 187},
                                                                        {170, 136, 68}}};
  return k == 0 ? std::array<std::uint8_t, 3>{0, 0, 0} : colours[(k - 1) % colours.size()];
}

VITALS_INLINE Picture shown(const io::Image& image) {
  const std::size_t height = image.height(), width = image.width(), channels = image.channels();
  Picture picture({height, width, 3});
  std::visit(
      [&](const auto& pixels) {
        using Value = typename std::remove_cvref_t<decltype(pixels)>::value_type;
        double low = INFINITY, high = -INFINITY;
        for (Value v : pixels)
          if (std::isfinite(static_cast<double>(v))) {
            low = std::min(low, static_cast<double>(v));
            high = std::max(high, static_cast<double>(v));
          }
        for (std::size_t i = 0; i < height * width; ++i)
          for (std::size_t c = 0; c < 3; ++c) {
            const auto v = static_cast<double>(pixels.data()[i * channels + (channels >= 3 ? c : 0)]);
            double level = v;
            if constexpr (sizeof(Value) > 1) level = high > low ? 255 * (v - low) / (high - low) : 0;
            picture.data()[3 * i + c] = std::isfinite(level) ? detail::to_level(level) : std::uint8_t{0};
          }
      },
      image.pixels);
  return picture;
}

VITALS_INLINE Picture with_mask(const Picture& picture, TensorView<const std::uint8_t, dyn, dyn> mask,
                                double strength) {
  detail::check_mask_size(picture, mask);
  Picture out = picture;
  for (std::size_t y = 0; y < mask.extent(0); ++y)
    for (std::size_t x = 0; x < mask.extent(1); ++x) {
      if (!mask(y, x)) continue;
      const double share = detail::on_contour(mask, y, x) ? 1 : strength;
      const auto colour = class_colour(mask(y, x));
      for (std::size_t c = 0; c < 3; ++c)
        out(y, x, c) = detail::to_level((1 - share) * picture(y, x, c) + share * colour[c]);
    }
  return out;
}

VITALS_INLINE Picture with_contour(const Picture& picture, TensorView<const std::uint8_t, dyn, dyn> mask,
                                   const std::array<std::uint8_t, 3>& colour) {
  detail::check_mask_size(picture, mask);
  Picture out = picture;
  for (std::size_t y = 0; y < mask.extent(0); ++y)
    for (std::size_t x = 0; x < mask.extent(1); ++x)
      if (detail::on_contour(mask, y, x)) std::copy(colour.begin(), colour.end(), &out(y, x, 0u));
  return out;
}

VITALS_INLINE Picture compared(const io::Image& image, TensorView<const std::uint8_t, dyn, dyn> prediction,
                               TensorView<const std::uint8_t, dyn, dyn> reference, std::size_t side) {
  auto picture = shown(image);
  detail::check_mask_size(picture, prediction);
  detail::check_mask_size(picture, reference);
  const std::size_t longer = std::max(picture.extent(0), picture.extent(1));
  const std::size_t factor = std::max<std::size_t>(1, (side + longer / 2) / longer);
  if (factor > 1) picture = enlarge(picture, picture.extent(0) * factor, picture.extent(1) * factor);
  const auto predicted = detail::repeated(prediction, factor), referenced = detail::repeated(reference, factor);
  const auto right = with_contour(with_mask(picture, predicted), referenced, {255, 255, 255});
  return beside(beside(picture, with_mask(picture, referenced)), right);
}

VITALS_INLINE Picture stacked(std::span<const Picture> pictures, std::size_t gap) {
  std::size_t height = 0, width = 0;
  for (const auto& picture : pictures) {
    height += picture.extent(0) + (height ? gap : 0);
    width = std::max(width, picture.extent(1));
  }
  if (!height) throw ShapeError("[stacked] no pictures");
  Picture out({height, width, 3});
  std::fill(out.begin(), out.end(), std::uint8_t{255});
  std::size_t top = 0;
  for (const auto& picture : pictures) {
    for (std::size_t y = 0; y < picture.extent(0); ++y)
      std::copy_n(&picture(y, 0u, 0u), 3 * picture.extent(1), &out(top + y, 0u, 0u));
    top += picture.extent(0) + gap;
  }
  return out;
}

VITALS_INLINE std::vector<std::size_t> best_median_worst(std::size_t n, std::size_t each) {
  std::vector<std::size_t> chosen;
  const auto add = [&](std::size_t i) {
    if (i < n && std::find(chosen.begin(), chosen.end(), i) == chosen.end()) chosen.push_back(i);
  };
  for (std::size_t i = 0; i < each; ++i) add(i);
  for (std::size_t i = 0; i < each; ++i) add((n - std::min(n, each) + 1) / 2 + i);
  for (std::size_t i = 0; i < each && i < n; ++i) add(n - std::min(n, each) + i);
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

}  // namespace vitals::inline v0::report
