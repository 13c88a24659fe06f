// Implementation of convolution.hpp.
#pragma once

#include <algorithm>
#include <array>
#include <vector>

#include <vitals/backend/cpu/convolution.hpp>
#include <vitals/backend/cpu/gradient_product.hpp>
#include <vitals/backend/cpu/gradient_rowwise.hpp>
#include <vitals/backend/cpu/task_local.hpp>
#include <vitals/backend/cpu/winograd.hpp>

namespace vitals::inline v0::backend::cpu {

namespace detail {

/// How a map is laid out with its border: rows of `pitch` pixels, the zeros on the left of a row serve as those on the right of the
/// row before. `spread` > 1: that many pixels stand where one was, the others zero (the way back of a stride).
struct Border {
  std::size_t height, width, channels;  // of the map
  std::size_t padding_y, padding_x, spread = 1;
  std::size_t pitch;  // pixels from row to row

  std::size_t row() const { return pitch * channels; }
};

/// Rows [first, first + count) of the bordered map of image b.
template <class T>
void bordered_rows(std::span<const MapPart<const T>> parts, const Border& border, std::size_t b, std::size_t first,
                   std::size_t count, T* to) {
  std::fill_n(to, count * border.row(), T(0));
  for (std::size_t r = 0; r < count; ++r, to += border.row()) {
    const std::size_t y = first + r;
    if (y < border.padding_y || (y - border.padding_y) % border.spread != 0) continue;
    const std::size_t source = (y - border.padding_y) / border.spread;
    if (source >= border.height) continue;
    T* pixel = to + border.padding_x * border.channels;
    if (parts.size() == 1 && border.spread == 1) {
      std::copy_n(parts[0].data + (b * border.height + source) * border.width * border.channels,
                  border.width * border.channels, pixel);
      continue;
    }
    std::size_t offset = 0;
    for (const auto& part : parts) {
      const T* from = part.data + (b * border.height + source) * border.width * part.channels;
      for (std::size_t x = 0; x < border.width; ++x, from += part.channels)
        std::copy_n(from, part.channels, pixel + x * border.spread * border.channels + offset);
      offset += part.channels;
    }
  }
}

/// Packed rows of a task's left side that stay in a core's level-2 cache.
inline constexpr std::size_t convolution_cached_bytes = 448 * 1024;

/// Rows of output of a task, so that all tasks are of about one size.
inline std::size_t convolution_rows(std::size_t height, std::size_t pitch, std::size_t depth_bytes) {
  const std::size_t pixels = std::clamp<std::size_t>(convolution_cached_bytes / depth_bytes, 96, 1024);
  const std::size_t blocks = ceil_div(height, std::max<std::size_t>(1, pixels / pitch));
  return ceil_div(height, blocks);
}

/// A convolution of any kernel given as packed rows: store(b, first row, rows, y, row stride) takes rows of results, pixels side by
/// side.
template <class T, class StoreRows>
void run_convolution(Executor& executor, std::span<const MapPart<const Wide<T>>> parts, const Border& border,
                     std::size_t batch, std::size_t stride, std::size_t out_height, std::size_t out_width,
                     const PackedKernel<T>& kernel, const Wide<T>* bias, StoreRows&& store_rows) {
  const std::size_t kernel_height = kernel.rows.size(), depth = kernel.rows[0].cols(), pixels = kernel.pixels;
  const std::size_t out = kernel.rows[0].rows() / pixels;
  const std::size_t rows =
      convolution_rows(out_height, border.pitch, depth * sizeof(Lane<T>) / (Packing<T>::per_lane * pixels));
  const std::size_t blocks = ceil_div(out_height, rows);
  std::vector<Wide<T>> biases;
  for (std::size_t i = 0; bias && i < pixels; ++i) biases.insert(biases.end(), bias, bias + out);
  executor.run(batch * blocks, [&](std::size_t task) {
    SerialExecutor here;
    const std::size_t b = task / blocks, first = task % blocks * rows, count = std::min(rows, out_height - first);
    const std::size_t needed = (count - 1) * stride + kernel_height;
    Wide<T>* x = convolution_scratch<Wide<T>, 0>(needed * border.row() + depth);
    bordered_rows<Wide<T>>(parts, border, b, first * stride, needed, x);
    std::fill_n(x + needed * border.row(), depth, Wide<T>(0));
    const std::size_t pitch = stride == 1 ? border.pitch : out_width;
    Wide<T>* y = convolution_scratch<Wide<T>, 1>((count * pitch + pixels) * out);
    for (std::size_t ky = 0; ky < kernel_height; ++ky) {
      const Epilogue<Wide<T>> epilogue{ky ? Store::scale_add : Store::plain, ky || !bias ? nullptr : biases.data(),
                                       nullptr};
      const Wide<T>* from = x + ky * border.row();
      if (stride == 1)
        product<T>(here, from, pixels * border.channels, ceil_div((count - 1) * pitch + out_width, pixels),
                   kernel.rows[ky], y, pixels * out, epilogue);
      else
        for (std::size_t r = 0; r < count; ++r)
          product<T>(here, from + r * stride * border.row(), stride * border.channels, out_width, kernel.rows[ky],
                     y + r * pitch * out, out, epilogue);
    }
    store_rows(b, first, count, y, pitch * out);
  });
}

/// How many pixels share a panel: what a panel of 32 columns has room for, with stride 1 and a kernel of some width.
inline std::size_t shared_pixels(std::size_t out, std::size_t kernel_width, std::size_t stride) {
  return stride == 1 && kernel_width > 1 ? std::max<std::size_t>(1, 32 / out) : 1;
}

/// plain: rows of the kernel (Out, depth), depth = kw In, with In numbers of each pixel.
template <class T>
PackedKernel<T> packed_rows(Executor& executor, std::size_t rows, std::size_t out, std::size_t depth, std::size_t in,
                            std::size_t pixels, const std::vector<Wide<T>>& plain) {
  PackedKernel<T> kernel;
  kernel.pixels = pixels;
  const std::size_t wide = depth + (pixels - 1) * in;
  std::vector<Wide<T>> repeated(pixels * out * wide);
  for (std::size_t ky = 0; ky < rows; ++ky) {
    for (std::size_t row = 0; row < pixels * out; ++row)
      std::copy_n(plain.data() + (ky * out + row % out) * depth, depth, repeated.data() + row * wide + row / out * in);
    kernel.rows.emplace_back(executor, repeated.data(), wide, pixels * out, wide);
  }
  return kernel;
}

/// The kernel turned by half a turn, from Out to In.
template <class T>
PackedKernel<T> turned_kernel(Executor& executor, const Wide<T>* weight, std::size_t out, const WindowShape& s) {
  const std::size_t kh = s.kernel_height, kw = s.kernel_width;
  std::vector<Wide<T>> plain(kh * s.in * kw * out);
  executor.run(kh * kw, [&](std::size_t tap) {
    const std::size_t ky = tap / kw, kx = tap % kw;
    for (std::size_t i = 0; i < s.in; ++i)
      for (std::size_t o = 0; o < out; ++o)
        plain[((ky * s.in + i) * kw + kx) * out + o] = weight[((o * s.in + i) * kh + kh - 1 - ky) * kw + kw - 1 - kx];
  });
  return packed_rows<T>(executor, kh, s.in, kw * out, out, shared_pixels(s.in, kw, 1), plain);
}

}  // namespace detail

template <class T>
PackedKernel<T> pack_kernel(Executor& executor, const Wide<T>* weight, std::size_t out, const WindowShape& s) {
  if (winograd_fits(s, out)) return {{}, 1, winograd_kernel<T>(executor, weight, out, s.in, false)};
  const std::size_t kh = s.kernel_height, kw = s.kernel_width;
  std::vector<Wide<T>> plain(kh * out * kw * s.in);
  executor.run(kh * kw, [&](std::size_t tap) {
    const std::size_t ky = tap / kw, kx = tap % kw;
    for (std::size_t o = 0; o < out; ++o)
      for (std::size_t i = 0; i < s.in; ++i)
        plain[((ky * out + o) * kw + kx) * s.in + i] = weight[((o * s.in + i) * kh + ky) * kw + kx];
  });
  return detail::packed_rows<T>(executor, kh, out, kw * s.in, s.in, detail::shared_pixels(out, kw, s.stride), plain);
}

template <class T>
void convolution(Executor& executor, std::span<const MapPart<const Wide<T>>> inputs, const WindowShape& s,
                 const PackedKernel<T>& kernel, const Wide<T>* bias, Wide<T>* y) {
  if (!kernel.transformed.empty()) {
    const std::array<MapPart<Wide<T>>, 1> whole{{{y, kernel.transformed[0].rows(), false}}};
    return winograd_convolution<T>(executor, inputs, s.batch, s.height, s.width, s.padding, kernel.transformed, bias,
                                   whole);
  }
  const std::size_t height = s.out_height(), width = s.out_width(), out = kernel.rows[0].rows() / kernel.pixels;
  const detail::Border border{
      s.height, s.width, s.in, s.padding, s.padding, 1, std::max(s.width + s.padding, (width - 1) * s.stride + 1)};
  detail::run_convolution<T>(
      executor, inputs, border, s.batch, s.stride, height, width, kernel, bias,
      [&](std::size_t b, std::size_t first, std::size_t count, const Wide<T>* from, std::size_t stride) {
        for (std::size_t r = 0; r < count; ++r)
          std::copy_n(from + r * stride, width * out, y + (b * height + first + r) * width * out);
      });
}

template <class T>
void convolution_input_gradient(Executor& executor, const Wide<T>* dy, std::size_t out, const Wide<T>* weight,
                                const WindowShape& s, std::span<const MapPart<Wide<T>>> gradients) {
  if (std::none_of(gradients.begin(), gradients.end(), [](const auto& part) { return part.data != nullptr; })) return;
  if (winograd_fits(s, out)) {
    const std::array<MapPart<const Wide<T>>, 1> whole{{{dy, out, false}}};
    return winograd_convolution<T>(executor, whole, s.batch, s.out_height(), s.out_width(), 2 - s.padding,
                                   winograd_kernel<T>(executor, weight, out, s.in, true), nullptr, gradients);
  }
  const auto kernel = detail::turned_kernel<T>(executor, weight, out, s);
  const std::size_t spread_width = (s.out_width() - 1) * s.stride + 1;
  const std::size_t padding_y = s.kernel_height - 1 - s.padding, padding_x = s.kernel_width - 1 - s.padding;
  const detail::Border border{s.out_height(),
                              s.out_width(),
                              out,
                              padding_y,
                              padding_x,
                              s.stride,
                              std::max({spread_width + padding_x, s.width, s.width + s.kernel_width - 1 - padding_x})};
  const std::array<MapPart<const Wide<T>>, 1> parts{{{dy, out, false}}};
  detail::run_convolution<T>(
      executor, std::span<const MapPart<const Wide<T>>>(parts), border, s.batch, 1, s.height, s.width, kernel, nullptr,
      [&](std::size_t b, std::size_t first, std::size_t count, const Wide<T>* from, std::size_t stride) {
        std::size_t offset = 0;
        for (const auto& part : gradients) {
          for (std::size_t r = 0; part.data && r < count; ++r) {
            Wide<T>* to = part.data + (b * s.height + first + r) * s.width * part.channels;
            const Wide<T>* pixel = from + r * stride + offset;
            for (std::size_t x = 0; x < s.width; ++x, to += part.channels, pixel += s.in)
              if (part.add)
                for (std::size_t i = 0; i < part.channels; ++i) to[i] += pixel[i];
              else
                std::copy_n(pixel, part.channels, to);
          }
          offset += part.channels;
        }
      });
}

template <class T>
void convolution_weight_gradient(Executor& executor, std::span<const MapPart<const Wide<T>>> inputs, const Wide<T>* dy,
                                 std::size_t out, const WindowShape& s, Wide<T>* dw) {
  if (winograd_gradient_fits(s, out)) return winograd_weight_gradient<T>(executor, inputs, dy, out, s, dw);
  const std::size_t height = s.out_height(), width = s.out_width(), kh = s.kernel_height, kw = s.kernel_width;
  const detail::Border border{
      s.height, s.width, s.in, s.padding, s.padding, 1, std::max(s.width + s.padding, (width - 1) * s.stride + 1)};
  // Pixels of dY stand as those of the bordered map do, with zeros where the kernel would reach across the border.
  const std::size_t pitch = s.stride == 1 ? border.pitch : width, depth = kw * s.in;
  const std::size_t blocks = detail::ceil_div(height, std::max<std::size_t>(1, 768 / pitch));
  const std::size_t rows = detail::ceil_div(height, blocks);
  const std::array<MapPart<const Wide<T>>, 1> gradient{{{dy, out, false}}};
  const detail::Border plain{height, width, out, 0, 0, 1, pitch};
  const std::size_t most = (rows - 1) * s.stride + kh;
  Wide<T>* x = detail::convolution_scratch<Wide<T>, 2>(most * border.row() + depth);
  Wide<T>* g = detail::convolution_scratch<Wide<T>, 3>(rows * pitch * out);
  Wide<T>* sums = detail::convolution_scratch<Wide<T>, 4>(kh * out * depth);
  bool add = false;
  for (std::size_t b = 0; b < s.batch; ++b)
    for (std::size_t first = 0; first < height; first += rows, add = true) {
      const std::size_t count = std::min(rows, height - first), needed = (count - 1) * s.stride + kh;
      executor.run(needed + count, [&](std::size_t r) {
        if (r < needed)
          detail::bordered_rows<Wide<T>>(inputs, border, b, first * s.stride + r, 1, x + r * border.row());
        else
          detail::bordered_rows<Wide<T>>(std::span<const MapPart<const Wide<T>>>(gradient), plain, b,
                                         first + r - needed, 1, g + (r - needed) * pitch * out);
      });
      std::fill_n(x + needed * border.row(), depth, Wide<T>(0));
      for (std::size_t ky = 0; ky < kh; ++ky) {
        Wide<T>* to = sums + ky * out * depth;
        if (s.stride == 1)
          weight_gradient<T>(executor, g, out, x + ky * border.row(), s.in, (count - 1) * pitch + width, out, depth, to,
                             add);
        else
          for (std::size_t r = 0; r < count; ++r)
            weight_gradient<T>(executor, g + r * pitch * out, out, x + (r * s.stride + ky) * border.row(),
                               s.stride * s.in, width, out, depth, to, add || r > 0);
      }
    }
  executor.run(out, [&](std::size_t o) {
    for (std::size_t ky = 0; ky < kh; ++ky)
      for (std::size_t kx = 0; kx < kw; ++kx)
        for (std::size_t i = 0; i < s.in; ++i)
          dw[((o * s.in + i) * kh + ky) * kw + kx] += sums[((ky * out + o) * kw + kx) * s.in + i];
  });
}

// --- transposed -----------------------------------------------------------------------------------------------------------------------

namespace detail {

/// Rows of the small map that a task takes.
inline std::size_t transposed_rows(std::size_t h, std::size_t w) { return std::clamp<std::size_t>(256 / w, 1, h); }

/// Squares of k x k pixels of row y of image b, Out numbers each, side by side: (w, k k Out), from or to the large map.
template <class T, class Move>
void square_rows(std::size_t b, std::size_t y, std::size_t h, std::size_t w, std::size_t k, std::size_t out, T* large,
                 Move&& move) {
  for (std::size_t ky = 0; ky < k; ++ky) {
    T* row = large + ((b * h + y) * k + ky) * w * k * out;
    for (std::size_t x = 0; x < w; ++x) move(row + x * k * out, (x * k + ky) * k * out, k * out);
  }
}

}  // namespace detail

template <class T>
PackedMatrix<T> pack_transposed_kernel(Executor& executor, const Wide<T>* weight, std::size_t in, std::size_t out,
                                       std::size_t k) {
  std::vector<Wide<T>> plain(k * k * out * in);
  for (std::size_t i = 0; i < in; ++i)
    for (std::size_t o = 0; o < out; ++o)
      for (std::size_t tap = 0; tap < k * k; ++tap)
        plain[(tap * out + o) * in + i] = weight[(i * out + o) * k * k + tap];
  return PackedMatrix<T>(executor, plain.data(), in, k * k * out, in);
}

template <class T>
void transposed_convolution(Executor& executor, const Wide<T>* x, std::size_t batch, std::size_t h, std::size_t w,
                            const PackedMatrix<T>& kernel, std::size_t k, const Wide<T>* bias, Wide<T>* y) {
  const std::size_t in = kernel.cols(), wide = kernel.rows(), out = wide / (k * k);
  const std::size_t rows = detail::transposed_rows(h, w), blocks = detail::ceil_div(h, rows);
  std::vector<Wide<T>> biases;
  for (std::size_t tap = 0; bias && tap < k * k; ++tap) biases.insert(biases.end(), bias, bias + out);
  executor.run(batch * blocks, [&](std::size_t task) {
    SerialExecutor here;
    const std::size_t b = task / blocks, first = task % blocks * rows, count = std::min(rows, h - first);
    Wide<T>* squares = detail::convolution_scratch<Wide<T>, 0>(count * w * wide);
    product<T>(here, x + (b * h + first) * w * in, in, count * w, kernel, squares, wide,
               {Store::plain, bias ? biases.data() : nullptr, nullptr});
    for (std::size_t r = 0; r < count; ++r)
      detail::square_rows(b, first + r, h, w, k, out, y, [&](Wide<T>* to, std::size_t at, std::size_t n) {
        std::copy_n(squares + r * w * wide + at, n, to);
      });
  });
}

template <class T>
void transposed_convolution_input_gradient(Executor& executor, const Wide<T>* dy, std::size_t batch, std::size_t h,
                                           std::size_t w, const Wide<T>* weight, std::size_t in, std::size_t out,
                                           std::size_t k, bool add, Wide<T>* dx) {
  const std::size_t wide = k * k * out, rows = detail::transposed_rows(h, w), blocks = detail::ceil_div(h, rows);
  std::vector<Wide<T>> plain(in * wide);
  for (std::size_t i = 0; i < in; ++i)
    for (std::size_t o = 0; o < out; ++o)
      for (std::size_t tap = 0; tap < k * k; ++tap)
        plain[i * wide + tap * out + o] = weight[(i * out + o) * k * k + tap];
  const PackedMatrix<T> kernel(executor, plain.data(), wide, in, wide);
  executor.run(batch * blocks, [&](std::size_t task) {
    SerialExecutor here;
    const std::size_t b = task / blocks, first = task % blocks * rows, count = std::min(rows, h - first);
    Wide<T>* squares = detail::convolution_scratch<Wide<T>, 0>(count * w * wide);
    for (std::size_t r = 0; r < count; ++r)
      detail::square_rows(b, first + r, h, w, k, out, dy, [&](const Wide<T>* from, std::size_t at, std::size_t n) {
        std::copy_n(from, n, squares + r * w * wide + at);
      });
    product<T>(here, squares, wide, count * w, kernel, dx + (b * h + first) * w * in, in,
               {add ? Store::scale_add : Store::plain, nullptr, nullptr});
  });
}

template <class T>
void transposed_convolution_weight_gradient(Executor& executor, const Wide<T>* x, const Wide<T>* dy, std::size_t batch,
                                            std::size_t h, std::size_t w, std::size_t in, std::size_t out,
                                            std::size_t k, Wide<T>* dw) {
  const std::size_t wide = k * k * out, rows = std::clamp<std::size_t>(768 / w, 1, h);
  Wide<T>* squares = detail::convolution_scratch<Wide<T>, 2>(rows * w * wide);
  Wide<T>* sums = detail::convolution_scratch<Wide<T>, 4>(in * wide);
  bool add = false;
  for (std::size_t b = 0; b < batch; ++b)
    for (std::size_t first = 0; first < h; first += rows, add = true) {
      const std::size_t count = std::min(rows, h - first);
      executor.run(count, [&](std::size_t r) {
        detail::square_rows(b, first + r, h, w, k, out, dy, [&](const Wide<T>* from, std::size_t at, std::size_t n) {
          std::copy_n(from, n, squares + r * w * wide + at);
        });
      });
      weight_gradient<T>(executor, x + (b * h + first) * w * in, in, squares, wide, count * w, in, wide, sums, add);
    }
  for (std::size_t i = 0; i < in; ++i)
    for (std::size_t o = 0; o < out; ++o)
      for (std::size_t tap = 0; tap < k * k; ++tap) dw[(i * out + o) * k * k + tap] += sums[i * wide + tap * out + o];
}

#if !VITALS_HEADER_ONLY
#define VITALS_INSTANTIATE(T)                                                                                      \
  template PackedKernel<T> pack_kernel<T>(Executor&, const Wide<T>*, std::size_t, const WindowShape&);             \
  template void convolution<T>(Executor&, std::span<const MapPart<const Wide<T>>>, const WindowShape&,             \
                               const PackedKernel<T>&, const Wide<T>*, Wide<T>*);                                  \
  template void convolution_input_gradient<T>(Executor&, const Wide<T>*, std::size_t, const Wide<T>*,              \
                                              const WindowShape&, std::span<const MapPart<Wide<T>>>);              \
  template void convolution_weight_gradient<T>(Executor&, std::span<const MapPart<const Wide<T>>>, const Wide<T>*, \
                                               std::size_t, const WindowShape&, Wide<T>*);                         \
  template PackedMatrix<T> pack_transposed_kernel<T>(Executor&, const Wide<T>*, std::size_t, std::size_t,          \
                                                     std::size_t);                                                 \
  template void transposed_convolution<T>(Executor&, const Wide<T>*, std::size_t, std::size_t, std::size_t,        \
                                          const PackedMatrix<T>&, std::size_t, const Wide<T>*, Wide<T>*);          \
  template void transposed_convolution_input_gradient<T>(Executor&, const Wide<T>*, std::size_t, std::size_t,      \
                                                         std::size_t, const Wide<T>*, std::size_t, std::size_t,    \
                                                         std::size_t, bool, Wide<T>*);                             \
  template void transposed_convolution_weight_gradient<T>(Executor&, const Wide<T>*, const Wide<T>*, std::size_t,  \
                                                          std::size_t, std::size_t, std::size_t, std::size_t,      \
                                                          std::size_t, Wide<T>*);
VITALS_INSTANTIATE(float)
VITALS_INSTANTIATE(double)
VITALS_INSTANTIATE(bfloat16)
#undef VITALS_INSTANTIATE
#endif

}  // namespace vitals::inline v0::backend::cpu
