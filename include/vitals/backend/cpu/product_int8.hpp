// Y = X W^T with both sides in int8: W quantised once, a scale for each row; X quantised on the way, a scale for each row.
// Whole-number sums are exact, so every instruction set gives the same ones.
#pragma once

#include <cstddef>
#include <cstdint>

#include <vitals/backend/cpu/buffer.hpp>
#include <vitals/backend/cpu/kernels.hpp>
#include <vitals/backend/cpu/product.hpp>
#include <vitals/backend/cpu/quantize.hpp>
#include <vitals/core/config.hpp>
#include <vitals/core/parallel.hpp>

namespace vitals::inline v0::backend::cpu {

/// A weight matrix W (N, K) in int8: a byte a number and 8 bytes a row. Panels of nr columns of Y as kernels.hpp
/// describes them; one column wide where this build has no kernels.
template <>
class PackedMatrix<std::int8_t> {
 public:
  PackedMatrix() = default;
  /// From w(n, k) = w[n * ld + k], quantised and packed for active_isa(). A row with NaN or an infinity makes its column
  /// of every product NaN. Throws ArgumentError for k > max_int8_row.
  PackedMatrix(Executor& executor, const float* w, std::size_t ld, std::size_t n, std::size_t k);

  std::size_t rows() const { return rows_; }               ///< N
  std::size_t cols() const { return cols_; }               ///< K
  std::size_t lanes() const { return (cols_ + 3) / 4; }    ///< along K
  std::size_t panel_lanes() const { return lanes() + 2; }  ///< of each column of a panel
  Isa isa() const { return isa_; }
  const std::uint32_t* panel(std::size_t j, std::size_t nr) const { return data_.data() + j * nr * panel_lanes(); }
  /// Writes scale * q back row-major to (N, K).
  void unpack(float* w) const;

 private:
  Buffer<std::uint32_t> data_;
  std::size_t rows_ = 0, cols_ = 0;
  Isa isa_ = Isa::portable;
};

/// Y (M, N) = epilogue(X (M, K) W^T) as in product.hpp; the sum of row i and column j is (sum of q q) times (scale of row
/// i times scale of column j), rounded to float32. A row of X with NaN or an infinity gives a row of NaN.
template <>
void product<std::int8_t>(Executor& executor, const float* x, std::size_t ldx, std::size_t m,
                          const PackedMatrix<std::int8_t>& w, float* y, std::size_t ldy,
                          const Epilogue<float>& epilogue);

}  // namespace vitals::inline v0::backend::cpu

#if VITALS_HEADER_ONLY
#include <vitals/backend/cpu/product_int8.ipp>
#endif
