// Implementation of transforms.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <variant>

#include <vitals/core/error.hpp>
#include <vitals/data/transforms.hpp>

namespace vitals::inline v0::transforms {

namespace detail {

/// round(side * 256 / 224): the side that is resized to before the crop. Never halfway between two numbers.
inline std::size_t before_crop(std::size_t side) { return (16 * side + 7) / 14; }

/// round((whole - part) / 2), halves to even: the first row or column of a centre crop.
inline std::size_t crop_offset(std::size_t whole, std::size_t part) {
  const std::size_t twice = whole - part, half = twice / 2;
  return half + (twice % 2 && half % 2);
}

inline Window center(Size whole, Size part) {
  return {crop_offset(whole.height, part.height), crop_offset(whole.width, part.width), part};
}

/// Colours without alpha: 1 for grey, 3 else.
inline std::size_t colors(std::size_t channels) {
  if (channels == 0 || channels > 4)
    throw ShapeError("[transform] a picture of " + std::to_string(channels) + " channels", "",
                     "1 (grey), 2 (grey, alpha), 3 (RGB) and 4 (RGBA) can be used");
  return channels < 3 ? 1 : 3;
}

inline void check_finite(TensorView<const float, dyn, dyn, dyn> pixels) {
  // x - x is 0 for finite numbers and NaN else, and NaN stays in the sum.
  float sum = 0;
  for (const float v : pixels) sum += v - v;
  if (sum == 0) return;
  std::size_t i = 0;
  while (std::isfinite(pixels.data()[i])) ++i;
  const std::size_t c = pixels.extent(2), w = pixels.extent(1);
  throw DataError(std::isnan(pixels.data()[i]) ? "[transform] NaN pixel" : "[transform] infinite pixel",
                  "row " + std::to_string(i / c / w) + ", column " + std::to_string(i / c % w),
                  "replace it before the transform");
}

/// To 8 bits, `n` colours side by side.
template <class T>
Tensor<std::uint8_t, dyn, dyn, dyn> to_eight_bits(const Tensor<T, dyn, dyn, dyn>& pixels, std::size_t n) {
  const auto [height, width, channels] = pixels.shape();
  Tensor<std::uint8_t, dyn, dyn, dyn> out({height, width, n});
  std::uint8_t* to = out.data();
  for (const T *p = pixels.begin(), *end = pixels.end(); p != end; p += channels)
    for (std::size_t c = 0; c < n; ++c, ++to) {
      if constexpr (std::is_same_v<T, float>) {
        if (!(p[c] >= 0 && p[c] <= 255))
          throw DataError("[transform] float pixel " + std::to_string(p[c]) + " under dinov2, which takes 0 to 255", "",
                          "bring the picture to 0..255 or use the transform paper");
        *to = static_cast<std::uint8_t>(std::nearbyint(p[c]));
      } else {
        *to = static_cast<std::uint8_t>((std::uint32_t{p[c]} + 128) / 257);
      }
    }
  return out;
}

inline void dinov2_pixels(const Tensor<std::uint8_t, dyn, dyn, dyn>& pixels, Rule rule, Size size,
                          TensorView<float, 3, dyn, dyn> out) {
  Size resized = size;
  if (rule == Rule::dinov2) {
    const std::size_t shorter = before_crop(size.height), h = pixels.extent(0), w = pixels.extent(1);
    resized = h <= w ? Size{shorter, shorter * w / h} : Size{shorter * h / w, shorter};
  }
  const std::size_t n = colors(pixels.extent(2));
  const auto planes = resize_pillow(pixels, n, resized, center(resized, size));
  const std::size_t area = size.height * size.width;
  for (std::size_t c = 0; c < 3; ++c) {
    std::array<float, 256> table;
    for (std::size_t v = 0; v < 256; ++v) table[v] = (static_cast<float>(v) / 255 - mean[c]) / std_dev[c];
    const std::uint8_t* from = planes.data() + (n == 3 ? c : 0) * area;
    float* to = out.data() + c * area;
    for (std::size_t i = 0; i < area; ++i) to[i] = table[from[i]];
  }
}

template <class T>
void paper_pixels(const Tensor<T, dyn, dyn, dyn>& pixels, Rule rule, Size size, TensorView<float, 3, dyn, dyn> out) {
  const std::size_t n = colors(pixels.extent(2));
  const Size resized = rule == Rule::paper256 ? Size{before_crop(size.height), before_crop(size.width)} : size;
  auto planes = resize_tensor(pixels, n, resized, center(resized, size));
  for (std::size_t c = 0; c < n; ++c) {
    const auto plane = planes[c].span();
    float low = plane[0], high = plane[0];
    for (const float v : plane) {
      low = v < low ? v : low;
      high = v > high ? v : high;
    }
    // A constant picture comes out of the resizing constant only up to rounding; that is no contrast to stretch.
    const bool constant = high - low <= 1e-5f * std::max(std::abs(low), std::abs(high));
    const float range = high - low;
    for (float& v : plane) v = constant ? 0.0f : (v - low) / range;
  }
  const std::size_t area = size.height * size.width;
  for (std::size_t c = 0; c < 3; ++c) {
    const float* from = planes.data() + (n == 3 ? c : 0) * area;
    float* to = out.data() + c * area;
    for (std::size_t i = 0; i < area; ++i) to[i] = (from[i] - mean[c]) / std_dev[c];
  }
}

}  // namespace detail

VITALS_INLINE std::string Transform::name() const {
  switch (rule_) {
    case Rule::dinov2:
      return "dinov2";
    case Rule::dinov2_no_crop:
      return "dinov2 no-crop";
    case Rule::paper:
      return "paper";
    case Rule::paper256:
      return "paper256";
  }
  throw ArgumentError("[transform] an unknown rule");
}

VITALS_INLINE Tensor<float, dyn, 3, dyn, dyn> Transform::operator()(const io::Image& image) const {
  Tensor<float, dyn, 3, dyn, dyn> out({1, 3, size_.height, size_.width});
  (*this)(image, out[0]);
  return out;
}

VITALS_INLINE void Transform::operator()(const io::Image& image, TensorView<float, 3, dyn, dyn> out) const {
  if (size_.height == 0 || size_.width == 0)
    throw ArgumentError("[transform] a size of " + std::to_string(size_.height) + " x " + std::to_string(size_.width));
  if (out.extent(1) != size_.height || out.extent(2) != size_.width)
    throw ShapeError("[transform] room for " + to_string(out.shape()) + ", but the transform gives (3, " +
                     std::to_string(size_.height) + ", " + std::to_string(size_.width) + ")");
  std::visit(
      [&]<class T>(const Tensor<T, dyn, dyn, dyn>& pixels) {
        if (pixels.empty()) throw ShapeError("[transform] an empty picture, shape " + to_string(pixels.shape()));
        const std::size_t n = detail::colors(pixels.extent(2));
        if constexpr (std::is_same_v<T, float>) detail::check_finite(pixels);
        if (rule_ == Rule::paper || rule_ == Rule::paper256)
          detail::paper_pixels(pixels, rule_, size_, out);
        else if constexpr (std::is_same_v<T, std::uint8_t>)
          detail::dinov2_pixels(pixels, rule_, size_, out);
        else
          detail::dinov2_pixels(detail::to_eight_bits(pixels, n), rule_, size_, out);
      },
      image.pixels);
}

VITALS_INLINE Transform dinov2(Size size, bool crop) { return {crop ? Rule::dinov2 : Rule::dinov2_no_crop, size}; }
VITALS_INLINE Transform paper(Size size) { return {Rule::paper, size}; }
VITALS_INLINE Transform paper256(Size size) { return {Rule::paper256, size}; }

VITALS_INLINE Transform by_name(std::string_view name, Size size, bool crop) {
  if (name == "dinov2") return dinov2(size, crop);
  if (name == "paper" || (name == "paper256" && !crop)) return paper(size);
  if (name == "paper256") return paper256(size);
  throw ArgumentError("[transform] unknown transform \"" + std::string(name) + "\"", "",
                      "dinov2, paper and paper256 exist");
}

}  // namespace vitals::inline v0::transforms
