// Implementation of gradient_product.hpp.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include <vitals/backend/cpu/buffer.hpp>
#include <vitals/backend/cpu/gradient_kernels.hpp>
#include <vitals/backend/cpu/gradient_product.hpp>

namespace vitals::inline v0::backend::cpu {

namespace detail {

/// Writes packed matrices without making new ones.
template <class T>
struct PackedAccess {
  static Lane<T>* data(PackedMatrix<T>& w) { return w.data_.data(); }
  /// A matrix of another shape in the same memory.
  static Lane<T>* reshape(PackedMatrix<T>& w, std::size_t rows, std::size_t cols, Isa isa, std::size_t row_multiple) {
    w.rows_ = rows;
    w.cols_ = cols;
    w.isa_ = isa;
    return w.data_.need(ceil_div(rows, row_multiple) * row_multiple * w.lanes());
  }
};

/// The calling thread's transposed weight, reused by its next product.
template <class T>
PackedMatrix<T>& transposed_scratch() {
  static thread_local PackedMatrix<T> scratch;
  return scratch;
}
/// Buffers of each thread's own: one for who calls, one for who works, one for rows of W.
template <class T>
T* gradient_scratch(std::size_t size) {
  static thread_local Buffer<T> scratch;
  return scratch.need(size);
}
template <class T>
T* gradient_worker_scratch(std::size_t size) {
  static thread_local Buffer<T> scratch;
  return scratch.need(size);
}
template <class T>
T* gradient_rows_scratch(std::size_t size) {
  static thread_local Buffer<T> scratch;
  return scratch.need(size);
}

#if VITALS_VECTOR_EXTENSIONS
/// A square of nr x nr numbers of a panel, [k][n], as floats times scale[n]; `rows` of the k are there.
template <class T>
void widen_square(const Lane<T>* from, std::size_t nr, std::size_t rows, const float* scale, float* to) {
  using Four = float __attribute__((vector_size(16)));
  using Bits = std::uint32_t __attribute__((vector_size(16)));
  const auto load = [](const auto* p, auto x) {
    __builtin_memcpy(&x, p, sizeof x);
    return x;
  };
  const auto put = [&](float* at, Four x, std::size_t n) {
    if (scale) x *= load(scale + n, Four{});
    __builtin_memcpy(at + n, &x, sizeof x);
  };
  if constexpr (std::is_same_v<T, bfloat16>) {
    for (std::size_t p = 0; p < (rows + 1) / 2; ++p, from += nr)
      for (std::size_t n = 0; n < nr; n += 4) {
        const Bits lanes = load(from + n, Bits{});
        put(to + 2 * p * nr, (Four)(lanes << 16), n);
        put(to + (2 * p + 1) * nr, (Four)(lanes & 0xffff0000u), n);
      }
  } else {
    for (std::size_t p = 0; p < rows; ++p)
      for (std::size_t n = 0; n < nr; n += 4) put(to + p * nr, load(from + p * nr + n, Four{}), n);
  }
}

/// The first n rows of a panel of pairs, row-major (n, k): a square after the other.
inline void widen_rows(const ProductKernels<float>& kernel, const std::uint32_t* from, std::size_t nr, std::size_t n,
                       std::size_t k, float* to) {
  float* square = gradient_worker_scratch<float>(2 * nr * nr);
  float* turned = square + nr * nr;
  for (std::size_t q = 0; q < k; q += nr) {
    const std::size_t rows = std::min(nr, k - q);
    widen_square<bfloat16>(from + q / 2 * nr, nr, rows, nullptr, square);
    kernel.pack(square, nr, rows, n, rows, turned);
    for (std::size_t i = 0; i < n; ++i) std::copy_n(turned + i * rows, rows, to + i * k + q);
  }
}

/// Panels of W (N, K) to panels of (diag(scale) W)^T (K, N): squares of nr x nr numbers, each transposed in cache.
template <class T>
void transpose_panels(Executor& executor, const ProductKernels<T>& kernel, const PackedMatrix<T>& w, const float* scale,
                      Lane<T>* to) {
  constexpr std::size_t per_lane = Packing<T>::per_lane;
  const std::size_t nr = kernel.nr, n = w.rows(), k = w.cols(), lanes = ceil_div(n, per_lane);
  executor.run(ceil_div(k, nr), [&](std::size_t q) {
    const std::size_t rows = std::min(nr, k - q * nr);
    float* square = gradient_worker_scratch<float>(nr * (nr + 1) + nr);
    float* factors = square + nr * (nr + 1);
    for (std::size_t j = 0; j * nr < n; ++j) {
      const std::size_t cols = std::min(nr, n - j * nr);
      const Lane<T>* from = w.panel(j, nr) + q * (nr / per_lane) * nr;
      Lane<T>* out = to + (q * lanes + j * (nr / per_lane)) * nr;
      if constexpr (std::is_same_v<T, float>)
        if (!scale) {
          kernel.pack(from, nr, rows, cols, nr, out);
          continue;
        }
      if (scale) {
        std::copy_n(scale + j * nr, cols, factors);
        std::fill(factors + cols, factors + nr, 0.0f);
      }
      widen_square<T>(from, nr, rows, scale ? factors : nullptr, square);
      kernel.pack(square, nr, rows, cols, nr, out);
    }
  });
}
#endif

/// Tiles of dY^T that stay in a core's level-2 cache beside a panel of X.
inline constexpr std::size_t gradient_tile_bytes = 384 * 1024;
/// M is summed in pieces of at most this many lanes, so that a tile and a panel stay in cache; four images of 257 tokens, which
/// go through together, are one piece even in float32, for every further one loads and stores dW again.
inline constexpr std::size_t gradient_piece_lanes = 1100;

template <class T>
void packed_weight_gradient(Executor& executor, const ProductKernels<T>& kernel, const GradientSide<T>& dy,
                            const GradientSide<T>& x, std::size_t m, std::size_t n, std::size_t k, float* dw, bool add) {
  constexpr std::size_t per_lane = Packing<T>::per_lane;
  constexpr std::size_t slack = 16;  // pack_transposed stores whole vectors, a tile may be narrower
  const GradientKernels* gradients = gradient_kernels_for<float>();
  const std::size_t mr = kernel.mr, nr = kernel.nr;
  const std::size_t pieces = ceil_div(m, gradient_piece_lanes * per_lane);
  const std::size_t piece = ceil_div(ceil_div(m, pieces), per_lane) * per_lane;
  // A panel of dY that is packed already is read as tiles side by side, the last one narrower.
  const std::size_t tiles_of_panel = ceil_div(nr, mr);
  const std::size_t tiles = dy.panels ? ceil_div(n, nr) * tiles_of_panel : ceil_div(n, mr), panels = ceil_div(k, nr);
  const std::size_t tile_size = piece / per_lane * mr + slack;
  const std::size_t panel_size = x.panels ? x.panel_size : piece / per_lane * nr;
  const std::size_t left_size = dy.panels ? 0 : tiles * tile_size, right_size = x.panels ? 0 : panels * panel_size;
  Lane<T>* packed = gradient_scratch<Lane<T>>(left_size + right_size + slack);
  Lane<T>* packed_right = packed + left_size;
  // Neighbouring tiles or panels are packed together, a few rows at a time: whole lines of memory are read.
  const std::size_t together = std::max<std::size_t>(1, 128 / mr), groups = dy.panels ? 0 : ceil_div(tiles, together);
  const std::size_t panels_together = std::max<std::size_t>(1, 128 / nr);
  const std::size_t panel_groups = x.panels ? 0 : ceil_div(panels, panels_together);
  constexpr std::size_t step = 16;
  for (std::size_t first = 0; first < m; first += piece) {
    const std::size_t rows = std::min(piece, m - first), lanes = ceil_div(rows, per_lane);
    const auto pack_group = [&](const GradientSide<T>& from, std::size_t columns, std::size_t width, std::size_t begin,
                                std::size_t end, Lane<T>* to, std::size_t stride) {
      for (std::size_t row = 0; row < rows; row += step) {
        const float* at = from.x + (first + row) * from.ld;
        const std::size_t some = std::min(step, rows - row), column = begin * width;
        for (std::size_t t = begin; t < end; ++t) {
          const std::size_t cols = std::min(width, columns - t * width);
          // product_strided wants a panel that is half empty half as wide.
          const std::size_t packed_width = dy.panels && 2 * cols <= width ? width / 2 : width;
          kernel.pack_transposed(at + t * width, from.ld, cols, some, packed_width,
                                 to + t * stride + row / per_lane * packed_width);
        }
        if (from.sums)
          gradients->column_sums(at + column, from.ld, some, std::min(columns, end * width) - column, from.sums + column);
      }
    };
    executor.run(groups + panel_groups, [&](std::size_t task) {
      if (task < groups)
        pack_group(dy, n, mr, task * together, std::min(tiles, (task + 1) * together), packed, tile_size);
      else
        pack_group(x, k, nr, (task - groups) * panels_together, std::min(panels, (task - groups + 1) * panels_together),
                   packed_right, panel_size);
    });
    const Lane<T>* right = x.panels ? x.panels + first / per_lane * nr : packed_right;
    const std::size_t block = std::max<std::size_t>(1, gradient_tile_bytes / (tile_size * sizeof(Lane<T>)));
    const std::size_t blocks = ceil_div(tiles, block);
    const Epilogue<float> epilogue{Store::plain, nullptr, nullptr, add || first};
    executor.run(blocks * panels, [&](std::size_t task) {
      const std::size_t column = task % panels * nr, cols = std::min(nr, k - column);
      const Lane<T>* panel = right + task % panels * panel_size;
      for (std::size_t t = task / panels * block; t < std::min(tiles, (task / panels + 1) * block); ++t) {
        if (!dy.panels) {
          const Lane<T>* tile = packed + t * tile_size;
          kernel.product_tile(tile, panel, lanes, dw + t * mr * k + column, k, std::min(mr, n - t * mr), cols, epilogue, tile);
          continue;
        }
        const std::size_t within = t % tiles_of_panel * mr, row = t / tiles_of_panel * nr + within;
        if (row >= n) continue;
        const Lane<T>* tile = dy.panels + t / tiles_of_panel * dy.panel_size + first / per_lane * nr + within;
        kernel.product_strided(tile, 1, nr, panel, lanes, dw + row * k + column, k, std::min({mr, nr - within, n - row}),
                               cols, epilogue, tile);
      }
    });
  }
}

/// Row n of dW is a sum of rows of X.
template <class T>
void portable_weight_gradient(Executor& executor, const T* dy, std::size_t ldy, const T* x, std::size_t ldx,
                              std::size_t m, std::size_t n, std::size_t k, T* dw, bool add, T* sums) {
  executor.run(n, [&](std::size_t j) {
    T* row = dw + j * k;
    if (!add) std::fill_n(row, k, T(0));
    for (std::size_t i = 0; i < m; ++i) {
      const T a = dy[i * ldy + j];
      if (sums) sums[j] += a;
      const T* from = x + i * ldx;
      for (std::size_t p = 0; p < k; ++p) row[p] += a * from[p];
    }
  });
}

}  // namespace detail

template <class T>
void transpose(Executor& executor, const PackedMatrix<T>& w, const Wide<T>* scale, PackedMatrix<T>& to) {
#if VITALS_VECTOR_EXTENSIONS
  if constexpr (!std::is_same_v<T, double>)
    if (const auto* kernel = product_kernels<T>(w.isa()))
      return detail::transpose_panels<T>(
          executor, *kernel, w, scale,
          detail::PackedAccess<T>::reshape(to, w.cols(), w.rows(), w.isa(), kernel->nr));
#endif
  const std::size_t n = w.rows(), k = w.cols();
  Buffer<Wide<T>> plain(n * k), flipped(n * k);
  w.unpack(plain.data());
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t p = 0; p < k; ++p)
      flipped.data()[p * n + i] = plain.data()[i * k + p] * (scale ? scale[i] : Wide<T>(1));
  to = PackedMatrix<T>(executor, flipped.data(), n, k, n);
}

template <class T>
void input_gradient(Executor& executor, const Wide<T>* dy, std::size_t ldy, std::size_t m, const PackedMatrix<T>& w,
                    const Wide<T>* scale, Wide<T>* dx, std::size_t ldx, bool add) {
  PackedMatrix<T>& turned = detail::transposed_scratch<T>();
  transpose(executor, w, scale, turned);
  product<T>(executor, dy, ldy, m, turned, dx, ldx, {add ? Store::scale_add : Store::plain, nullptr, nullptr});
}

template <class T>
void weight_gradient(Executor& executor, const Wide<T>* dy, std::size_t ldy, const Wide<T>* x, std::size_t ldx,
                     std::size_t m, std::size_t n, std::size_t k, Wide<T>* dw, bool add, Wide<T>* sums) {
  if (m == 0) {
    if (!add) std::fill_n(dw, n * k, Wide<T>(0));
    return;
  }
  if constexpr (!std::is_same_v<T, double>) {
    if (const auto* kernel = product_kernels<T>(active_isa()))
      return detail::packed_weight_gradient<T>(executor, *kernel, {dy, ldy, nullptr, 0, sums}, {x, ldx}, m, n, k, dw, add);
  }
  detail::portable_weight_gradient(executor, dy, ldy, x, ldx, m, n, k, dw, add, sums);
}

template <class T>
std::size_t group_rows(const PackedMatrix<T>& w) {
  const auto* kernel = product_kernels<T>(w.isa());
  return kernel ? kernel->nr : 1;
}

template <class T>
void read_group(const PackedMatrix<T>& w, std::size_t group, Wide<T>* rows) {
  const std::size_t nr = group_rows(w), k = w.cols(), n = std::min(nr, w.rows() - group * nr);
  const Lane<T>* from = w.panel(group, nr);
  if constexpr (std::is_same_v<T, float>)
    if (const auto* kernel = product_kernels<T>(w.isa())) return kernel->pack(from, nr, k, n, k, rows);
#if VITALS_VECTOR_EXTENSIONS
  if constexpr (std::is_same_v<T, bfloat16>)
    if (const auto* kernel = product_kernels<float>(w.isa()); kernel && nr % 4 == 0)
      return detail::widen_rows(*kernel, from, nr, n, k, rows);
#endif
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t p = 0; p < k; ++p) {
      if constexpr (std::is_same_v<T, bfloat16>) {
        bfloat16 half;
        half.bits = static_cast<std::uint16_t>(from[p / 2 * nr + i] >> (p % 2 ? 16 : 0));
        rows[i * k + p] = static_cast<float>(half);
      } else {
        rows[i * k + p] = from[p * nr + i];
      }
    }
}

template <class T>
void write_group(PackedMatrix<T>& w, std::size_t group, const Wide<T>* rows) {
  const std::size_t nr = group_rows(w), k = w.cols(), n = std::min(nr, w.rows() - group * nr);
  Lane<T>* to = detail::PackedAccess<T>::data(w) + group * nr * w.lanes();
  if constexpr (!std::is_same_v<T, double>)
    if (const auto* kernel = product_kernels<T>(w.isa())) return kernel->pack(rows, k, n, k, nr, to);
  if constexpr (std::is_same_v<T, bfloat16>) {
    for (std::size_t p = 0; p < w.lanes(); ++p) to[p] = detail::pair_of(rows + 2 * p, k - 2 * p);
  } else {
    std::copy_n(rows, k, to);
  }
}

template <class T>
void scale_rows_and_dots(Executor& executor, const PackedMatrix<T>& w, const Wide<T>* g, const Wide<T>* scale, Wide<T>* dw,
                         bool add, Wide<T>* sums) {
  const auto* kernel = detail::gradient_kernels_for<Wide<T>>();
  const std::size_t together = group_rows(w), k = w.cols();
  executor.run(detail::ceil_div(w.rows(), together), [&](std::size_t group) {
    const Wide<T>* values = nullptr;
    if (sums) {
      Wide<T>* room = detail::gradient_rows_scratch<Wide<T>>(together * k);
      read_group(w, group, room);
      values = room;
    }
    for (std::size_t row = group * together; row < std::min(w.rows(), (group + 1) * together); ++row) {
      const Wide<T>*of_w = values ? values + row % together * k : nullptr, *of_g = g + row * k;
      if (dw && !add) std::fill_n(dw + row * k, k, Wide<T>(0));
      if constexpr (!std::is_same_v<T, double>)
        if (kernel) {
          if (sums) sums[row] += kernel->dot(of_w, of_g, k);
          if (dw) kernel->add_scaled(dw + row * k, of_g, scale[row], k);
          continue;
        }
      for (std::size_t p = 0; p < k; ++p) {
        if (sums) sums[row] += of_w[p] * of_g[p];
        if (dw) dw[row * k + p] += scale[row] * of_g[p];
      }
    }
  });
}

#if !VITALS_HEADER_ONLY
#define VITALS_INSTANTIATE(T)                                                                                        \
  template void transpose<T>(Executor&, const PackedMatrix<T>&, const Wide<T>*, PackedMatrix<T>&);                   \
  template void input_gradient<T>(Executor&, const Wide<T>*, std::size_t, std::size_t, const PackedMatrix<T>&,       \
                                  const Wide<T>*, Wide<T>*, std::size_t, bool);                                      \
  template void weight_gradient<T>(Executor&, const Wide<T>*, std::size_t, const Wide<T>*, std::size_t, std::size_t, \
                                   std::size_t, std::size_t, Wide<T>*, bool, Wide<T>*);                              \
  template void scale_rows_and_dots<T>(Executor&, const PackedMatrix<T>&, const Wide<T>*, const Wide<T>*, Wide<T>*,   \
                                       bool, Wide<T>*);                                                               \
  template std::size_t group_rows<T>(const PackedMatrix<T>&);                                                        \
  template void read_group<T>(const PackedMatrix<T>&, std::size_t, Wide<T>*);                                        \
  template void write_group<T>(PackedMatrix<T>&, std::size_t, const Wide<T>*);
VITALS_INSTANTIATE(float)
VITALS_INSTANTIATE(double)
VITALS_INSTANTIATE(bfloat16)
#undef VITALS_INSTANTIATE
template void detail::packed_weight_gradient<bfloat16>(Executor&, const ProductKernels<bfloat16>&,
                                                       const GradientSide<bfloat16>&, const GradientSide<bfloat16>&,
                                                       std::size_t, std::size_t, std::size_t, float*, bool);
#endif

}  // namespace vitals::inline v0::backend::cpu
