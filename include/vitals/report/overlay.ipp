// Implementation of overlay.hpp.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <tuple>
#include <vector>

#include <vitals/core/error.hpp>
#include <vitals/core/rng.hpp>
#include <vitals/data/transforms.hpp>
#include <vitals/io/image.hpp>
#include <vitals/report/overlay.hpp>

namespace vitals::inline v0::report {

namespace detail {

inline double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

// The leading `count` principal axes of the centred rows x (n, d), by orthogonal iteration on X^T X, which is never
// formed. An axis along which nothing varies any more comes out as zeros.
inline std::vector<std::vector<double>> principal_axes(const std::vector<double>& x, std::size_t n, std::size_t d,
                                                       std::size_t count) {
  std::vector<std::vector<double>> axes(count, std::vector<double>(d));
  for (std::size_t c = 0; c < count; ++c)
    for (std::size_t j = 0; j < d; ++j) axes[c][j] = Rng(0, c).normal_at(j);
  double scale = 0;
  for (double v : x) scale += v * v;
  for (int iteration = 0; iteration < 100; ++iteration)
    for (std::size_t c = 0; c < count; ++c) {
      std::vector<double> next(d, 0.0);
      for (std::size_t i = 0; i < n; ++i) {
        const double* row = x.data() + i * d;
        double projection = 0;
        for (std::size_t j = 0; j < d; ++j) projection += row[j] * axes[c][j];
        for (std::size_t j = 0; j < d; ++j) next[j] += projection * row[j];
      }
      for (std::size_t e = 0; e < c; ++e) {  // Gram-Schmidt against the axes before
        const double overlap = dot(next, axes[e]);
        for (std::size_t j = 0; j < d; ++j) next[j] -= overlap * axes[e][j];
      }
      const double length = std::sqrt(dot(next, next));
      const double factor = length > 1e-12 * scale ? 1 / length : 0;
      for (std::size_t j = 0; j < d; ++j) axes[c][j] = next[j] * factor;
    }
  for (auto& axis : axes) {
    const auto largest =
        std::max_element(axis.begin(), axis.end(), [](double a, double b) { return std::abs(a) < std::abs(b); });
    if (*largest < 0)
      for (double& v : axis) v = -v;
  }
  return axes;
}

inline std::uint8_t to_byte(double v) { return static_cast<std::uint8_t>(std::lround(std::clamp(v, 0.0, 255.0))); }

}  // namespace detail

VITALS_INLINE Picture patch_pca(TensorView<const float, dyn, dyn> patches, std::size_t rows, std::size_t columns) {
  const std::size_t n = patches.extent(0), d = patches.extent(1);
  if (n != rows * columns || n == 0 || d == 0)
    throw ShapeError("[patch_pca] patches " + to_string(patches.shape()) + " do not fill a grid of " +
                     std::to_string(rows) + " x " + std::to_string(columns));
  std::vector<double> x(patches.begin(), patches.end()), mean(d, 0.0);
  for (double v : x)
    if (!std::isfinite(v)) throw DataError("[patch_pca] a patch token is NaN or infinite");
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < d; ++j) mean[j] += x[i * d + j] / static_cast<double>(n);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < d; ++j) x[i * d + j] -= mean[j];
  const auto axes = detail::principal_axes(x, n, d, 3);
  Picture picture({rows, columns, 3});
  std::vector<double> component(n);
  for (std::size_t c = 0; c < 3; ++c) {
    for (std::size_t i = 0; i < n; ++i) {
      component[i] = 0;
      for (std::size_t j = 0; j < d; ++j) component[i] += x[i * d + j] * axes[c][j];
    }
    auto sorted = component;
    std::sort(sorted.begin(), sorted.end());
    const double low = sorted[(n - 1) * 2 / 100], high = sorted[(n - 1) - (n - 1) * 2 / 100];
    for (std::size_t i = 0; i < n; ++i)
      picture.data()[3 * i + c] = high > low ? detail::to_byte(255 * (component[i] - low) / (high - low)) : 128;
  }
  return picture;
}

VITALS_INLINE Picture picture_of(TensorView<const float, dyn, dyn, dyn> pixels) {
  if (pixels.extent(0) != 3)
    throw ShapeError("[picture_of] pixels " + to_string(pixels.shape()) + ", expected (3, H, W)");
  const std::size_t height = pixels.extent(1), width = pixels.extent(2);
  Picture picture({height, width, 3});
  for (std::size_t c = 0; c < 3; ++c)
    for (std::size_t y = 0; y < height; ++y)
      for (std::size_t x = 0; x < width; ++x) {
        const float v = pixels(c, y, x) * transforms::std_dev[c] + transforms::mean[c];
        picture(y, x, c) = std::isfinite(v) ? detail::to_byte(255.0 * v) : std::uint8_t{0};
      }
  return picture;
}

VITALS_INLINE Picture enlarge(const Picture& picture, std::size_t height, std::size_t width) {
  if (picture.empty() || height == 0 || width == 0) throw ShapeError("[enlarge] an empty picture");
  const auto taps = [](std::size_t i, std::size_t out, std::size_t in) {
    const double at =
        std::clamp((static_cast<double>(i) + 0.5) * static_cast<double>(in) / static_cast<double>(out) - 0.5, 0.0,
                   static_cast<double>(in - 1));
    const auto low = static_cast<std::size_t>(at);
    return std::tuple(low, std::min(low + 1, in - 1), at - static_cast<double>(low));
  };
  Picture out({height, width, 3});
  for (std::size_t y = 0; y < height; ++y) {
    const auto [y0, y1, fy] = taps(y, height, picture.extent(0));
    for (std::size_t x = 0; x < width; ++x) {
      const auto [x0, x1, fx] = taps(x, width, picture.extent(1));
      for (std::size_t c = 0; c < 3; ++c) {
        const double upper = picture(y0, x0, c) * (1 - fx) + picture(y0, x1, c) * fx;
        const double lower = picture(y1, x0, c) * (1 - fx) + picture(y1, x1, c) * fx;
        out(y, x, c) = detail::to_byte(upper * (1 - fy) + lower * fy);
      }
    }
  }
  return out;
}

VITALS_INLINE Picture beside(const Picture& left, const Picture& right, std::size_t gap) {
  if (left.extent(0) != right.extent(0))
    throw ShapeError("[beside] heights " + std::to_string(left.extent(0)) + " and " + std::to_string(right.extent(0)));
  Picture out({left.extent(0), left.extent(1) + gap + right.extent(1), 3});
  std::fill(out.begin(), out.end(), std::uint8_t{255});
  for (std::size_t y = 0; y < left.extent(0); ++y) {
    std::copy_n(&left(y, 0u, 0u), 3 * left.extent(1), &out(y, 0u, 0u));
    std::copy_n(&right(y, 0u, 0u), 3 * right.extent(1), &out(y, left.extent(1) + gap, 0u));
  }
  return out;
}

VITALS_INLINE void save_patch_pca(const std::filesystem::path& file, TensorView<const float, dyn, dyn, dyn> pixels,
                                  TensorView<const float, dyn, dyn> patches, std::size_t patch) {
  const auto picture = picture_of(pixels);
  const std::size_t height = picture.extent(0), width = picture.extent(1);
  if (patch == 0) throw ShapeError("[save_patch_pca] a patch of 0 pixels");
  const auto components = enlarge(patch_pca(patches, height / patch, width / patch), height, width);
  io::write_png(file, beside(picture, components));
}

}  // namespace vitals::inline v0::report
