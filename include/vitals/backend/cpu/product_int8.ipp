// Implementation of product_int8.hpp.
#pragma once

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>
#include <vector>

#include <vitals/backend/cpu/product_int8.hpp>
#include <vitals/core/error.hpp>

#if !VITALS_VECTOR_EXTENSIONS
#include <vitals/backend/cpu/eigen_product.hpp>
#endif

namespace vitals::inline v0::backend::cpu {

namespace detail {

/// Quantised rows of X that stay in a core's level-2 cache beside a panel of W.
inline constexpr std::size_t int8_cached_bytes = 600 * 1024;

inline std::uint32_t* int8_tiles(std::size_t size) {  // each worker's own
  static thread_local Buffer<std::uint32_t> tiles;
  return tiles.need(size);
}

// A product is cut into groups of neighbouring tiles of X and, where these are too few for the threads, chunks of
// neighbouring panels of W. A task quantises the rows of its group itself: that is 2 to 5 % of its work, costs no second
// wait for all threads, and what it reads a moment later is in its own cache.
struct Int8Plan {
  std::size_t groups, group, chunks, chunk;
  Int8Plan(std::size_t tiles, std::size_t tile_bytes, std::size_t panels, std::size_t threads) {
    const std::size_t fit = std::max<std::size_t>(1, int8_cached_bytes / tile_bytes);
    groups = ceil_div(ceil_div(tiles, fit), threads) * threads;  // each thread the same number
    group = ceil_div(tiles, groups);
    groups = ceil_div(tiles, group);
    chunks = std::clamp<std::size_t>(2 * threads / groups, 1, panels);
    chunk = ceil_div(panels, chunks);
    chunks = ceil_div(panels, chunk);
  }
};

// A row as a panel of one column: lanes, its scale, where its sum starts.
inline void int8_column(const float* x, std::size_t k, std::uint32_t* column) {
  std::vector<std::int8_t> q(ceil_div(k, 4) * 4);
  const float scale = quantize_row(x, k, q.data());
  std::memcpy(column, q.data(), q.size());
  column[q.size() / 4] = std::bit_cast<std::uint32_t>(scale);
  column[q.size() / 4 + 1] = 0;
}

}  // namespace detail

VITALS_INLINE PackedMatrix<std::int8_t>::PackedMatrix(Executor& executor, const float* w, std::size_t ld, std::size_t n,
                                                      std::size_t k)
    : rows_(n), cols_(k), isa_(active_isa()) {
  if (k > max_int8_row)
    throw ArgumentError("[product] int8 rows of " + std::to_string(k) + " numbers", "",
                        "up to " + std::to_string(max_int8_row) + " keep 32-bit sums exact; use bfloat16");
  const auto* kernel = product_kernels<std::int8_t>(isa_);
  const std::size_t nr = kernel ? kernel->nr : 1, panels = detail::ceil_div(n, nr);
  data_ = Buffer<std::uint32_t>(panels * nr * panel_lanes());
  executor.run(panels, [&](std::size_t j) {
    std::uint32_t* to = data_.data() + j * nr * panel_lanes();
    if (kernel)
      kernel->pack_panel(w + j * nr * ld, ld, std::min(nr, n - j * nr), k, nr, to);
    else
      detail::int8_column(w + j * ld, k, to);
  });
}

VITALS_INLINE void PackedMatrix<std::int8_t>::unpack(float* w) const {
  const auto* kernel = product_kernels<std::int8_t>(isa_);
  const std::size_t nr = kernel ? kernel->nr : 1;
  for (std::size_t i = 0; i < rows_; ++i) {
    const std::uint32_t* from = panel(i / nr, nr) + i % nr;
    const float scale = std::bit_cast<float>(from[lanes() * nr]);
    for (std::size_t p = 0; p < cols_; ++p) {
      const auto byte = static_cast<std::uint8_t>(from[p / 4 * nr] >> p % 4 * 8 & 0xffu);
      w[i * cols_ + p] = scale * static_cast<float>(std::bit_cast<std::int8_t>(byte));
    }
  }
}

template <>
VITALS_INLINE void product<std::int8_t>(Executor& executor, const float* x, std::size_t ldx, std::size_t m,
                                        const PackedMatrix<std::int8_t>& w, float* y, std::size_t ldy,
                                        const Epilogue<float>& epilogue) {
  if (m == 0 || w.rows() == 0) return;
  const auto* kernel = product_kernels<std::int8_t>(w.isa());
  if (!kernel) {
#if VITALS_VECTOR_EXTENSIONS
    throw ArgumentError("[product] weights packed for an instruction set that this build does not have");
#else
    Buffer<float> weights(w.rows() * w.cols()), rounded(m * w.cols());  // both sides rounded, then as float32
    w.unpack(weights.data());
    std::vector<std::int8_t> q(w.cols());
    for (std::size_t i = 0; i < m; ++i) {
      const float scale = quantize_row(x + i * ldx, w.cols(), q.data());
      std::transform(q.begin(), q.end(), rounded.data() + i * w.cols(), [&](int byte) { return scale * float(byte); });
    }
    return detail::eigen_product(executor, rounded.data(), w.cols(), m, weights.data(), w.rows(), w.cols(), y, ldy,
                                 epilogue);
#endif
  }
  const std::size_t mr = kernel->mr, nr = kernel->nr, lanes = w.lanes(), n = w.rows();
  const std::size_t tile_size = mr * (lanes + 1), tiles = detail::ceil_div(m, mr), panels = detail::ceil_div(n, nr);
  const detail::Int8Plan plan(tiles, tile_size * sizeof(std::uint32_t), panels, executor.threads());
  executor.run(plan.groups * plan.chunks, [&](std::size_t task) {
    const std::size_t first = task / plan.chunks * plan.group, last = std::min(tiles, first + plan.group);
    const std::size_t begin = task % plan.chunks * plan.chunk, end = std::min(panels, begin + plan.chunk);
    std::uint32_t* packed = detail::int8_tiles(plan.group * tile_size);
    for (std::size_t t = first; t < last; ++t)
      kernel->pack(x + t * mr * ldx, ldx, std::min(mr, m - t * mr), w.cols(), mr, packed + (t - first) * tile_size);
    for (std::size_t j = begin; j < end; ++j) {
      Epilogue<float> here = epilogue;
      if (here.bias) here.bias += j * nr;
      if (here.gamma) here.gamma += j * nr;
      const std::uint32_t *panel = w.panel(j, nr), *next = w.panel(j + 1 < end ? j + 1 : begin, nr);
      for (std::size_t t = first; t < last; ++t) {
        const std::size_t eighth = t - first;
        const std::uint32_t* tile = packed + (t - first) * tile_size;
        kernel->product_tile(tile, panel, lanes, y + t * mr * ldy + j * nr, ldy, std::min(mr, m - t * mr),
                             std::min(nr, n - j * nr), here, eighth < 8 ? next + eighth * lanes * nr / 8 : tile);
      }
    }
  });
}

}  // namespace vitals::inline v0::backend::cpu
