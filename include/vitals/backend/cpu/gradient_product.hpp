// The two products of a linear layer's backward pass, on the packed kernels of the forward pass. With Y = X W^T:
//
//   dX = dY W      W is turned into its transposed packed form, O(N K) beside the O(M N K) of the product
//   dW = dY^T X    both sides packed on the way, M in pieces of a fixed size that are added one after another
//
// With bfloat16 both factors are rounded to bfloat16; sums and results are float32. The same bits for every number of
// threads: a number of a result is summed in one order, whoever does it.
#pragma once

#include <cstddef>

#include <vitals/backend/cpu/kernels.hpp>
#include <vitals/backend/cpu/product.hpp>
#include <vitals/core/config.hpp>
#include <vitals/core/parallel.hpp>

namespace vitals::inline v0::backend::cpu {

/// `to` becomes (diag(scale) W)^T (K, N), packed in the memory that it has; `scale` (N) may be null.
template <class T>
void transpose(Executor& executor, const PackedMatrix<T>& w, const Wide<T>* scale, PackedMatrix<T>& to);

/// dX (M, K) = dY (M, N) diag(scale) W, or added to dX; `scale` (N) may be null. Row strides ldy, ldx.
template <class T>
void input_gradient(Executor& executor, const Wide<T>* dy, std::size_t ldy, std::size_t m, const PackedMatrix<T>& w,
                    const Wide<T>* scale, Wide<T>* dx, std::size_t ldx, bool add);

/// dW (N, K), row-major without gaps, = dY (M, N)^T X (M, K), or added to dW. Row strides ldy, ldx. sums (N), where not null, +=
/// the sum of dY's rows, which are read anyway.
template <class T>
void weight_gradient(Executor& executor, const Wide<T>* dy, std::size_t ldy, const Wide<T>* x, std::size_t ldx,
                     std::size_t m, std::size_t n, std::size_t k, Wide<T>* dw, bool add, Wide<T>* sums = nullptr);

namespace detail {

/// One side of dW = dY^T X: rows, row stride ld, or, where `panels` is not null, all of it as pack_transposed packs it nr columns
/// wide, a panel [lanes of M][nr] every panel_size lanes.
template <class T>
struct GradientSide {
  const float* x = nullptr;
  std::size_t ld = 0;
  const Lane<T>* panels = nullptr;
  std::size_t panel_size = 0;
  float* sums = nullptr;  // += the sum of the rows, made while they are packed; or null
};

/// weight_gradient with the kernels of an instruction set; one of the sides may be packed already. m > 0.
template <class T>
void packed_weight_gradient(Executor& executor, const ProductKernels<T>& kernel, const GradientSide<T>& dy,
                            const GradientSide<T>& x, std::size_t m, std::size_t n, std::size_t k, float* dw, bool add);

}  // namespace detail

/// Of a product's gradient G = dY^T X (N, K): dw = diag(scale) G, or added to dw, and sums (N) += rowsum(W * G); dw and sums
/// may be null.
template <class T>
void scale_rows_and_dots(Executor& executor, const PackedMatrix<T>& w, const Wide<T>* g, const Wide<T>* scale, Wide<T>* dw,
                         bool add, Wide<T>* sums);

/// How many rows of W stand together in memory and are changed together.
template <class T>
std::size_t group_rows(const PackedMatrix<T>& w);
/// Rows group * group_rows .. of W to row-major `rows`, and back.
template <class T>
void read_group(const PackedMatrix<T>& w, std::size_t group, Wide<T>* rows);
template <class T>
void write_group(PackedMatrix<T>& w, std::size_t group, const Wide<T>* rows);

}  // namespace vitals::inline v0::backend::cpu

#if VITALS_HEADER_ONLY
#include <vitals/backend/cpu/gradient_product.ipp>
#endif
