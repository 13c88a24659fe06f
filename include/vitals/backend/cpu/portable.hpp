// The portable kernels: plain C++, any scalar, any processor. Also what the vectorised kernels are tested against.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace vitals::inline v0::backend::cpu::portable {

/// x * Phi(x), the exact (erf) GELU.
template <class T>
T gelu(T x) {
  return x * T(0.5) * std::erfc(-x * T(0.70710678118654752440));
}

/// x * sigmoid(x)
template <class T>
T silu(T x) {
  return x / (T(1) + std::exp(-x));
}

/// rows of d numbers; biased variance.
template <class T>
void layer_norm(const T* x, T* y, std::size_t rows, std::size_t d, const T* gamma, const T* beta, T eps) {
  for (std::size_t r = 0; r < rows; ++r, x += d, y += d) {
    T mean = 0, square = 0;
    for (std::size_t i = 0; i < d; ++i) mean += x[i];
    mean /= static_cast<T>(d);
    for (std::size_t i = 0; i < d; ++i) square += (x[i] - mean) * (x[i] - mean);
    const T scale = T(1) / std::sqrt(square / static_cast<T>(d) + eps);
    for (std::size_t i = 0; i < d; ++i) y[i] = (x[i] - mean) * scale * gamma[i] + beta[i];
  }
}

/// In place, rows x n with row stride ld: softmax(scale * s).
template <class T>
void softmax(T* s, std::size_t rows, std::size_t n, std::size_t ld, T scale) {
  for (std::size_t r = 0; r < rows; ++r, s += ld) {
    const T top = *std::max_element(s, s + n);
    T total = 0;
    for (std::size_t i = 0; i < n; ++i) total += s[i] = std::exp((s[i] - top) * scale);
    for (std::size_t i = 0; i < n; ++i) s[i] /= total;
  }
}

}  // namespace vitals::inline v0::backend::cpu::portable
