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

namespace vitals::inline v0::backend::cpu {

namespace detail {

template <class T>  // eigen_product.hpp
void eigen_product(Executor& executor, const T* x, std::size_t ldx, std::size_t m, const T* w, std::size_t n,
                   std::size_t k, T* y, std::size_t ldy, const Epilogue<T>& epilogue);

inline std::size_t ceil_div(std::size_t a, std::size_t b) { return (a + b - 1) / b; }

/// Packed rows of X that stay in a core's level-2 cache beside a panel of W.
inline constexpr std::size_t cached_rows_bytes = 384 * 1024;
/// Rows of X packed at a time: bounds the scratch memory of a product.
inline constexpr std::size_t packed_rows_bytes = 8 * 1024 * 1024;

// The packed copy of X belongs to the calling thread and is reused by its next product.
template <class T>
Lane<T>* product_scratch(std::size_t size) {
  static thread_local Buffer<Lane<T>> scratch;
  return scratch.need(size);
}

// Two phases: pack tiles of X, then tiles of Y. A task of the second is one panel of W against as many tiles of X as
// the cache holds; neighbouring tasks share these tiles, so two cores read W once between them.
template <class T>
void packed_product(Executor& executor, const ProductKernels<T>& kernel, const float* x, std::size_t ldx, std::size_t m,
                    const PackedMatrix<T>& w, float* y, std::size_t ldy, const Epilogue<float>& epilogue) {
  const std::size_t mr = kernel.mr, nr = kernel.nr, lanes = w.lanes(), n = w.rows();
  const std::size_t tile_size = mr * lanes, panels = ceil_div(n, nr);
  const std::size_t block = std::max<std::size_t>(1, cached_rows_bytes / (tile_size * sizeof(Lane<T>)));
  const std::size_t pass_tiles = std::max(block, packed_rows_bytes / (tile_size * sizeof(Lane<T>)));
  const std::size_t all_tiles = ceil_div(m, mr);
  Lane<T>* packed = product_scratch<T>(std::min(all_tiles, pass_tiles) * tile_size);
  for (std::size_t first = 0; first < all_tiles; first += pass_tiles) {
    const std::size_t tiles = std::min(pass_tiles, all_tiles - first);
    parallel_for(executor, tiles, 4, [&](std::size_t begin, std::size_t end) {
      for (std::size_t t = begin; t < end; ++t) {
        const std::size_t row = (first + t) * mr;
        kernel.pack(x + row * ldx, ldx, std::min(mr, m - row), w.cols(), mr, packed + t * tile_size);
      }
    });
    const std::size_t blocks = ceil_div(tiles, block);
    executor.run(blocks * panels, [&](std::size_t task) {
      const std::size_t column = task % panels * nr, cols = std::min(nr, n - column);
      const std::size_t begin = task / panels * block, end = std::min(tiles, begin + block);
      Epilogue<float> shifted = epilogue;
      if (shifted.bias) shifted.bias += column;
      if (shifted.gamma) shifted.gamma += column;
      for (std::size_t t = begin; t < end; ++t) {
        const std::size_t row = (first + t) * mr;
        kernel.product_tile(packed + t * tile_size, w.panel(column / nr, nr), lanes, y + row * ldy + column, ldy,
                            std::min(mr, m - row), cols, shifted);
      }
    });
  }
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
      return detail::packed_product(executor, *kernel, x, ldx, m, w, y, ldy, epilogue);
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

#if !VITALS_HEADER_ONLY
#define VITALS_INSTANTIATE(T)                                                                                  \
  template class PackedMatrix<T>;                                                                              \
  template void product(Executor&, const Wide<T>*, std::size_t, std::size_t, const PackedMatrix<T>&, Wide<T>*, \
                        std::size_t, const Epilogue<Wide<T>>&);
VITALS_INSTANTIATE(float)
VITALS_INSTANTIATE(double)
VITALS_INSTANTIATE(bfloat16)
#undef VITALS_INSTANTIATE
#endif

}  // namespace vitals::inline v0::backend::cpu
