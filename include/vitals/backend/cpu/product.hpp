// Y = X W^T on the CPU: weights packed once, register-tiled kernels, work split by tiles of Y.
#pragma once

#include <cstddef>

#include <vitals/backend/cpu/buffer.hpp>
#include <vitals/backend/cpu/kernels.hpp>
#include <vitals/backend/low_rank.hpp>
#include <vitals/core/config.hpp>
#include <vitals/core/parallel.hpp>

namespace vitals::inline v0::backend::cpu {

namespace detail {
template <class T>
struct PackedAccess;
}

/// A weight matrix W (N, K) in the form the kernels of one instruction set read (kernels.hpp); row-major for the
/// portable ones. What a Linear layer holds: the unpacked copy is not kept. T is float, double or bfloat16.
template <class T>
class PackedMatrix {
 public:
  PackedMatrix() = default;
  /// From w(n, k) = w[n * ld + k], packed for active_isa().
  PackedMatrix(Executor& executor, const Wide<T>* w, std::size_t ld, std::size_t n, std::size_t k);

  std::size_t rows() const { return rows_; }                                                       ///< N
  std::size_t cols() const { return cols_; }                                                       ///< K
  std::size_t lanes() const { return (cols_ + Packing<T>::per_lane - 1) / Packing<T>::per_lane; }  ///< along K
  Isa isa() const { return isa_; }
  const Lane<T>* data() const { return data_.data(); }
  /// Panel j: [lanes][nr], columns j * nr and on.
  const Lane<T>* panel(std::size_t j, std::size_t nr) const { return data_.data() + j * nr * lanes(); }
  /// Writes W back row-major to (N, K).
  void unpack(Wide<T>* w) const;

 private:
  friend struct detail::PackedAccess<T>;  // gradient_product.hpp
  Buffer<Lane<T>> data_;
  std::size_t rows_ = 0, cols_ = 0;
  Isa isa_ = Isa::portable;
};

/// Y (M, N) = epilogue(X (M, K) W^T), row strides ldx, ldy. Y must not overlap X. With bfloat16 weights X is rounded to
/// bfloat16 on the way; sums, bias and Y are float32.
template <class T>
void product(Executor& executor, const Wide<T>* x, std::size_t ldx, std::size_t m, const PackedMatrix<T>& w, Wide<T>* y,
             std::size_t ldy, const Epilogue<Wide<T>>& epilogue = {});

/// Y (M, N) = epilogue(X (M, K) W^T) + part.scale * (U B^T), U (M, rank) = X A^T (LoRA): what three products give, without a
/// further pass over X and Y. Row strides ldx, ldy; U has none between its rows. Not with Store::gelu.
template <class T>
void product_with_low_rank(Executor& executor, const Wide<T>* x, std::size_t ldx, std::size_t m, const PackedMatrix<T>& w,
                           Wide<T>* y, std::size_t ldy, const Epilogue<Wide<T>>& epilogue,
                           const LowRankPart<Wide<T>>& part);

/// y (M, O) += gamma * (GELU(x (M, K) W1^T + bias1) W2^T + bias2), W1 (H, K), W2 (O, H): what two products give, to the bit.
/// Pointers may be null as in Epilogue.
template <class T>
void feed_forward(Executor& executor, const Wide<T>* x, std::size_t m, const PackedMatrix<T>& w1, const Wide<T>* bias1,
                  const PackedMatrix<T>& w2, const Wide<T>* bias2, const Wide<T>* gamma, Wide<T>* y);

namespace detail {

/// Something that works on the tiles of a matrix, in place, on their way from one product to the next.
class TileVisitor {
 public:
  /// A tile's sums are about to be made: what will be read and written beside it can be asked for.
  virtual void expect(std::size_t row, std::size_t column) const = 0;
  /// A tile, row stride nr: `rows` x `cols` numbers, the first one at (row, column).
  virtual void visit(float* tile, std::size_t row, std::size_t column, std::size_t rows, std::size_t cols) const = 0;

 protected:
  ~TileVisitor() = default;
};

/// The kernels with which chained_products can pass tiles from W1's product to W2's; nullptr where it cannot: no kernels, or
/// sums along K that are too long for one go.
const ProductKernels<bfloat16>* chain_kernels(const PackedMatrix<bfloat16>& w1, const PackedMatrix<bfloat16>& w2);

/// Y (M, O) = second(first(X (M, K) W1^T) W2^T): the inner matrix is kept as the second product reads it, half as long, and
/// packed while a tile is in the level-1 cache; `between`, where not null, visits every tile before.
void chained_products(Executor& executor, const ProductKernels<bfloat16>& kernel, const float* x, std::size_t m,
                      const PackedMatrix<bfloat16>& w1, const Epilogue<float>& first, const TileVisitor* between,
                      const PackedMatrix<bfloat16>& w2, const Epilogue<float>& second, float* y);

}  // namespace detail

}  // namespace vitals::inline v0::backend::cpu

#if VITALS_HEADER_ONLY
#include <vitals/backend/cpu/product.ipp>
#endif
