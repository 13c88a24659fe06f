// The operations of the CPU backend that work a row at a time, at the speed of memory.
#pragma once

#include <cstddef>

#include <vitals/core/config.hpp>
#include <vitals/core/parallel.hpp>

namespace vitals::inline v0::backend::cpu {

/// y = (x - mean) / sqrt(variance + eps) * gamma + beta, each of `rows` rows of d numbers; biased variance.
/// Ba, Kiros, Hinton, "Layer normalization", arXiv 1607.06450.
template <class T>
void layer_norm(Executor& executor, const T* x, T* y, std::size_t rows, std::size_t d, const T* gamma, const T* beta,
                T eps);

/// y (rows, h) = silu(x[:, :h]) * x[:, h:], x (rows, 2 h). Shazeer, "GLU variants improve Transformer", arXiv 2002.05202.
template <class T>
void silu_gate(Executor& executor, const T* x, T* y, std::size_t rows, std::size_t h);

/// y = x * Phi(x), n numbers; absolute error of Phi below 2.5e-7 in float. y may be x.
/// Hendrycks, Gimpel, "Gaussian error linear units", arXiv 1606.08415.
template <class T>
void gelu(Executor& executor, const T* x, T* y, std::size_t n);

/// In place: softmax of each of `rows` rows of n numbers, after a multiplication by scale > 0.
template <class T>
void softmax(Executor& executor, T* x, std::size_t rows, std::size_t n, T scale);

/// Square patches of pixels (B, 3, H, W) as rows (B * H/P * W/P, 3 P P): what a convolution with kernel and stride P
/// multiplies with its weight (D, 3 P P).
template <class T>
void patches(Executor& executor, const T* pixels, std::size_t batch, std::size_t height, std::size_t width,
             std::size_t patch, T* rows);

}  // namespace vitals::inline v0::backend::cpu

#if VITALS_HEADER_ONLY
#include <vitals/backend/cpu/rowwise.ipp>
#endif
