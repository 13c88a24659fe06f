// Implementation of product.hpp.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include <vitals/backend/cpu/product.hpp>
#include <vitals/core/error.hpp>

#if !VITALS_VECTOR_EXTENSIONS || !VITALS_HEADER_ONLY
#include <vitals/backend/cpu/eigen_product.hpp>
#endif
#if !VITALS_HEADER_ONLY
#include <vitals/backend/cpu/product_int8.hpp>
#endif

namespace vitals::inline v0::backend::cpu {

namespace detail {

template <class T>  // eigen_product.hpp
void eigen_product(Executor& executor, const T* x, std::size_t ldx, std::size_t m, const T* w, std::size_t n,
                   std::size_t k, T* y, std::size_t ldy, const Epilogue<T>& epilogue);

/// Packed rows of X that stay in a core's level-2 cache beside two panels of W.
inline constexpr std::size_t cached_rows_bytes = 448 * 1024;
/// Rows of X packed at a time: bounds the scratch memory of a product.
inline constexpr std::size_t packed_rows_bytes = 8 * 1024 * 1024;
/// Lanes along K that a tile takes in one go; longer sums are made in equal pieces, the sum so far waiting in Y.
inline constexpr std::size_t depth_lanes = 768;

// The packed copy of X belongs to the calling thread and is reused by its next product.
template <class T>
Lane<T>* product_scratch(std::size_t size) {
  static thread_local Buffer<Lane<T>> scratch;
  return scratch.need(size);
}

/// Where a product reads its rows: x, row stride ldx, or if `packed` is not null there, all tiles after each other.
template <class T>
struct ProductRows {
  const float* x = nullptr;
  std::size_t ldx = 0;
  const Lane<T>* packed = nullptr;
};

/// Where a product leaves Y: y, row stride ldy, or if `packed` is not null there, as the rows of a next product, every tile being
/// visited before by `between` if that is not null; sums along K must then be short enough for one go.
template <class T>
struct ProductResult {
  float* y = nullptr;
  std::size_t ldy = 0;
  Lane<T>* packed = nullptr;
  const TileVisitor* between = nullptr;
};

/// A part of low rank beside a product (backend/low_rank.hpp), packed: of a tile of X a tile of U = X A^T is made, and to a tile
/// of Y U B^T is added, while they are in a core's cache.
template <class T>
struct PackedLowRank {
  std::size_t rank = 0, lanes = 0;  // of a row of U
  const Lane<T>* a = nullptr;       // panels of A (rank, K), one of up to nr / 2 columns packed that wide
  const Lane<T>* b = nullptr;       // panels of B (N, rank)
  const float* scale = nullptr;     // (N), or null
  float* u = nullptr;               // (M, rank)
  Lane<T>* tiles = nullptr;         // room for all of U's tiles

  /// From rows of X, `k_lanes` along K, at tile[i row_stride + k k_stride]: their rows of U.
  void start(const ProductKernels<T>& kernel, const Lane<T>* tile, std::size_t row_stride, std::size_t k_stride,
             std::size_t k_lanes, std::size_t row, std::size_t rows) const {
    float* const to = u + row * rank;
    for (std::size_t column = 0; column < rank; column += kernel.nr) {
      const Lane<T>* panel = a + column * k_lanes;
      kernel.product_strided(tile, row_stride, k_stride, panel, k_lanes, to + column, rank, rows,
                             std::min(kernel.nr, rank - column), {}, panel);
    }
    kernel.pack(to, rank, rows, rank, kernel.mr, tiles + row * lanes);
  }
  /// Adds their part to a tile of Y.
  void finish(const ProductKernels<T>& kernel, float* y, std::size_t ldy, std::size_t row, std::size_t rows,
              std::size_t column, std::size_t cols) const {
    const Lane<T>* panel = b + column * lanes;
    kernel.product_tile(tiles + row * lanes, panel, lanes, y, ldy, rows, cols,
                        {Store::scale_add, nullptr, scale ? scale + column : nullptr}, panel);
  }
};

/// How tiles of packed rows, panels and pieces along K are visited. A group of tiles stays in the level-2 cache while a few
/// panels after the other are multiplied with it; tasks of one group are neighbours, so a thread stays with its rows. A task
/// is a part of a group against these panels: small, so that threads whose groups differ by a few rows end together.
struct ProductPlan {
  std::size_t depth, pieces;  // lanes of a piece along K
  std::size_t group, groups;  // tiles of a group
  std::size_t part, parts;    // tiles of a task
  std::size_t chunk, chunks;  // panels of a task
  ProductPlan(std::size_t tiles, std::size_t tile_bytes, std::size_t panels, std::size_t lanes, unsigned threads) {
    pieces = ceil_div(lanes, depth_lanes);
    depth = ceil_div(lanes, pieces);
    groups = ceil_div(tiles, std::max<std::size_t>(1, cached_rows_bytes * pieces / tile_bytes));
    if (tiles >= 4 * threads) groups = ceil_div(groups, threads) * threads;  // each thread the same number
    group = ceil_div(tiles, groups);
    groups = ceil_div(tiles, group);
    part = threads > 1 ? std::max<std::size_t>(3, ceil_div(group, 4)) : group;
    parts = ceil_div(group, part);
    chunk = pieces > 1 ? 2 : 1;
    chunks = ceil_div(panels, chunk);
  }
};

/// Whether rows of X can be read as they stand. Rows whose distance is a multiple of 4 KiB would all want the same few lines
/// of the level-1 cache.
inline bool rows_as_they_stand(std::size_t ldx) { return ldx * sizeof(float) % 4096 != 0; }

// Two phases: pack tiles of X, then tiles of Y. Of float32 rows that can be read as they stand only the last ones, fewer than a
// tile, are packed. A part of low rank goes with rows that are not packed yet and a Y that is not.
template <class T>
void packed_product(Executor& executor, const ProductKernels<T>& kernel, const ProductRows<T>& from, std::size_t m,
                    const PackedMatrix<T>& w, const ProductResult<T>& to, const Epilogue<float>& epilogue,
                    const PackedLowRank<T>* low_rank = nullptr) {
  const std::size_t mr = kernel.mr, nr = kernel.nr, lanes = w.lanes(), n = w.rows();
  const std::size_t tile_size = mr * lanes, panels = ceil_div(n, nr), all_tiles = ceil_div(m, mr);
  const std::size_t pass_tiles =
      from.packed ? all_tiles : std::max<std::size_t>(16, packed_rows_bytes / (tile_size * sizeof(Lane<T>)));
  const bool in_place = !from.packed && kernel.product_of_rows && rows_as_they_stand(from.ldx);
  const std::size_t apart = in_place ? 0 : tile_size;  // of packed tiles; in place the last one alone is packed
  Lane<T>* packed = from.packed ? nullptr : product_scratch<T>((in_place ? 1 : std::min(all_tiles, pass_tiles)) * tile_size);
  const Lane<T>* tiles_of_x = from.packed ? from.packed : packed;
  for (std::size_t first = 0; first < all_tiles; first += pass_tiles) {
    const std::size_t tiles = std::min(pass_tiles, all_tiles - first);
    const ProductPlan plan(tiles, tile_size * sizeof(Lane<T>), panels, lanes, executor.threads());
    const auto pack = [&](std::size_t t) {
      const std::size_t row = (first + t) * mr;
      kernel.pack(from.x + row * from.ldx, from.ldx, std::min(mr, m - row), w.cols(), mr, packed + t * apart);
    };
    const auto prepare = [&](std::size_t t) {
      if (!in_place) pack(t);
      if (low_rank) {
        const std::size_t row = (first + t) * mr, rows = std::min(mr, m - row);
        if constexpr (std::is_same_v<T, float>)
          if (in_place && rows == mr)
            return low_rank->start(kernel, from.x + row * from.ldx, from.ldx, 1, lanes, row, rows);
        low_rank->start(kernel, packed + t * apart, 1, mr, lanes, row, rows);
      }
    };
    if (in_place && (first + tiles) * mr > m) pack(tiles - 1);
    if (!from.packed && (!in_place || low_rank)) executor.run(tiles, prepare);
    executor.run(plan.groups * plan.chunks * plan.parts, [&](std::size_t task) {
      alignas(64) float stored[largest_tile];  // a tile on its way to to.packed
      if (to.between) std::fill_n(stored, largest_tile, 0.0f);  // who visits may work on whole rows
      const std::size_t group = task / plan.parts / plan.chunks * plan.group, begin = group + task % plan.parts * plan.part,
                        end = std::min({tiles, group + plan.group, begin + plan.part});
      const std::size_t first_panel = task / plan.parts % plan.chunks * plan.chunk,
                        last_panel = std::min(panels, first_panel + plan.chunk);
      for (std::size_t piece = 0; piece < plan.pieces; ++piece) {
        const std::size_t lane = piece * plan.depth, depth = std::min(plan.depth, lanes - lane);
        const bool ends = piece + 1 == plan.pieces, sums = epilogue.store != Store::scale_add;
        for (std::size_t j = first_panel; j < last_panel; ++j) {
          const std::size_t column = j * nr, cols = std::min(nr, n - column);
          Epilogue<float> here{ends || !sums ? epilogue.store : Store::plain, nullptr, nullptr, piece > 0 && sums};
          if (epilogue.bias && ends) here.bias = epilogue.bias + column;
          if (epilogue.gamma) here.gamma = epilogue.gamma + column;
          const Lane<T>* panel = w.panel(j, nr) + lane * nr;
          const Lane<T>* next = j + 1 < last_panel ? panel + nr * lanes
                                : !ends            ? w.panel(first_panel, nr) + (lane + plan.depth) * nr
                                : j + 1 < panels   ? w.panel(j + 1, nr)
                                                   : w.data();
          for (std::size_t t = begin; t < end; ++t) {
            const std::size_t row = (first + t) * mr, rows = std::min(mr, m - row), eighth = t - group;
            const Lane<T>* tile = tiles_of_x + t * apart + lane * mr;
            const Lane<T>* ahead = eighth < 8 ? next + eighth * depth * nr / 8 : panel;
            float* const y = to.packed ? stored : to.y + row * to.ldy + column;
            const std::size_t ldy = to.packed ? nr : to.ldy;
            if (to.between) to.between->expect(row, column);
            if (in_place && rows == mr)
              kernel.product_of_rows(from.x + row * from.ldx + lane, from.ldx, panel, depth, y, ldy, cols, here, ahead);
            else kernel.product_tile(tile, panel, depth, y, ldy, rows, cols, here, ahead);
            if (to.between) to.between->visit(stored, row, column, rows, cols);
            if (low_rank && ends) low_rank->finish(kernel, y, ldy, row, rows, column, cols);
            if (to.packed)
              kernel.pack(stored, nr, rows, cols, mr,
                          to.packed + (row * ceil_div(n, Packing<T>::per_lane) + column / Packing<T>::per_lane * mr));
          }
        }
      }
    });
  }
}

VITALS_INLINE const ProductKernels<bfloat16>* chain_kernels(const PackedMatrix<bfloat16>& w1,
                                                            const PackedMatrix<bfloat16>& w2) {
  return w1.isa() == w2.isa() && w1.lanes() <= depth_lanes ? product_kernels<bfloat16>(w1.isa()) : nullptr;
}

VITALS_INLINE void chained_products(Executor& executor, const ProductKernels<bfloat16>& kernel, const float* x,
                                    std::size_t m, const PackedMatrix<bfloat16>& w1, const Epilogue<float>& first,
                                    const TileVisitor* between, const PackedMatrix<bfloat16>& w2,
                                    const Epilogue<float>& second, float* y) {
  static thread_local Buffer<Lane<bfloat16>> scratch;
  Lane<bfloat16>* packed = scratch.need(ceil_div(m, kernel.mr) * kernel.mr * w2.lanes());
  packed_product<bfloat16>(executor, kernel, {x, w1.cols()}, m, w1, {.packed = packed, .between = between}, first);
  packed_product<bfloat16>(executor, kernel, {.packed = packed}, m, w2, {y, w2.rows()}, second);
}

/// The calling thread's panels of A and B and tiles of U.
template <class T>
T* low_rank_scratch(std::size_t size) {
  static thread_local Buffer<T> scratch;
  return scratch.need(size);
}

template <class T>
void packed_product_with_low_rank(Executor& executor, const ProductKernels<T>& kernel, const ProductRows<T>& from,
                                  std::size_t m, const PackedMatrix<T>& w, const ProductResult<T>& to,
                                  const Epilogue<float>& epilogue, const LowRankPart<float>& part) {
  const std::size_t nr = kernel.nr, rank = part.rank, k = w.cols(), n = w.rows();
  const std::size_t k_lanes = w.lanes(), lanes = ceil_div(rank, Packing<T>::per_lane);
  const std::size_t a_panels = ceil_div(rank, nr), b_panels = ceil_div(n, nr);
  Lane<T>* a = low_rank_scratch<Lane<T>>(a_panels * nr * k_lanes + b_panels * nr * lanes +
                                         ceil_div(m, kernel.mr) * kernel.mr * lanes);
  Lane<T>* b = a + a_panels * nr * k_lanes;
  const auto pack = [&](const float* matrix, std::size_t rows, std::size_t cols, std::size_t row, std::size_t width,
                        Lane<T>* packed) {
    const std::size_t some = std::min(width, rows - row);
    if (part.transposed) kernel.pack_transposed(matrix + row, rows, some, cols, width, packed);
    else kernel.pack(matrix + row * cols, cols, some, cols, width, packed);
  };
  executor.run(a_panels + b_panels, [&](std::size_t j) {
    const std::size_t a_row = j * nr, b_row = (j - a_panels) * nr;
    if (j < a_panels) pack(part.a, rank, k, a_row, 2 * (rank - a_row) > nr ? nr : nr / 2, a + a_row * k_lanes);
    else pack(part.b, n, rank, b_row, nr, b + b_row * lanes);
  });
  const PackedLowRank<T> low_rank{rank, lanes, a, b, part.scale, part.u, b + b_panels * nr * lanes};
  packed_product<T>(executor, kernel, from, m, w, to, epilogue, &low_rank);
}

}  // namespace detail

template <class T>
PackedMatrix<T>::PackedMatrix(Executor& executor, const Wide<T>* w, std::size_t ld, std::size_t n, std::size_t k)
    : rows_(n), cols_(k), isa_(active_isa()) {
  if constexpr (!std::is_same_v<T, double>) {
    if (const auto* kernel = product_kernels<T>(isa_)) {
      const std::size_t nr = kernel->nr, panels = detail::ceil_div(n, nr);
      data_ = Buffer<Lane<T>>(panels * nr * lanes());
      executor.run(panels, [&](std::size_t j) {
        kernel->pack(w + j * nr * ld, ld, std::min(nr, n - j * nr), k, nr, data_.data() + j * nr * lanes());
      });
      return;
    }
  }
  data_ = Buffer<Lane<T>>(n * lanes());
  for (std::size_t i = 0; i < n; ++i) {
    if constexpr (std::is_same_v<T, bfloat16>) {
      for (std::size_t p = 0; p < lanes(); ++p)
        data_.data()[i * lanes() + p] = detail::pair_of(w + i * ld + 2 * p, k - 2 * p);
    } else {
      std::copy_n(w + i * ld, k, data_.data() + i * k);
    }
  }
}

template <class T>
void PackedMatrix<T>::unpack(Wide<T>* w) const {
  const auto* kernel = product_kernels<T>(isa_);
  const std::size_t nr = kernel ? kernel->nr : 1;  // row-major is a panel of one column for each row
  for (std::size_t i = 0; i < rows_; ++i) {
    const Lane<T>* from = panel(i / nr, nr) + i % nr;
    for (std::size_t p = 0; p < cols_; ++p) {
      if constexpr (std::is_same_v<T, bfloat16>) {
        bfloat16 half;
        half.bits = static_cast<std::uint16_t>(from[p / 2 * nr] >> (p % 2 ? 16 : 0));
        w[i * cols_ + p] = static_cast<float>(half);
      } else {
        w[i * cols_ + p] = from[p * nr];
      }
    }
  }
}

template <class T>
void product(Executor& executor, const Wide<T>* x, std::size_t ldx, std::size_t m, const PackedMatrix<T>& w, Wide<T>* y,
             std::size_t ldy, const Epilogue<Wide<T>>& epilogue) {
  if (m == 0 || w.rows() == 0) return;
  if constexpr (!std::is_same_v<T, double>) {
    if (const auto* kernel = product_kernels<T>(w.isa()))
      return detail::packed_product<T>(executor, *kernel, {x, ldx}, m, w, {y, ldy}, epilogue);
  }
  if constexpr (VITALS_VECTOR_EXTENSIONS && !std::is_same_v<T, double>) {
    throw ArgumentError("[product] weights packed for an instruction set that this build does not have");
  } else if constexpr (std::is_same_v<T, bfloat16>) {  // both sides rounded, then as float32
    Buffer<float> weights(w.rows() * w.cols()), rounded(m * w.cols());
    w.unpack(weights.data());
    for (std::size_t i = 0; i < m; ++i)
      for (std::size_t p = 0; p < w.cols(); ++p)
        rounded.data()[i * w.cols() + p] = static_cast<float>(bfloat16(x[i * ldx + p]));
    detail::eigen_product(executor, rounded.data(), w.cols(), m, weights.data(), w.rows(), w.cols(), y, ldy, epilogue);
  } else {
    detail::eigen_product(executor, x, ldx, m, w.data(), w.rows(), w.cols(), y, ldy, epilogue);
  }
}

template <class T>
void product_with_low_rank(Executor& executor, const Wide<T>* x, std::size_t ldx, std::size_t m, const PackedMatrix<T>& w,
                           Wide<T>* y, std::size_t ldy, const Epilogue<Wide<T>>& epilogue,
                           const LowRankPart<Wide<T>>& part) {
  if constexpr (!std::is_same_v<T, double>)
    if (const auto* kernel = product_kernels<T>(w.isa()))
      return detail::packed_product_with_low_rank<T>(executor, *kernel, {x, ldx}, m, w, {y, ldy}, epilogue, part);
  const auto matrix = [&](const Wide<T>* numbers, std::size_t rows, std::size_t cols) {
    if (!part.transposed) return PackedMatrix<T>(executor, numbers, cols, rows, cols);
    Buffer<Wide<T>> turned(rows * cols);
    for (std::size_t i = 0; i < rows; ++i)
      for (std::size_t p = 0; p < cols; ++p) turned.data()[i * cols + p] = numbers[p * rows + i];
    return PackedMatrix<T>(executor, turned.data(), cols, rows, cols);
  };
  product<T>(executor, x, ldx, m, matrix(part.a, part.rank, w.cols()), part.u, part.rank);
  product<T>(executor, x, ldx, m, w, y, ldy, epilogue);
  product<T>(executor, part.u, part.rank, m, matrix(part.b, w.rows(), part.rank), y, ldy,
             {Store::scale_add, nullptr, part.scale});
}

template <class T>
void feed_forward(Executor& executor, const Wide<T>* x, std::size_t m, const PackedMatrix<T>& w1, const Wide<T>* bias1,
                  const PackedMatrix<T>& w2, const Wide<T>* bias2, const Wide<T>* gamma, Wide<T>* y) {
  const std::size_t in = w1.cols(), hidden = w1.rows(), out = w2.rows();
  const Epilogue<Wide<T>> first{Store::gelu, bias1, nullptr}, second{Store::scale_add, bias2, gamma};
  if (m == 0) return;
  if constexpr (std::is_same_v<T, bfloat16>)
    if (const auto* kernel = detail::chain_kernels(w1, w2))
      return detail::chained_products(executor, *kernel, x, m, w1, first, nullptr, w2, second, y);
  static thread_local Buffer<Wide<T>> scratch;
  const std::size_t ld = hidden + (detail::rows_as_they_stand(hidden) ? 0 : 16);
  Wide<T>* between = scratch.need(m * ld);
  product<T>(executor, x, in, m, w1, between, ld, first);
  product<T>(executor, between, ld, m, w2, y, out, second);
}

#if !VITALS_HEADER_ONLY
#define VITALS_INSTANTIATE(T)                                                                                  \
  template class PackedMatrix<T>;                                                                              \
  template void product(Executor&, const Wide<T>*, std::size_t, std::size_t, const PackedMatrix<T>&, Wide<T>*, \
                        std::size_t, const Epilogue<Wide<T>>&);                                                \
  template void product_with_low_rank(Executor&, const Wide<T>*, std::size_t, std::size_t,                     \
                                      const PackedMatrix<T>&, Wide<T>*, std::size_t, const Epilogue<Wide<T>>&, \
                                      const LowRankPart<Wide<T>>&);                                            \
  template void feed_forward(Executor&, const Wide<T>*, std::size_t, const PackedMatrix<T>&, const Wide<T>*,   \
                             const PackedMatrix<T>&, const Wide<T>*, const Wide<T>*, Wide<T>*);
VITALS_INSTANTIATE(float)
VITALS_INSTANTIATE(double)
VITALS_INSTANTIATE(bfloat16)
#undef VITALS_INSTANTIATE
template void feed_forward(Executor&, const float*, std::size_t, const PackedMatrix<std::int8_t>&, const float*,
                           const PackedMatrix<std::int8_t>&, const float*, const float*, float*);
#endif

}  // namespace vitals::inline v0::backend::cpu
