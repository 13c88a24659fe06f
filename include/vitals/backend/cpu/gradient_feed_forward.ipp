// Implementation of gradient_feed_forward.hpp.
#pragma once

#include <cstdint>
#include <vector>

#include <vitals/backend/cpu/gradient_feed_forward.hpp>
#include <vitals/backend/cpu/gradient_kernels.hpp>
#include <vitals/backend/cpu/gradient_product.hpp>
#include <vitals/backend/cpu/gradient_rowwise.hpp>
#include <vitals/backend/cpu/kernels.hpp>

namespace vitals::inline v0::backend::cpu {

namespace detail {

/// A matrix (M, H) in memory as pairs, tile by tile, one panel's after the other's; two rows of a tile share its lanes. Tiles have
/// an even number of rows, so a panel is what pack_transposed makes of all its rows, a side of a weight's gradient.
class KeptTiles {
 public:
  KeptTiles(const ProductKernels<bfloat16>& kernel, std::size_t m, std::size_t hidden, float* memory)
      : kernel_(kernel), tiles_(ceil_div(m, kernel.mr)), panels_(ceil_div(hidden, kernel.nr)),
        lanes_(reinterpret_cast<std::uint32_t*>(memory)) {}

  const ProductKernels<bfloat16>& kernel() const { return kernel_; }
  std::size_t tiles() const { return tiles_; }
  std::size_t width() const { return panels_ * kernel_.nr; }
  std::size_t size() const { return panels_ * panel_size(); }
  GradientSide<bfloat16> side() const { return {.panels = lanes_, .panel_size = panel_size()}; }

  std::uint32_t* at(std::size_t row, std::size_t column) const {
    return lanes_ + (column / kernel_.nr * tiles_ + row / kernel_.mr) * tile_size();
  }
  void expect(std::size_t row, std::size_t column) const {
    for (std::size_t i = 0; i < tile_size(); i += 16) __builtin_prefetch(at(row, column) + i, 0, 2);
  }
  void keep(const float* tile, std::size_t row, std::size_t column, std::size_t rows, std::size_t cols) const {
    kernel_.pack_transposed(tile, kernel_.nr, cols, rows, kernel_.nr, at(row, column));
  }

 private:
  std::size_t tile_size() const { return kernel_.mr / 2 * kernel_.nr; }
  std::size_t panel_size() const { return tiles_ * tile_size(); }

  const ProductKernels<bfloat16>& kernel_;
  std::size_t tiles_, panels_;
  std::uint32_t* lanes_;
};

/// Forward: keeps h and goes on with GELU(h).
class KeepTiles final : public TileVisitor {
 public:
  explicit KeepTiles(const KeptTiles& h) : h_(h) {}

  void expect(std::size_t row, std::size_t column) const override { h_.expect(row, column); }
  void visit(float* tile, std::size_t row, std::size_t column, std::size_t rows, std::size_t cols) const override {
    h_.keep(tile, row, column, rows, cols);
    h_.kernel().gelu(tile, rows * h_.kernel().nr);
  }

 private:
  const KeptTiles& h_;
};

/// Back: goes on with dh = tile * GELU'(h), and sums its rows where asked. Where weights train, dh is kept too and GELU(h) takes
/// the place of h.
class SlopeTiles final : public TileVisitor {
 public:
  SlopeTiles(const KeptTiles& h, const KeptTiles* dh, const GradientKernels& gradients, bool sums)
      : h_(h), dh_(dh), slope_(dh ? gradients.gelu_and_slope_of_pairs : gradients.gelu_slope_of_pairs),
        sums_(sums ? h.tiles() * h.width() : 0) {}

  void expect(std::size_t row, std::size_t column) const override {
    h_.expect(row, column);
    if (dh_) dh_->expect(row, column);
  }
  void visit(float* tile, std::size_t row, std::size_t column, std::size_t rows, std::size_t cols) const override {
    const auto& kernel = h_.kernel();
    slope_(h_.at(row, column), tile, rows, kernel.nr,
           sums_.empty() ? nullptr : sums_.data() + row / kernel.mr * h_.width() + column);
    if (dh_) dh_->keep(tile, row, column, rows, cols);
  }
  void add_sums(Executor& executor, std::size_t hidden, float* to) const {
    column_sums(executor, sums_.data(), h_.width(), h_.tiles(), hidden, to);
  }

 private:
  const KeptTiles& h_;
  const KeptTiles* dh_;
  void (*slope_)(std::uint32_t*, float*, std::size_t, std::size_t, float*);
  mutable std::vector<float> sums_;  // (tiles, H), each of one tile's rows
};

}  // namespace detail

VITALS_INLINE std::size_t feed_forward_kept(std::size_t m, const PackedMatrix<bfloat16>& w1,
                                            const PackedMatrix<bfloat16>& w2) {
  const auto* kernel = detail::chain_kernels(w1, w2);
  return kernel && w2.rows() == w1.cols() && gradient_kernels(w1.isa())
             ? detail::KeptTiles(*kernel, m, w1.rows(), nullptr).size()
             : 0;
}

VITALS_INLINE void feed_forward_keeping(Executor& executor, const float* x, std::size_t m, const PackedMatrix<bfloat16>& w1,
                                        const float* bias1, const PackedMatrix<bfloat16>& w2, const float* bias2,
                                        const float* gamma, float* y, float* kept) {
  const auto& kernel = *detail::chain_kernels(w1, w2);
  const detail::KeptTiles h(kernel, m, w1.rows(), kept);
  const detail::KeepTiles keep(h);
  detail::chained_products(executor, kernel, x, m, w1, {Store::plain, bias1}, &keep, w2, {Store::scale_add, bias2, gamma}, y);
}

VITALS_INLINE void feed_forward_backward(Executor& executor, const float* dy, std::size_t m,
                                         const PackedMatrix<bfloat16>& w2t, const PackedMatrix<bfloat16>& w1t, float* kept,
                                         float* dx, bool add, float* db1, const FeedForwardGradients<float>* weights) {
  const auto& kernel = *detail::chain_kernels(w2t, w1t);
  const std::size_t hidden = w2t.rows(), k = w1t.rows();
  const detail::KeptTiles h(kernel, m, hidden, kept), dh(kernel, m, hidden, weights ? weights->dh : nullptr);
  const detail::SlopeTiles slope(h, weights ? &dh : nullptr, *gradient_kernels(w2t.isa()), db1);
  detail::chained_products(executor, kernel, dy, m, w2t, {}, &slope, w1t, {add ? Store::scale_add : Store::plain}, dx);
  if (db1) slope.add_sums(executor, hidden, db1);
  if (weights && weights->dw1)
    detail::packed_weight_gradient<bfloat16>(executor, kernel, dh.side(), {weights->x, k}, m, hidden, k, weights->dw1,
                                             weights->add_to_dw1);
  if (weights && weights->g2)
    detail::packed_weight_gradient<bfloat16>(executor, kernel, {dy, k, nullptr, 0, weights->sums}, h.side(), m, k, hidden,
                                             weights->g2, false);
}

}  // namespace vitals::inline v0::backend::cpu
