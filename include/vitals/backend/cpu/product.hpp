// Y = X W^T on the CPU: weights packed once, register-tiled kernels, work split by tiles of Y.
#pragma once

#include <cstddef>

#include <vitals/backend/cpu/buffer.hpp>
#include <vitals/backend/cpu/kernels.hpp>
#include <vitals/core/config.hpp>
#include <vitals/core/parallel.hpp>

namespace vitals::inline v0::backend::cpu {

/// A weight matrix W (N, K) in the form the kernels of one instruction set read (kernels.hpp); row-major for the
/// portable ones. What a Linear layer holds: the unpacked copy is not kept.
template <class T>
class PackedMatrix {
 public:
  PackedMatrix() = default;
  /// From w(n, k) = w[n * ld + k], packed for active_isa().
  PackedMatrix(Executor& executor, const T* w, std::size_t ld, std::size_t n, std::size_t k);

  std::size_t rows() const { return rows_; }  ///< N
  std::size_t cols() const { return cols_; }  ///< K
  Isa isa() const { return isa_; }
  const T* data() const { return data_.data(); }
  /// Panel j: [K][nr], columns j * nr and on.
  const T* panel(std::size_t j, std::size_t nr) const { return data_.data() + j * nr * cols_; }
  /// Writes W back row-major to (N, K).
  void unpack(T* w) const;

 private:
  Buffer<T> data_;
  std::size_t rows_ = 0, cols_ = 0;
  Isa isa_ = Isa::portable;
};

/// Y (M, N) = epilogue(X (M, K) W^T), row strides ldx, ldy. Y must not overlap X.
template <class T>
void product(Executor& executor, const T* x, std::size_t ldx, std::size_t m, const PackedMatrix<T>& w, T* y,
             std::size_t ldy, const Epilogue<T>& epilogue = {});

}  // namespace vitals::inline v0::backend::cpu

#if VITALS_HEADER_ONLY
#include <vitals/backend/cpu/product.ipp>
#endif
