// Implementation of distance_transform.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <vitals/core/error.hpp>
#include <vitals/metrics/distance_transform.hpp>

namespace vitals::inline v0::metrics {

namespace detail {

// The lines of one thread: parabolas i of the envelope stand at site[i] with value height[i] and are lowest from
// from[i] on (all in units of the axis' spacing).
struct Envelope {
  std::vector<double> height, from;
  std::vector<std::size_t> site;
  explicit Envelope(std::size_t n) : height(n), from(n), site(n) {}

  // line[q] becomes the least of line[v] + (s (q - v))^2.
  void lower(double* line, std::size_t n, double s) {
    const double s2 = s * s;
    std::size_t count = 0;
    for (std::size_t q = 0; q < n; ++q) {
      if (line[q] == std::numeric_limits<double>::infinity()) continue;
      double begin = -std::numeric_limits<double>::infinity();
      while (count) {  // where the new parabola crosses the last one; from there on it is lower
        const auto v = site[count - 1];
        const double gap = static_cast<double>(q - v);
        begin = (static_cast<double>(q) + static_cast<double>(v)) / 2 + (line[q] - height[count - 1]) / (2 * s2 * gap);
        if (begin > from[count - 1]) break;
        --count;
        begin = -std::numeric_limits<double>::infinity();
      }
      site[count] = q;
      height[count] = line[q];
      from[count++] = begin;
    }
    if (!count) return;
    std::size_t i = 0;
    for (std::size_t q = 0; q < n; ++q) {
      while (i + 1 < count && from[i + 1] < static_cast<double>(q)) ++i;
      const double d = q > site[i] ? static_cast<double>(q - site[i]) : static_cast<double>(site[i] - q);
      line[q] = height[i] + s2 * d * d;
    }
  }
};

// Squared distances along one contiguous line: a sweep from each side.
inline void sweep_line(const std::uint8_t* marked, double* out, std::size_t n, double s) {
  constexpr double none = std::numeric_limits<double>::infinity();
  double since = none;  // steps since the last marked voxel
  for (std::size_t q = 0; q < n; ++q) {
    since = marked[q] ? 0 : since + 1;
    out[q] = since;
  }
  since = none;
  for (std::size_t q = n; q-- > 0;) {
    since = out[q] == 0 ? 0 : since + 1;
    const double steps = std::min(out[q], since);
    out[q] = s * s * steps * steps;
  }
}

// The envelope along an axis whose voxels lie `stride` numbers apart, for the `stride` neighbouring lines from `at`:
// sixteen of them at a time go through a small block, since a walk down one line alone touches a cache line a voxel.
inline void lower_lines(double* at, std::size_t n, std::size_t stride, double s, Envelope& envelope,
                        std::vector<double>& block) {
  constexpr std::size_t lines = 16;
  block.resize(lines * n);
  for (std::size_t first = 0; first < stride; first += lines) {
    const std::size_t count = std::min(lines, stride - first);
    for (std::size_t q = 0; q < n; ++q)
      for (std::size_t l = 0; l < count; ++l) block[l * n + q] = at[q * stride + first + l];
    for (std::size_t l = 0; l < count; ++l) envelope.lower(block.data() + l * n, n, s);
    for (std::size_t q = 0; q < n; ++q)
      for (std::size_t l = 0; l < count; ++l) at[q * stride + first + l] = block[l * n + q];
  }
}

}  // namespace detail

VITALS_INLINE Tensor<double, dyn, dyn, dyn> squared_distances(TensorView<const std::uint8_t, dyn, dyn, dyn> marked,
                                                              const std::array<double, 3>& spacing,
                                                              Executor* executor) {
  const std::size_t nx = marked.extent(0), ny = marked.extent(1), nz = marked.extent(2);
  if (marked.empty()) throw ShapeError("[squared_distances] an empty volume, shape " + to_string(marked.shape()));
  for (double mm : spacing)
    if (!(mm > 0 && std::isfinite(mm)))
      throw ArgumentError("[squared_distances] a spacing of " + std::to_string(mm), "", "it must be above 0");
  Executor& pool = executor ? *executor : default_pool();
  Tensor<double, dyn, dyn, dyn> out({nx, ny, nz});
  parallel_for(pool, nx, 1, [&](std::size_t begin, std::size_t end) {
    detail::Envelope envelope(ny);
    std::vector<double> block;
    for (std::size_t x = begin; x < end; ++x) {
      for (std::size_t y = 0; y < ny; ++y)
        detail::sweep_line(marked.data() + (x * ny + y) * nz, out.data() + (x * ny + y) * nz, nz, spacing[2]);
      if (ny > 1) detail::lower_lines(out.data() + x * ny * nz, ny, nz, spacing[1], envelope, block);
    }
  });
  if (nx == 1) return out;
  parallel_for(pool, ny, 1, [&](std::size_t begin, std::size_t end) {  // along x: the planes of one y
    detail::Envelope envelope(nx);
    std::vector<double> plane(nx * nz), block;
    for (std::size_t y = begin; y < end; ++y) {
      for (std::size_t x = 0; x < nx; ++x) std::copy_n(out.data() + (x * ny + y) * nz, nz, plane.data() + x * nz);
      detail::lower_lines(plane.data(), nx, nz, spacing[0], envelope, block);
      for (std::size_t x = 0; x < nx; ++x) std::copy_n(plane.data() + x * nz, nz, out.data() + (x * ny + y) * nz);
    }
  });
  return out;
}

}  // namespace vitals::inline v0::metrics
