// Implementation of winograd.hpp.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include <vitals/backend/cpu/gradient_product.hpp>
#include <vitals/backend/cpu/map_kernels.hpp>
#include <vitals/backend/cpu/task_local.hpp>
#include <vitals/backend/cpu/winograd.hpp>

namespace vitals::inline v0::backend::cpu {

namespace detail {

/// Squares of 2 x 2 results, row by row, image by image.
struct Squares {
  std::size_t out_height, out_width;
  std::size_t down = (out_height + 1) / 2, across = (out_width + 1) / 2;

  std::size_t each() const { return down * across; }
  struct Place {
    std::size_t image, y, x;  // of its first result
  };
  Place operator[](std::size_t i) const { return {i / each(), i % each() / across * 2, i % across * 2}; }
};

/// Pixel (y, x) of an image; null outside.
template <class T>
struct Pixels {
  const MapPart<T>& map;
  std::size_t height, width;

  T* operator()(std::size_t image, std::ptrdiff_t y, std::ptrdiff_t x) const {
    if (y < 0 || x < 0 || y >= static_cast<std::ptrdiff_t>(height) || x >= static_cast<std::ptrdiff_t>(width))
      return nullptr;
    return map.data +
           ((image * height + static_cast<std::size_t>(y)) * width + static_cast<std::size_t>(x)) * map.channels;
  }
};

/// Squares of a task: what is transformed stays in a core's level-2 cache, and tiles of 12 rows are full.
inline std::size_t squares_per_task(std::size_t in, std::size_t out, std::size_t number_bytes) {
  return std::clamp<std::size_t>(640 * 1024 / (16 * (in + out) * number_bytes) / 12, 2, 16) * 12;
}

/// From one of the 16 matrices to the next: an odd number of cache lines, so that they do not compete for the same places of the cache.
inline std::size_t odd_lines(std::size_t numbers) { return (ceil_div(numbers, 16) | 1) * 16; }

/// The side x side pixels of a map from (y, x) on, numbers from `channel` on; those outside are read from `zeros`.
template <class T>
std::array<const T*, 16> square_of(const Pixels<const T>& pixel, const Squares::Place& at, std::size_t side,
                                   std::size_t padding, const T* zeros, std::size_t channel = 0) {
  std::array<const T*, 16> pixels;
  const auto y = static_cast<std::ptrdiff_t>(at.y) - static_cast<std::ptrdiff_t>(padding);
  const auto x = static_cast<std::ptrdiff_t>(at.x) - static_cast<std::ptrdiff_t>(padding);
  for (std::size_t k = 0; k < side * side; ++k) {
    const T* address =
        pixel(at.image, y + static_cast<std::ptrdiff_t>(k / side), x + static_cast<std::ptrdiff_t>(k % side));
    pixels[k] = (address ? address : zeros) + channel;
  }
  return pixels;
}

/// B^T d B of squares [first, first + count), of channels [begin, end) of the joined maps: 16 matrices (count, end - begin), `plane`
/// from each other.
template <class T>
void transform_inputs(std::span<const MapPart<const T>> inputs, std::size_t height, std::size_t width,
                      std::size_t padding, const Squares& squares, std::size_t first, std::size_t count,
                      std::size_t begin, std::size_t end, const T* zeros, T* to, std::size_t plane) {
  const auto& maps = map_kernels<T>(active_isa());
  for (std::size_t i = 0; i < count; ++i) {
    const auto place = squares[first + i];
    std::size_t offset = 0;
    for (const auto& part : inputs) {
      const std::size_t from = std::max(begin, offset), until = std::min(end, offset + part.channels);
      if (from < until) {
        const auto pixels = square_of<T>({part, height, width}, place, 4, padding, zeros, from - offset);
        maps.winograd_input(pixels.data(), until - from, to + i * (end - begin) + from - begin, plane);
      }
      offset += part.channels;
    }
  }
}

}  // namespace detail

template <class T>
std::vector<PackedMatrix<T>> winograd_kernel(Executor& executor, const Wide<T>* weight, std::size_t out, std::size_t in,
                                             bool turned) {
  const std::size_t rows = turned ? in : out, cols = turned ? out : in;
  Buffer<Wide<T>> plain(16 * rows * cols);
  executor.run(rows, [&](std::size_t row) {
    for (std::size_t col = 0; col < cols; ++col) {
      const Wide<T>* g = weight + (turned ? col * in + row : row * in + col) * 9;
      const auto at = [&](std::size_t y, std::size_t x) { return turned ? g[8 - 3 * y - x] : g[3 * y + x]; };
      Wide<T> half[4][3];  // G g
      for (std::size_t x = 0; x < 3; ++x) {
        const Wide<T> ends = at(0, x) + at(2, x);
        half[0][x] = at(0, x);
        half[1][x] = Wide<T>(0.5) * (ends + at(1, x));
        half[2][x] = Wide<T>(0.5) * (ends - at(1, x));
        half[3][x] = at(2, x);
      }
      Wide<T>* to = plain.data() + row * cols + col;
      for (std::size_t r = 0; r < 4; ++r, to += 4 * rows * cols) {
        const Wide<T> ends = half[r][0] + half[r][2];
        to[0] = half[r][0];
        to[rows * cols] = Wide<T>(0.5) * (ends + half[r][1]);
        to[2 * rows * cols] = Wide<T>(0.5) * (ends - half[r][1]);
        to[3 * rows * cols] = half[r][2];
      }
    }
  });
  std::vector<PackedMatrix<T>> kernel;
  for (std::size_t p = 0; p < 16; ++p) kernel.emplace_back(executor, plain.data() + p * rows * cols, cols, rows, cols);
  return kernel;
}

template <class T>
void winograd_convolution(Executor& executor, std::span<const MapPart<const Wide<T>>> inputs, std::size_t batch,
                          std::size_t height, std::size_t width, std::size_t padding,
                          const std::vector<PackedMatrix<T>>& kernel, const Wide<T>* bias,
                          std::span<const MapPart<Wide<T>>> outputs) {
  using N = Wide<T>;
  const auto& maps = map_kernels<N>(active_isa());
  const std::size_t in = kernel[0].cols(), out = kernel[0].rows();
  const std::size_t out_height = height + 2 * padding - 2, out_width = width + 2 * padding - 2;
  const detail::Squares squares{out_height, out_width};
  const std::size_t all = batch * squares.each(), step = detail::squares_per_task(in, out, sizeof(N));
  const std::vector<N> zeros(in, N(0));
  executor.run(detail::ceil_div(all, step), [&](std::size_t task) {
    SerialExecutor here;
    const std::size_t first = task * step, count = std::min(step, all - first);
    const std::size_t x_plane = detail::odd_lines(count * in), y_plane = detail::odd_lines(count * out);
    N* x = detail::convolution_scratch<N, 0>(16 * x_plane);
    N* y = detail::convolution_scratch<N, 1>(16 * y_plane);
    detail::transform_inputs<N>(inputs, height, width, padding, squares, first, count, 0, in, zeros.data(), x, x_plane);
    for (std::size_t p = 0; p < 16; ++p)
      product<T>(here, x + p * x_plane, in, count, kernel[p], y + p * y_plane, out, {});
    for (std::size_t i = 0; i < count; ++i) {
      const auto place = squares[first + i];
      std::size_t offset = 0;
      for (const auto& part : outputs) {
        if (part.data) {
          const detail::Pixels<N> pixel{part, out_height, out_width};
          std::array<N*, 4> pixels;
          for (std::size_t k = 0; k < 4; ++k)
            pixels[k] = pixel(place.image, static_cast<std::ptrdiff_t>(place.y + k / 2),
                              static_cast<std::ptrdiff_t>(place.x + k % 2));
          maps.winograd_output(y + i * out + offset, y_plane, part.channels, bias ? bias + offset : nullptr, part.add,
                               pixels.data());
        }
        offset += part.channels;
      }
    }
  });
}

template <class T>
void winograd_weight_gradient(Executor& executor, std::span<const MapPart<const Wide<T>>> inputs, const Wide<T>* dy,
                              std::size_t out, const WindowShape& s, Wide<T>* dw) {
  using N = Wide<T>;
  const auto& maps = map_kernels<N>(active_isa());
  const std::size_t in = s.in, out_height = s.out_height(), out_width = s.out_width();
  const detail::Squares squares{out_height, out_width};
  const std::size_t all = s.batch * squares.each();
  // A task sums the products of a strip of squares for some input channels: a few squares at a time, whose transforms stay in the
  // level-2 cache with the sums. Strips are the same for any number of threads and are added in order.
  const std::size_t strips = winograd_strips(all);
  const std::size_t chunks = detail::ceil_div(in, 96), chunk = detail::ceil_div(in, chunks);
  const std::size_t step = std::clamp<std::size_t>(640 * 1024 / (16 * (chunk + out) * sizeof(N)) / 8, 4, 32) * 8;
  N* sums = detail::convolution_scratch<N, 4>(strips * 16 * out * in);
  const std::vector<N> zeros(std::max(in, out), N(0));
  const MapPart<const N> gradient{dy, out, false};
  executor.run(strips * chunks, [&](std::size_t task) {
    SerialExecutor here;
    const std::size_t strip = task / chunks, begin = task % chunks * chunk, columns = std::min(chunk, in - begin);
    const std::size_t x_plane = detail::odd_lines(step * columns), g_plane = detail::odd_lines(step * out);
    N* x = detail::convolution_scratch<N, 2>(16 * x_plane);
    N* g = detail::convolution_scratch<N, 3>(16 * g_plane);
    const std::size_t start = all * strip / strips, end = all * (strip + 1) / strips;
    for (std::size_t first = start; first < end; first += step) {
      const std::size_t count = std::min(step, end - first);
      detail::transform_inputs<N>(inputs, s.height, s.width, s.padding, squares, first, count, begin, begin + columns,
                                  zeros.data(), x, x_plane);
      for (std::size_t i = 0; i < count; ++i) {
        const auto pixels =
            detail::square_of<N>({gradient, out_height, out_width}, squares[first + i], 2, 0, zeros.data());
        maps.winograd_gradient(pixels.data(), out, g + i * out, g_plane);
      }
      for (std::size_t p = 0; p < 16; ++p)
        weight_gradient<T>(here, g + p * g_plane, out, x + p * x_plane, columns, count, out, columns,
                           sums + ((strip * 16 + p) * in + begin) * out, first > start);
    }
  });
  parallel_for(executor, 16 * in * out, 4096, [&](std::size_t begin, std::size_t end) {
    for (std::size_t strip = 1; strip < strips; ++strip)
      for (std::size_t i = begin; i < end; ++i) sums[i] += sums[strip * 16 * in * out + i];
  });
  executor.run(out, [&](std::size_t o) {
    for (std::size_t i = 0; i < in; ++i) {
      const std::size_t begin = i / chunk * chunk, columns = std::min(chunk, in - begin);
      const N* u = sums + begin * out + o * columns + i - begin;
      N half[3][4];  // G^T dU
      for (std::size_t c = 0; c < 4; ++c) {
        const N a = u[c * in * out], b = u[(4 + c) * in * out], d = u[(8 + c) * in * out], e = u[(12 + c) * in * out];
        half[0][c] = a + N(0.5) * (b + d);
        half[1][c] = N(0.5) * (b - d);
        half[2][c] = N(0.5) * (b + d) + e;
      }
      N* to = dw + (o * in + i) * 9;
      for (std::size_t r = 0; r < 3; ++r, to += 3) {
        const N middle = N(0.5) * (half[r][1] + half[r][2]);
        to[0] += half[r][0] + middle;
        to[1] += N(0.5) * (half[r][1] - half[r][2]);
        to[2] += middle + half[r][3];
      }
    }
  });
}

#if !VITALS_HEADER_ONLY
#define VITALS_INSTANTIATE(T)                                                                                          \
  template std::vector<PackedMatrix<T>> winograd_kernel<T>(Executor&, const Wide<T>*, std::size_t, std::size_t, bool); \
  template void winograd_convolution<T>(Executor&, std::span<const MapPart<const Wide<T>>>, std::size_t, std::size_t,  \
                                        std::size_t, std::size_t, const std::vector<PackedMatrix<T>>&, const Wide<T>*, \
                                        std::span<const MapPart<Wide<T>>>);                                            \
  template void winograd_weight_gradient<T>(Executor&, std::span<const MapPart<const Wide<T>>>, const Wide<T>*,        \
                                            std::size_t, const WindowShape&, Wide<T>*);
VITALS_INSTANTIATE(float)
VITALS_INSTANTIATE(double)
VITALS_INSTANTIATE(bfloat16)
#undef VITALS_INSTANTIATE
#endif

}  // namespace vitals::inline v0::backend::cpu
