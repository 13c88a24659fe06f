// What decoders do on maps (B, h, w, C), channels last, between their convolutions: batch norm, ReLU, pooling. A map is `rows` =
// B h w rows of n = C numbers. The same bits for every number of threads: sums are made in pieces of a fixed size that are added in
// order.
#pragma once

#include <cstddef>

#include <vitals/backend/cpu/map_kernels.hpp>
#include <vitals/core/config.hpp>
#include <vitals/core/parallel.hpp>

namespace vitals::inline v0::backend::cpu {

/// Mean and biased variance of every column. Pieces are joined in double: Chan, Golub, LeVeque, "Updating formulae and a pairwise
/// algorithm for computing sample variances", 1982.
template <class T>
void column_moments(Executor& executor, const T* x, std::size_t rows, std::size_t n, T* mean, T* variance);

/// y = x scale + shift for each row, with relu its positive part. y may be x.
template <class T>
void scale_shift(Executor& executor, const T* x, std::size_t rows, std::size_t n, const T* scale, const T* shift,
                 bool relu, T* y);

/// sums = the sum of dy, dots = the sum of dy (x - mean), per column; with relu dy counts where x scale + shift > 0.
template <class T>
void norm_sums(Executor& executor, const T* x, const T* dy, std::size_t rows, std::size_t n, const T* scale,
               const T* shift, const T* mean, bool relu, T* sums, T* dots);

/// dx = scale (dy - first - (x - mean) second), added to dx where `add`; dy as in norm_sums. dx may be dy.
template <class T>
void norm_backward(Executor& executor, const T* x, const T* dy, std::size_t rows, std::size_t n, const T* scale,
                   const T* shift, const T* mean, const T* first, const T* second, bool relu, bool add, T* dx);

/// n numbers; y may be x, dx may be dy. dx = dy where y > 0, else 0.
template <class T>
void relu(Executor& executor, const T* x, std::size_t n, T* y);
template <class T>
void relu_backward(Executor& executor, const T* y, const T* dy, std::size_t n, T* dx);

/// The largest of each size x size square, stride = size; rows and columns that fill no square are left out.
/// x (batch, h, w, n) -> y (batch, h / size, w / size, n)
template <class T>
void max_pool(Executor& executor, const T* x, std::size_t batch, std::size_t h, std::size_t w, std::size_t n,
              std::size_t size, T* y);
/// dx is added to: each dy goes to the first of the largest, row by row.
template <class T>
void max_pool_backward(Executor& executor, const T* x, const T* dy, std::size_t batch, std::size_t h, std::size_t w,
                       std::size_t n, std::size_t size, T* dx);

}  // namespace vitals::inline v0::backend::cpu

#if VITALS_HEADER_ONLY
#include <vitals/backend/cpu/maps.ipp>
#endif
