// Implementation of position_embedding.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include <vitals/core/error.hpp>
#include <vitals/nn/position_embedding.hpp>

namespace vitals::inline v0::nn {

namespace detail {

/// The weights with which one output coordinate reads a line of stored ones: weights[i] for `first + i`.
struct Taps {
  std::size_t first = 0;
  std::vector<double> weights;
};

/// Keys' cubic convolution kernel. Keys, "Cubic convolution interpolation for digital image processing", 1981.
inline double cubic(double x, double a) {
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

/// Four taps around (i + 0.5) / scale - 0.5, those beyond the border moved onto it; a = -0.75.
inline std::vector<Taps> bicubic_taps(std::size_t stored, std::size_t n, double scale) {
  std::vector<Taps> out(n);
  const auto last = static_cast<std::ptrdiff_t>(stored) - 1;
  for (std::size_t i = 0; i < n; ++i) {
    const double at = (static_cast<double>(i) + 0.5) / scale - 0.5, floor = std::floor(at), t = at - floor;
    const auto base = static_cast<std::ptrdiff_t>(floor);
    const auto begin = std::clamp<std::ptrdiff_t>(base - 1, 0, last);
    const auto end = std::clamp<std::ptrdiff_t>(base + 2, 0, last);
    out[i].first = static_cast<std::size_t>(begin);
    out[i].weights.assign(static_cast<std::size_t>(end - begin) + 1, 0.0);
    for (std::ptrdiff_t tap = -1; tap <= 2; ++tap) {
      const auto clamped = std::clamp<std::ptrdiff_t>(base + tap, 0, last);
      out[i].weights[static_cast<std::size_t>(clamped - begin)] += cubic(t - static_cast<double>(tap), -0.75);
    }
  }
  return out;
}

/// Pillow's way: a = -0.5, the kernel widened by the shrinking factor, weights normalised over the taps inside.
inline std::vector<Taps> antialias_taps(std::size_t stored, std::size_t n) {
  std::vector<Taps> out(n);
  const double scale = static_cast<double>(stored) / static_cast<double>(n), widen = std::max(scale, 1.0);
  const double support = 2 * widen;
  for (std::size_t i = 0; i < n; ++i) {
    const double centre = scale * (static_cast<double>(i) + 0.5);
    const auto begin = static_cast<std::size_t>(std::max(0.0, std::floor(centre - support + 0.5)));
    const auto end =
        static_cast<std::size_t>(std::min(static_cast<double>(stored), std::floor(centre + support + 0.5)));
    out[i].first = begin;
    double total = 0;
    for (std::size_t j = begin; j < end; ++j) {
      out[i].weights.push_back(cubic((static_cast<double>(j) - centre + 0.5) / widen, -0.5));
      total += out[i].weights.back();
    }
    for (double& weight : out[i].weights) weight /= total;
  }
  return out;
}

inline std::vector<Taps> taps(std::size_t stored, std::size_t n, Positions rule) {
  if (rule == Positions::antialias) return antialias_taps(stored, n);
  const double m = static_cast<double>(stored), shift = rule == Positions::offset ? 0.1 : 0.0;
  return bicubic_taps(stored, n, (static_cast<double>(n) + shift) / m);
}

}  // namespace detail

namespace detail {

template <class T>
Tensor<T, dyn, dyn> interpolate_grid(TensorView<const T, dyn, dyn> stored, std::size_t h, std::size_t w,
                                     Positions rule) {
  const std::size_t d = stored.extent(1), count = stored.extent(0) - 1;
  const auto m = static_cast<std::size_t>(std::llround(std::sqrt(static_cast<double>(count))));
  if (m * m != count || m == 0)
    throw ShapeError("[interpolate_positions] stored positions are not 1 + a square, got " + to_string(stored.shape()));
  Tensor<T, dyn, dyn> out({1 + h * w, d});
  std::copy_n(stored.data(), d, out.data());
  if (h == m && w == m) {
    std::copy_n(stored.data(), stored.size(), out.data());
    return out;
  }
  const auto across = taps(m, w, rule), down = taps(m, h, rule);
  std::vector<double> rows(m * w * d, 0.0);  // the stored rows, resized along x
  for (std::size_t y = 0; y < m; ++y)
    for (std::size_t x = 0; x < w; ++x)
      for (std::size_t j = 0; j < across[x].weights.size(); ++j) {
        const T* from = stored.data() + (1 + y * m + across[x].first + j) * d;
        double* to = rows.data() + (y * w + x) * d;
        for (std::size_t c = 0; c < d; ++c) to[c] += across[x].weights[j] * from[c];
      }
  std::vector<double> line(d);
  for (std::size_t y = 0; y < h; ++y)
    for (std::size_t x = 0; x < w; ++x) {
      std::fill(line.begin(), line.end(), 0.0);
      for (std::size_t j = 0; j < down[y].weights.size(); ++j) {
        const double* from = rows.data() + ((down[y].first + j) * w + x) * d;
        for (std::size_t c = 0; c < d; ++c) line[c] += down[y].weights[j] * from[c];
      }
      std::transform(line.begin(), line.end(), out.data() + (1 + y * w + x) * d,
                     [](double v) { return static_cast<T>(v); });
    }
  return out;
}

}  // namespace detail

VITALS_INLINE Tensor<float, dyn, dyn> interpolate_positions(TensorView<const float, dyn, dyn> stored, std::size_t h,
                                                            std::size_t w, Positions rule) {
  return detail::interpolate_grid<float>(stored, h, w, rule);
}

VITALS_INLINE Tensor<double, dyn, dyn> interpolate_positions(TensorView<const double, dyn, dyn> stored, std::size_t h,
                                                             std::size_t w, Positions rule) {
  return detail::interpolate_grid<double>(stored, h, w, rule);
}

VITALS_INLINE void interpolate_positions_backward(std::span<const double> from, std::size_t h, std::size_t w,
                                                  std::size_t d, Positions rule, std::span<double> to) {
  const std::size_t count = to.size() / d - 1;
  const auto m = static_cast<std::size_t>(std::llround(std::sqrt(static_cast<double>(count))));
  if (h == m && w == m) {
    for (std::size_t i = 0; i < to.size(); ++i) to[i] += from[i];
    return;
  }
  for (std::size_t c = 0; c < d; ++c) to[c] += from[c];
  const auto across = detail::taps(m, w, rule), down = detail::taps(m, h, rule);
  const auto add = [d](double weight, const double* x, double* y) {
    for (std::size_t c = 0; c < d; ++c) y[c] += weight * x[c];
  };
  std::vector<double> rows(m * w * d, 0.0);  // the gradient of the stored rows, resized along x
  for (std::size_t y = 0; y < h; ++y)
    for (std::size_t x = 0; x < w; ++x)
      for (std::size_t j = 0; j < down[y].weights.size(); ++j)
        add(down[y].weights[j], from.data() + (1 + y * w + x) * d, rows.data() + ((down[y].first + j) * w + x) * d);
  for (std::size_t y = 0; y < m; ++y)
    for (std::size_t x = 0; x < w; ++x)
      for (std::size_t j = 0; j < across[x].weights.size(); ++j)
        add(across[x].weights[j], rows.data() + (y * w + x) * d, to.data() + (1 + y * m + across[x].first + j) * d);
}

}  // namespace vitals::inline v0::nn
