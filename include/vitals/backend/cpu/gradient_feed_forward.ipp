// Implementation of gradient_feed_forward.hpp.
#pragma once

#include <cstdint>
#include <vector>

#include <vitals/backend/cpu/gradient_feed_forward.hpp>
#include <vitals/backend/cpu/gradient_kernels.hpp>
#include <vitals/backend/cpu/gradient_rowwise.hpp>
#include <vitals/backend/cpu/kernels.hpp>

namespace vitals::inline v0::backend::cpu {

namespace detail {

/// Where h (M, H) is kept: tile by tile, one panel's after the other's; two rows of a tile share its lanes.
class KeptTiles : public TileVisitor {
 public:
  KeptTiles(const ProductKernels<bfloat16>& kernel, std::size_t m, std::size_t hidden, float* kept)
      : kernel_(kernel), tiles_(ceil_div(m, kernel.mr)), panels_(ceil_div(hidden, kernel.nr)),
        lanes_(reinterpret_cast<std::uint32_t*>(kept)) {}

  std::size_t size() const { return tiles_ * panels_ * tile_size(); }
  void expect(std::size_t row, std::size_t column) const override {
    for (std::size_t i = 0; i < tile_size(); i += 16) __builtin_prefetch(at(row, column) + i, 0, 2);
  }

 protected:
  std::uint32_t* at(std::size_t row, std::size_t column) const {
    return lanes_ + (column / kernel_.nr * tiles_ + row / kernel_.mr) * tile_size();
  }
  std::size_t tile_size() const { return ceil_div(kernel_.mr, 2) * kernel_.nr; }

  const ProductKernels<bfloat16>& kernel_;
  std::size_t tiles_, panels_;

 private:
  std::uint32_t* lanes_;
};

/// Forward: keeps h and goes on with GELU(h).
class KeepTiles final : public KeptTiles {
 public:
  using KeptTiles::KeptTiles;

  void visit(float* tile, std::size_t row, std::size_t column, std::size_t rows, std::size_t cols) const override {
    kernel_.pack_transposed(tile, kernel_.nr, cols, rows, kernel_.nr, at(row, column));
    kernel_.gelu(tile, rows * kernel_.nr);
  }
};

/// Back: goes on with dh = tile * GELU'(h), and sums its rows where asked.
class SlopeTiles final : public KeptTiles {
 public:
  SlopeTiles(const ProductKernels<bfloat16>& kernel, const GradientKernels& gradients, std::size_t m, std::size_t hidden,
             const float* kept, bool sums)
      : KeptTiles(kernel, m, hidden, const_cast<float*>(kept)), gradients_(gradients),
        sums_(sums ? tiles_ * panels_ * kernel.nr : 0) {}

  void visit(float* tile, std::size_t row, std::size_t column, std::size_t rows, std::size_t) const override {
    const std::size_t ld = panels_ * kernel_.nr;
    gradients_.gelu_of_pairs(at(row, column), tile, rows, kernel_.nr,
                             sums_.empty() ? nullptr : sums_.data() + row / kernel_.mr * ld + column);
  }
  void add_sums(Executor& executor, std::size_t hidden, float* to) const {
    column_sums(executor, sums_.data(), panels_ * kernel_.nr, tiles_, hidden, to);
  }

 private:
  const GradientKernels& gradients_;
  mutable std::vector<float> sums_;  // (tiles, H), each of one tile's rows
};

}  // namespace detail

VITALS_INLINE std::size_t feed_forward_kept(std::size_t m, const PackedMatrix<bfloat16>& w1,
                                            const PackedMatrix<bfloat16>& w2) {
  const auto* kernel = detail::chain_kernels(w1, w2);
  return kernel && w2.rows() == w1.cols() && gradient_kernels(w1.isa())
             ? detail::KeepTiles(*kernel, m, w1.rows(), nullptr).size()
             : 0;
}

VITALS_INLINE void feed_forward_keeping(Executor& executor, const float* x, std::size_t m, const PackedMatrix<bfloat16>& w1,
                                        const float* bias1, const PackedMatrix<bfloat16>& w2, const float* bias2,
                                        const float* gamma, float* y, float* kept) {
  const auto& kernel = *detail::chain_kernels(w1, w2);
  const detail::KeepTiles keep(kernel, m, w1.rows(), kept);
  detail::chained_products(executor, kernel, x, m, w1, {Store::plain, bias1}, &keep, w2, {Store::scale_add, bias2, gamma}, y);
}

VITALS_INLINE void feed_forward_backward(Executor& executor, const float* dy, std::size_t m,
                                         const PackedMatrix<bfloat16>& w2t, const PackedMatrix<bfloat16>& w1t,
                                         const float* kept, float* dx, bool add, float* db1) {
  const auto& kernel = *detail::chain_kernels(w2t, w1t);
  const std::size_t hidden = w2t.rows();
  const detail::SlopeTiles slope(kernel, *gradient_kernels(w2t.isa()), m, hidden, kept, db1);
  detail::chained_products(executor, kernel, dy, m, w2t, {}, &slope, w1t, {add ? Store::scale_add : Store::plain}, dx);
  if (db1) slope.add_sums(executor, hidden, db1);
}

}  // namespace vitals::inline v0::backend::cpu
