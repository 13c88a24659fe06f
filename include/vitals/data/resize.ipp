// Implementation of resize.hpp.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

#include <vitals/core/error.hpp>
#include <vitals/data/resize.hpp>

namespace vitals::inline v0::transforms {

namespace detail {

/// Keys' kernel with the free parameter a.
inline double cubic_kernel(double x, double a) {
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

inline Window checked_window(const std::array<std::size_t, 3>& picture, std::size_t channels, Size to, Window window) {
  if (picture[0] == 0 || picture[1] == 0) throw ShapeError("[resize] an empty picture, shape " + to_string(picture));
  if (channels == 0 || channels > picture[2])
    throw ShapeError("[resize] " + std::to_string(channels) + " channels of a picture of shape " + to_string(picture));
  if (window.top < to.height && window.left < to.width && window.size == Size{0})
    window.size = {to.height - window.top, to.width - window.left};
  if (window.size.height == 0 || window.size.width == 0 || window.top > to.height || window.left > to.width ||
      window.size.height > to.height - window.top || window.size.width > to.width - window.left)
    throw ShapeError("[resize] a window that is empty or outside " + std::to_string(to.height) + " x " +
                     std::to_string(to.width));
  return window;
}

// --- Pillow ---------------------------------------------------------------------------------------------------------

inline constexpr int pillow_bits = 22;  // of a weight's fraction: 32 less 8 for the pixel and 2 for overshoot

/// Taps of the outputs [first, first + count) of one axis: output i is the sum of weight[i * most + k] * pixel[start[i] + k].
struct PillowTaps {
  std::size_t most = 0;  ///< weights kept for each output
  std::vector<std::size_t> start, count;
  std::vector<std::int32_t> weight;
};

inline PillowTaps pillow_taps(std::size_t in, std::size_t out, std::size_t first, std::size_t count) {
  const double scale = static_cast<double>(in) / static_cast<double>(out), widening = std::max(scale, 1.0);
  const double support = 2 * widening;
  PillowTaps taps;
  if (in == out) {
    taps.most = 1;
    taps.weight.assign(count, 1 << pillow_bits);
    taps.count.assign(count, 1);
    for (std::size_t i = 0; i < count; ++i) taps.start.push_back(first + i);
    return taps;
  }
  taps.most = static_cast<std::size_t>(std::ceil(support)) * 2 + 1;
  taps.weight.resize(count * taps.most);
  std::vector<double> exact(taps.most);
  for (std::size_t i = 0; i < count; ++i) {
    const double center = (static_cast<double>(first + i) + 0.5) * scale;
    const auto low = static_cast<std::size_t>(std::max(center - support + 0.5, 0.0));
    const auto high = std::min(static_cast<std::size_t>(center + support + 0.5), in);
    double sum = 0;
    for (std::size_t k = low; k < high; ++k)
      sum += exact[k - low] = cubic_kernel((static_cast<double>(k) - center + 0.5) * (1 / widening), -0.5);
    for (std::size_t k = 0; k < high - low; ++k) {
      const double w = (sum != 0 ? exact[k] / sum : exact[k]) * (1 << pillow_bits);
      taps.weight[i * taps.most + k] = static_cast<std::int32_t>(w < 0 ? w - 0.5 : w + 0.5);
    }
    taps.start.push_back(low);
    taps.count.push_back(high - low);
  }
  return taps;
}

inline std::uint8_t pillow_round(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::clamp(sum >> pillow_bits, 0, 255));
}

/// Along the columns: `rows` rows of `in`, `stride` apart, to rows of taps.start.size().
inline void pillow_horizontal(const std::uint8_t* in, std::size_t stride, std::size_t rows, const PillowTaps& taps,
                              std::uint8_t* out) {
  const std::size_t width = taps.start.size();
  for (std::size_t y = 0; y < rows; ++y, in += stride, out += width)
    for (std::size_t x = 0; x < width; ++x) {
      const std::uint8_t* p = in + taps.start[x];
      const std::int32_t* w = &taps.weight[x * taps.most];
      std::int32_t even = 1 << (pillow_bits - 1), odd = 0;  // two sums: each addition need not wait for the last
      std::size_t k = 0;
      for (const std::size_t pairs = taps.count[x] & ~std::size_t{1}; k < pairs; k += 2) {
        even += p[k] * w[k];
        odd += p[k + 1] * w[k + 1];
      }
      if (k < taps.count[x]) even += p[k] * w[k];
      out[x] = pillow_round(even + odd);
    }
}

/// Along the rows: `in` begins with the picture's row `first`; rows of `width`.
inline void pillow_vertical(const std::uint8_t* in, std::size_t first, std::size_t width, const PillowTaps& taps,
                            std::uint8_t* out) {
  std::vector<std::int32_t> sums(width);
  for (std::size_t y = 0; y < taps.start.size(); ++y, out += width) {
    std::fill(sums.begin(), sums.end(), 1 << (pillow_bits - 1));
    for (std::size_t k = 0; k < taps.count[y]; ++k) {
      const std::int32_t w = taps.weight[y * taps.most + k];
      const std::uint8_t* line = in + (taps.start[y] - first + k) * width;
      for (std::size_t x = 0; x < width; ++x) sums[x] += line[x] * w;
    }
    for (std::size_t x = 0; x < width; ++x) out[x] = pillow_round(sums[x]);
  }
}

// --- PyTorch --------------------------------------------------------------------------------------------------------

/// Four taps for every output of one axis, indices clamped to the picture. The place is computed in float, as PyTorch
/// does: its rounding, up to 1e-4 of a pixel at the far end of 2048, is part of the result.
struct TensorTaps {
  std::vector<std::array<std::size_t, 4>> index;
  std::vector<std::array<float, 4>> weight;
};

inline TensorTaps tensor_taps(std::size_t in, std::size_t out, std::size_t first, std::size_t count) {
  const float scale = static_cast<float>(in) / static_cast<float>(out);
  TensorTaps taps;
  for (std::size_t i = first; i < first + count; ++i) {
    const float at = scale * (static_cast<float>(i) + 0.5f) - 0.5f, floor = std::floor(at);
    const double t = at - floor;
    auto& weight = taps.weight.emplace_back();
    for (int k = 0; k < 4; ++k)
      weight[static_cast<std::size_t>(k)] = static_cast<float>(cubic_kernel(t + 1 - k, -0.75));
    auto& index = taps.index.emplace_back();
    for (std::size_t k = 0; k < 4; ++k) {
      const float wanted = floor + static_cast<float>(k) - 1;
      index[k] = wanted <= 0 ? 0 : std::min(static_cast<std::size_t>(wanted), in - 1);
    }
  }
  return taps;
}

template <class T>
Tensor<float, dyn, dyn, dyn> resize_as_tensor(TensorView<const T, dyn, dyn, dyn> picture, std::size_t channels, Size to,
                                              Window window) {
  window = checked_window(picture.shape(), channels, to, window);
  const auto [height, width, stride] = picture.shape();
  const auto [out_height, out_width] = std::array{window.size.height, window.size.width};
  const TensorTaps rows = tensor_taps(height, to.height, window.top, out_height);
  const TensorTaps columns = tensor_taps(width, to.width, window.left, out_width);
  Tensor<float, dyn, dyn, dyn> out({channels, out_height, out_width});
  // The four rows in use, each resized along the columns once; row r lives in slot r % 4.
  std::vector<float> resized(4 * out_width);
  for (std::size_t c = 0; c < channels; ++c) {
    std::array<std::size_t, 4> held{dyn, dyn, dyn, dyn};
    for (std::size_t y = 0; y < out_height; ++y) {
      std::array<const float*, 4> lines{};
      for (std::size_t k = 0; k < 4; ++k) {
        const std::size_t r = rows.index[y][k];
        float* line = &resized[r % 4 * out_width];
        lines[k] = line;
        if (held[r % 4] == r) continue;
        held[r % 4] = r;
        const T* p = picture.data() + r * width * stride + c;
        for (std::size_t x = 0; x < out_width; ++x) {
          const auto& [i0, i1, i2, i3] = columns.index[x];
          const auto& [w0, w1, w2, w3] = columns.weight[x];
          line[x] = static_cast<float>(p[i0 * stride]) * w0 + static_cast<float>(p[i1 * stride]) * w1 +
                    static_cast<float>(p[i2 * stride]) * w2 + static_cast<float>(p[i3 * stride]) * w3;
        }
      }
      const auto& [w0, w1, w2, w3] = rows.weight[y];
      float* to_row = &out(c, y, 0);
      for (std::size_t x = 0; x < out_width; ++x)
        to_row[x] = lines[0][x] * w0 + lines[1][x] * w1 + lines[2][x] * w2 + lines[3][x] * w3;
    }
  }
  return out;
}

}  // namespace detail

VITALS_INLINE Tensor<std::uint8_t, dyn, dyn, dyn> resize_pillow(TensorView<const std::uint8_t, dyn, dyn, dyn> picture,
                                                                std::size_t channels, Size to, Window window) {
  window = detail::checked_window(picture.shape(), channels, to, window);
  const auto [height, width, stride] = picture.shape();
  const auto [out_height, out_width] = std::array{window.size.height, window.size.width};
  const auto columns = detail::pillow_taps(width, to.width, window.left, out_width);
  const auto rows = detail::pillow_taps(height, to.height, window.top, out_height);
  // Between equal sizes the taps are a single 1, and a pass is a copy.
  const bool rows_first = height > to.height && height - to.height + 2 * to.width > 2 * width;
  const std::size_t first = rows.start.front(), used_rows = rows.start.back() + rows.count.back() - first;
  std::vector<std::uint8_t> plane(stride == 1 ? 0 : height * width);
  std::vector<std::uint8_t> between(rows_first ? out_height * width : used_rows * out_width);
  Tensor<std::uint8_t, dyn, dyn, dyn> out({channels, out_height, out_width});
  for (std::size_t c = 0; c < channels; ++c) {
    const std::uint8_t* in = picture.data() + c;
    if (stride != 1) {  // one channel alone, side by side
      for (std::size_t i = 0; i < height * width; ++i) plane[i] = in[i * stride];
      in = plane.data();
    }
    in += first * width;
    if (rows_first) {
      detail::pillow_vertical(in, first, width, rows, between.data());
      detail::pillow_horizontal(between.data(), width, out_height, columns, &out(c, 0, 0));
    } else {
      detail::pillow_horizontal(in, width, used_rows, columns, between.data());
      detail::pillow_vertical(between.data(), first, out_width, rows, &out(c, 0, 0));
    }
  }
  return out;
}

VITALS_INLINE Tensor<float, dyn, dyn, dyn> resize_tensor(TensorView<const std::uint8_t, dyn, dyn, dyn> picture,
                                                         std::size_t channels, Size to, Window window) {
  return detail::resize_as_tensor(picture, channels, to, window);
}
VITALS_INLINE Tensor<float, dyn, dyn, dyn> resize_tensor(TensorView<const std::uint16_t, dyn, dyn, dyn> picture,
                                                         std::size_t channels, Size to, Window window) {
  return detail::resize_as_tensor(picture, channels, to, window);
}
VITALS_INLINE Tensor<float, dyn, dyn, dyn> resize_tensor(TensorView<const float, dyn, dyn, dyn> picture,
                                                         std::size_t channels, Size to, Window window) {
  return detail::resize_as_tensor(picture, channels, to, window);
}

}  // namespace vitals::inline v0::transforms
