// The innermost loops of the CPU backend as a table of functions, one table for each instruction set. Everything above
// (packing, threads, attention) is written once against this table.
//
// Products work on packed operands: the left side X (M, K) in tiles of `mr` rows, stored [K][mr]; the right side
// W (N, K) in panels of `nr` columns of Y = X W^T, stored [K][nr]; both padded with zeros. A tile of Y is mr x nr
// accumulators held in registers while K runs once from 0 to its end, so a number of Y depends on its row of X and its
// row of W alone: the same bits for any split of the work.
#pragma once

#include <cstddef>

#include <vitals/backend/cpu/isa.hpp>
#include <vitals/core/config.hpp>

namespace vitals::inline v0::backend::cpu {

/// What happens to a product when it is stored. acc = X W^T.
enum class Store {
  plain,      ///< y = acc + bias
  gelu,       ///< y = GELU(acc + bias), the exact erf form
  scale_add,  ///< y += gamma * (acc + bias): LayerScale and the residual branch
};

/// Pointers may be null: no bias is 0, no gamma is 1.
template <class T>
struct Epilogue {
  Store store = Store::plain;
  const T* bias = nullptr;   // (N)
  const T* gamma = nullptr;  // (N)
};

/// float32 kernels of one instruction set.
struct Kernels {
  std::size_t mr, nr;
  /// Copies rows x k numbers (row stride ld) to [k][width], padding with zeros where rows < width: a tile (width = mr)
  /// or a panel (width = nr).
  void (*pack)(const float* x, std::size_t ld, std::size_t rows, std::size_t k, std::size_t width, float* packed);
  /// One tile of Y: rows <= mr, cols <= nr; epilogue pointers already moved to the first column.
  void (*product_tile)(const float* tile, const float* panel, std::size_t k, float* y, std::size_t ld, std::size_t rows,
                       std::size_t cols, const Epilogue<float>& epilogue);
  /// y = (x - mean) / sqrt(variance + eps) * gamma + beta for each of `rows` rows of d numbers; biased variance.
  void (*layer_norm)(const float* x, float* y, std::size_t rows, std::size_t d, const float* gamma, const float* beta,
                     float eps);
  /// In place: softmax(scale * s) of rows x n, row stride ld.
  void (*softmax)(float* s, std::size_t rows, std::size_t n, std::size_t ld, float scale);
  /// y = x * Phi(x). y may be x.
  void (*gelu)(const float* x, float* y, std::size_t n);
  /// y = silu(gate) * value of n numbers.
  void (*silu_gate)(const float* gate, const float* value, float* y, std::size_t n);
};

/// The table of an instruction set; for Isa::portable, and for sets this build does not have, nullptr.
const Kernels* kernels(Isa isa);

}  // namespace vitals::inline v0::backend::cpu

#if VITALS_HEADER_ONLY
#include <vitals/backend/cpu/kernels.ipp>
#endif
