// What drawn pictures (phantom.hpp, phantom_head.hpp) are drawn on and with: a plane of numbers that can be blurred, and smooth
// random textures.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include <vitals/core/rng.hpp>
#include <vitals/data/phantom_anatomy.hpp>

namespace vitals::inline v0::phantom::detail {

/// A picture of one number a pixel while it is drawn.
struct Plane {
  std::size_t height, width;
  std::vector<float> values;
  Plane(std::size_t h, std::size_t w) : height(h), width(w), values(h * w) {}
  float& operator()(std::size_t y, std::size_t x) { return values[y * width + x]; }

  /// Gaussian blur, the border repeated.
  void blur(double sigma) {
    const auto reach = static_cast<std::size_t>(std::max(1.0, std::ceil(2.5 * sigma)));
    std::vector<float> weight(2 * reach + 1);
    float sum = 0;
    for (std::size_t k = 0; k <= 2 * reach; ++k) {
      const double d = static_cast<double>(k) - static_cast<double>(reach);
      sum += weight[k] = static_cast<float>(std::exp(-d * d / (2 * sigma * sigma)));
    }
    for (float& w : weight) w /= sum;
    std::vector<float> line(width + 2 * reach), out(values.size());
    for (std::size_t y = 0; y < height; ++y) {
      const float* row = &values[y * width];
      std::fill_n(line.begin(), reach, row[0]);
      std::copy_n(row, width, &line[reach]);
      std::fill_n(&line[reach + width], reach, row[width - 1]);
      for (std::size_t k = 0; k < weight.size(); ++k)
        for (std::size_t x = 0; x < width; ++x) out[y * width + x] += weight[k] * line[x + k];
    }
    std::fill(values.begin(), values.end(), 0.0f);
    for (std::size_t y = 0; y < height; ++y)
      for (std::size_t k = 0; k < weight.size(); ++k) {
        const float* row = &out[(std::clamp(y + k, reach, reach + height - 1) - reach) * width];
        for (std::size_t x = 0; x < width; ++x) values[y * width + x] += weight[k] * row[x];
      }
  }
};

/// Smooth random texture of mean 0: a lattice of `cells` a side, interpolated.
class Texture {
 public:
  Texture(Rng& rng, std::size_t cells) : cells_(cells), values_((cells + 2) * (cells + 2)) {
    for (float& v : values_) v = static_cast<float>(rng.normal());
  }
  /// s and t in [0, 1].
  double at(double s, double t) const {
    const double x = std::clamp(s, 0.0, 1.0) * static_cast<double>(cells_),
                 y = std::clamp(t, 0.0, 1.0) * static_cast<double>(cells_);
    const auto i = static_cast<std::size_t>(x), j = static_cast<std::size_t>(y);
    const double fx = ramp(0, 1, x - static_cast<double>(i)), fy = ramp(0, 1, y - static_cast<double>(j));
    const float* p = &values_[j * (cells_ + 2) + i];
    const float* q = p + cells_ + 2;
    return (p[0] * (1 - fx) + p[1] * fx) * (1 - fy) + (q[0] * (1 - fx) + q[1] * fx) * fy;
  }

 private:
  std::size_t cells_;
  std::vector<float> values_;
};

}  // namespace vitals::inline v0::phantom::detail
