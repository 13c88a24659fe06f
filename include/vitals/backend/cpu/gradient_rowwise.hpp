// The backward halves of the operations that work a row at a time, sums over rows, and the optimisers' steps.
#pragma once

#include <cstddef>
#include <cstdint>

#include <vitals/backend/cpu/gradient_kernels.hpp>
#include <vitals/core/config.hpp>
#include <vitals/core/parallel.hpp>

namespace vitals::inline v0::backend::cpu {

/// dx = dy * GELU'(x), n numbers. dx may be dy.
template <class T>
void gelu_backward(Executor& executor, const T* x, const T* dy, T* dx, std::size_t n);

/// x (rows, 2 h) as silu_gate takes it, dy (rows, h) -> dx (rows, 2 h)
template <class T>
void silu_gate_backward(Executor& executor, const T* x, const T* dy, T* dx, std::size_t rows, std::size_t h);

/// dx (rows, d), added to where `add`; dgamma and dbeta (d) are always added to. Each of the three may be null.
template <class T>
void layer_norm_backward(Executor& executor, const T* x, const T* dy, T* dx, std::size_t rows, std::size_t d,
                         const T* gamma, T eps, bool add, T* dgamma, T* dbeta);

/// sums (n) += the sum of the rows of x (rows, n), row stride ld.
template <class T>
void column_sums(Executor& executor, const T* x, std::size_t ld, std::size_t rows, std::size_t n, T* sums);

/// y += a x, n numbers.
template <class T>
void add_scaled(Executor& executor, const T* x, T a, T* y, std::size_t n);

/// The sum of squares, in pieces of a fixed size whose sums are added in double.
template <class T>
double sum_of_squares(Executor& executor, const T* x, std::size_t n);

/// y = x where kept, times 1 / (1 - p), else 0. Number i is dropped where 16 bits of Philox(seed, stream) at i are below
/// p 2^16: the same for any number of threads. y may be x; `add` adds to y.
template <class T>
void dropout(Executor& executor, const T* x, T* y, std::size_t n, double p, std::uint64_t seed, std::uint64_t stream,
             bool add);

/// In place on n numbers, on the calling thread.
template <class T>
void sgd_step(T* w, const T* gradient, T* momentum, std::size_t n, const SgdStep<T>& options);
template <class T>
void adamw_step(T* w, const T* gradient, T* mean, T* square, std::size_t n, const AdamWStep<T>& options);

}  // namespace vitals::inline v0::backend::cpu

#if VITALS_HEADER_ONLY
#include <vitals/backend/cpu/gradient_rowwise.ipp>
#endif
