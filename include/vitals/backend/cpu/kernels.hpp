// The innermost loops of the CPU backend as tables of functions, one for each instruction set. Everything above (packing,
// threads, attention) is written once against these tables.
//
// Products work on packed operands: the left side X (M, K) in tiles of `mr` rows, stored [K][mr]; the right side
// W (N, K) in panels of `nr` columns of Y = X W^T, stored [K][nr]; both padded with zeros. With bfloat16 two neighbours
// along K share a 32-bit lane, [K/2][mr] pairs, and sums are float32; with int8 four do and sums are int32. A tile of Y is mr x nr accumulators held in registers
// while K runs from 0 to its end, in pieces whose bounds follow from K alone; so a number of Y depends on its row of X
// and its row of W: the same bits for any split of the work.
#pragma once

#include <cstddef>
#include <cstdint>

#include <vitals/backend/cpu/isa.hpp>
#include <vitals/core/config.hpp>
#include <vitals/core/half.hpp>

namespace vitals::inline v0::backend::cpu {

/// How a product holds numbers of type T: `Wide` is what goes in and comes out, a `Lane` holds `per_lane` packed numbers.
template <class T>
struct Packing {
  using Wide = T;
  using Lane = T;
  static constexpr std::size_t per_lane = 1;
};
template <>
struct Packing<bfloat16> {
  using Wide = float;
  using Lane = std::uint32_t;  // the lower half holds the even index
  static constexpr std::size_t per_lane = 2;
};
template <>
struct Packing<std::int8_t> {
  using Wide = float;
  using Lane = std::uint32_t;  // the lowest byte holds the first
  static constexpr std::size_t per_lane = 4;
};
template <class T>
using Wide = typename Packing<T>::Wide;
template <class T>
using Lane = typename Packing<T>::Lane;

namespace detail {

/// Two neighbours along K as bfloat16 in a lane; beyond the end (`left` numbers remain) stands a zero.
inline std::uint32_t pair_of(const float* x, std::size_t left) {
  return bfloat16(x[0]).bits | (left > 1 ? static_cast<std::uint32_t>(bfloat16(x[1]).bits) << 16 : 0u);
}

/// Numbers of Y in the largest tile of any instruction set.
inline constexpr std::size_t largest_tile = 12 * 32;

inline std::size_t ceil_div(std::size_t a, std::size_t b) { return (a + b - 1) / b; }

}  // namespace detail

/// What happens to a product when it is stored. acc = X W^T.
enum class Store {
  plain,      ///< y = acc + bias
  gelu,       ///< y = GELU(acc + bias), the exact erf form
  scale_add,  ///< y += gamma * (acc + bias): LayerScale and the residual branch
};

/// Pointers may be null: no bias is 0, no gamma is 1. add_to_y: acc = y + X W^T, the next piece of a sum along K.
template <class T>
struct Epilogue {
  Store store = Store::plain;
  const T* bias = nullptr;   // (N)
  const T* gamma = nullptr;  // (N)
  bool add_to_y = false;     // not with scale_add
};

/// One head's attention for a panel of queries, streamed over the keys. Scores stand transposed, [key][query], so that
/// maximum and sum of a query stay in its own lane and weights need no packing: a row of them is what the second
/// product broadcasts from.
template <class T>
struct Attend {
  const Lane<T>* query = nullptr;   // one panel [lanes of d][width or 2 width]
  const Lane<T>* keys = nullptr;    // tiles [lanes of d][mr]
  const Lane<T>* values = nullptr;  // panels [lanes of tokens][nr]
  std::size_t rows = 0;             // queries; up to nr / 2 stand in a panel of half the width
  std::size_t tokens = 0, head_dim = 0;
  std::size_t block = 0;  // keys at a time: a multiple of mr, of 2 and of per_lane
  float scale = 1;
  float* scores = nullptr;  // scratch, block x nr
  float* out = nullptr;     // (rows, head_dim), row stride ld
  std::size_t ld = 0;
  float* kept = nullptr;     // tokens x nr, or null: receives the weights [key][query]; needs block >= tokens
};

/// Products of one instruction set, T float or bfloat16.
template <class T>
struct ProductKernels {
  std::size_t mr, nr;
  /// Packs rows x k numbers (row stride ld), padding with zeros where rows < width: a tile (width = mr) or a panel
  /// (width = nr).
  void (*pack)(const float* x, std::size_t ld, std::size_t rows, std::size_t k, std::size_t width, Lane<T>* packed);
  /// Packs a panel of a matrix that stands transposed: number (column n, k) at x[k * ld + n].
  /// Whole vectors are stored: where `width` is no multiple of theirs, up to 15 lanes after the end are written.
  void (*pack_transposed)(const float* x, std::size_t ld, std::size_t cols, std::size_t k, std::size_t width,
                          Lane<T>* packed);
  /// One tile of Y: rows <= mr, cols <= nr, `lanes` along K; epilogue pointers already moved to the first column. On its way
  /// it asks for an eighth of as much memory as the panel takes, from `ahead` on, into the level-2 cache.
  void (*product_tile)(const Lane<T>* tile, const Lane<T>* panel, std::size_t lanes, float* y, std::size_t ld,
                       std::size_t rows, std::size_t cols, const Epilogue<float>& epilogue, const void* ahead);
  /// The same where two neighbours along K stand `stride` lanes apart in the left side (rows of the tile beyond `rows` are
  /// read, not used), and where a panel of up to nr / 2 columns is packed that wide.
  void (*product_strided)(const Lane<T>* tile, std::size_t stride, const Lane<T>* panel, std::size_t lanes, float* y,
                          std::size_t ld, std::size_t rows, std::size_t cols, const Epilogue<float>& epilogue,
                          const void* ahead);
  /// softmax(scale Q K^T) V of a panel of queries.
  void (*attend)(const Attend<T>& a);
  /// product_tile for mr rows of X that are not packed, row stride ldx; null where packing also rounds (bfloat16).
  void (*product_of_rows)(const float* x, std::size_t ldx, const Lane<T>* panel, std::size_t lanes, float* y,
                          std::size_t ld, std::size_t cols, const Epilogue<float>& epilogue, const void* ahead);
  /// And with a panel of up to nr / 2 columns that is packed that wide.
  void (*product_of_rows_narrow)(const float* x, std::size_t ldx, const Lane<T>* panel, std::size_t lanes, float* y,
                                 std::size_t ld, std::size_t cols, const Epilogue<float>& epilogue, const void* ahead);
};

/// Products of int8 (quantize.hpp) with exact 32-bit sums. All instruction sets make the same whole numbers and sums.
template <>
struct ProductKernels<std::int8_t> {
  std::size_t mr, nr;
  /// Quantises rows x k numbers, each row by its own scale, into a tile of width = mr rows: [lanes][mr], then the scales.
  void (*pack)(const float* x, std::size_t ld, std::size_t rows, std::size_t k, std::size_t width,
               std::uint32_t* packed);
  /// The same into a panel of width = nr rows of W; after the scales stand the numbers from which sums start.
  void (*pack_panel)(const float* w, std::size_t ld, std::size_t cols, std::size_t k, std::size_t width,
                     std::uint32_t* packed);
  /// One tile of Y: rows <= mr, cols <= nr; scales are multiplied in before the epilogue, whose pointers are already moved
  /// to the first column. On its way it asks for an eighth of as much memory as the panel takes, from `ahead` on, into
  /// the level-2 cache.
  void (*product_tile)(const std::uint32_t* tile, const std::uint32_t* panel, std::size_t lanes, float* y,
                       std::size_t ld, std::size_t rows, std::size_t cols, const Epilogue<float>& epilogue,
                       const void* ahead);
  /// Quantises a panel of a matrix that stands transposed, number (column n, k) at x[k * ld + n], each column by its own
  /// scale: [lanes][width], then the scales. Null where attend is.
  void (*pack_transposed)(const float* x, std::size_t ld, std::size_t cols, std::size_t k, std::size_t width,
                          std::uint32_t* packed);
  /// softmax(scale Q K^T) V of a panel of queries (pack_panel), tiles of keys (pack) and panels of values
  /// (pack_transposed); null where the processor does not multiply unsigned by signed bytes without loss.
  void (*attend)(const Attend<std::int8_t>& a);
};

/// float32 operations on rows.
struct RowKernels {
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

/// The tables of an instruction set; nullptr for double, and where this build has none (then product.hpp goes to Eigen).
const RowKernels* row_kernels(Isa isa);
template <class T>
const ProductKernels<T>* product_kernels(Isa isa);
template <>
VITALS_INLINE const ProductKernels<float>* product_kernels<float>(Isa isa);
template <>
VITALS_INLINE const ProductKernels<double>* product_kernels<double>(Isa isa);
template <>
VITALS_INLINE const ProductKernels<bfloat16>* product_kernels<bfloat16>(Isa isa);
template <>
VITALS_INLINE const ProductKernels<std::int8_t>* product_kernels<std::int8_t>(Isa isa);

}  // namespace vitals::inline v0::backend::cpu

#if VITALS_HEADER_ONLY
#include <vitals/backend/cpu/kernels.ipp>
#endif
