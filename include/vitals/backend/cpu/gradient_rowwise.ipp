// Implementation of gradient_rowwise.hpp: the vectorised kernels for float, plain loops for double.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <type_traits>
#include <vector>

#include <vitals/backend/cpu/gradient_rowwise.hpp>
#include <vitals/core/rng.hpp>

namespace vitals::inline v0::backend::cpu {

namespace detail {

/// Rows a task takes: about 16 Ki numbers.
inline std::size_t gradient_rows_per_task(std::size_t d) {
  return std::max<std::size_t>(1, 16384 / std::max<std::size_t>(1, d));
}

/// Rows whose sums are made in one go; the pieces' sums are added in order.
inline constexpr std::size_t sum_rows = 64;

template <class T>
void portable_layer_norm_backward(const T* x, const T* dy, T* dx, std::size_t rows, std::size_t d, const T* gamma,
                                  T eps, bool add, T* dgamma, T* dbeta) {
  for (std::size_t r = 0; r < rows; ++r, x += d, dy += d) {
    T mean = 0, square = 0, a = 0, b = 0;
    for (std::size_t i = 0; i < d; ++i) mean += x[i];
    mean /= static_cast<T>(d);
    for (std::size_t i = 0; i < d; ++i) square += (x[i] - mean) * (x[i] - mean);
    const T scale = T(1) / std::sqrt(square / static_cast<T>(d) + eps);
    for (std::size_t i = 0; i < d; ++i) {
      const T h = (x[i] - mean) * scale;
      if (dgamma) dgamma[i] += dy[i] * h;
      if (dbeta) dbeta[i] += dy[i];
      a += dy[i] * gamma[i];
      b += dy[i] * gamma[i] * h;
    }
    if (!dx) continue;
    a /= static_cast<T>(d), b /= static_cast<T>(d);
    for (std::size_t i = 0; i < d; ++i) {
      const T value = scale * (dy[i] * gamma[i] - a - (x[i] - mean) * scale * b);
      dx[i] = add ? dx[i] + value : value;
    }
    dx += d;
  }
}

}  // namespace detail

template <class T>
void gelu_backward(Executor& executor, const T* x, const T* dy, T* dx, std::size_t n) {
  const auto* kernel = detail::gradient_kernels_for<T>();
  parallel_for(executor, n, 16384, [&](std::size_t begin, std::size_t end) {
    if constexpr (std::is_same_v<T, float>)
      if (kernel) return kernel->gelu(x + begin, dy + begin, dx + begin, end - begin);
    for (std::size_t i = begin; i < end; ++i) {
      const T cdf = T(0.5) * std::erfc(-x[i] * T(0.70710678118654752440));
      dx[i] = dy[i] * (cdf + x[i] * T(0.39894228040143267794) * std::exp(-x[i] * x[i] / 2));
    }
  });
}

template <class T>
void silu_gate_backward(Executor& executor, const T* x, const T* dy, T* dx, std::size_t rows, std::size_t h) {
  const auto* kernel = detail::gradient_kernels_for<T>();
  parallel_for(executor, rows, detail::gradient_rows_per_task(2 * h), [&](std::size_t begin, std::size_t end) {
    for (std::size_t r = begin; r < end; ++r) {
      const T *gate = x + r * 2 * h, *value = gate + h, *d = dy + r * h;
      T *dgate = dx + r * 2 * h, *dvalue = dgate + h;
      if constexpr (std::is_same_v<T, float>)
        if (kernel) {
          kernel->silu_gate(gate, value, d, dgate, dvalue, h);
          continue;
        }
      for (std::size_t i = 0; i < h; ++i) {
        const T s = T(1) / (T(1) + std::exp(-gate[i]));
        dvalue[i] = d[i] * gate[i] * s;
        dgate[i] = d[i] * value[i] * s * (T(1) + gate[i] * (T(1) - s));
      }
    }
  });
}

template <class T>
void layer_norm_backward(Executor& executor, const T* x, const T* dy, T* dx, std::size_t rows, std::size_t d,
                         const T* gamma, T eps, bool add, T* dgamma, T* dbeta) {
  const auto* kernel = detail::gradient_kernels_for<T>();
  const std::size_t pieces = (rows + detail::sum_rows - 1) / detail::sum_rows;
  const bool sums = dgamma || dbeta;
  std::vector<T> partial(sums ? pieces * 2 * d : 0, T(0));
  executor.run(pieces, [&](std::size_t piece) {
    const std::size_t begin = piece * detail::sum_rows, count = std::min(detail::sum_rows, rows - begin);
    T* gamma_sums = dgamma ? partial.data() + piece * 2 * d : nullptr;
    T* beta_sums = dbeta ? partial.data() + piece * 2 * d + d : nullptr;
    T* to = dx ? dx + begin * d : nullptr;
    if constexpr (std::is_same_v<T, float>)
      if (kernel)
        return kernel->layer_norm(x + begin * d, dy + begin * d, to, count, d, gamma, eps, add, gamma_sums, beta_sums);
    detail::portable_layer_norm_backward(x + begin * d, dy + begin * d, to, count, d, gamma, eps, add, gamma_sums,
                                         beta_sums);
  });
  for (std::size_t piece = 0; sums && piece < pieces; ++piece)
    for (std::size_t i = 0; i < d; ++i) {
      if (dgamma) dgamma[i] += partial[piece * 2 * d + i];
      if (dbeta) dbeta[i] += partial[piece * 2 * d + d + i];
    }
}

template <class T>
void column_sums(Executor& executor, const T* x, std::size_t ld, std::size_t rows, std::size_t n, T* sums) {
  const auto* kernel = detail::gradient_kernels_for<T>();
  constexpr std::size_t strip = 128;  // columns a task sums, rows from the first to the last
  executor.run((n + strip - 1) / strip, [&](std::size_t task) {
    const std::size_t begin = task * strip, count = std::min(strip, n - begin);
    if constexpr (std::is_same_v<T, float>)
      if (kernel) return kernel->column_sums(x + begin, ld, rows, count, sums + begin);
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t i = begin; i < begin + count; ++i) sums[i] += x[r * ld + i];
  });
}

template <class T>
void add_scaled(Executor& executor, const T* x, T a, T* y, std::size_t n) {
  const auto* kernel = detail::gradient_kernels_for<T>();
  parallel_for(executor, n, 32768, [&](std::size_t begin, std::size_t end) {
    if constexpr (std::is_same_v<T, float>)
      if (kernel) return kernel->add_scaled(y + begin, x + begin, a, end - begin);
    for (std::size_t i = begin; i < end; ++i) y[i] += a * x[i];
  });
}

template <class T>
double sum_of_squares(Executor& executor, const T* x, std::size_t n) {
  constexpr std::size_t piece = 4096;
  const auto* kernel = detail::gradient_kernels_for<T>();
  std::vector<double> partial((n + piece - 1) / piece);
  parallel_for(executor, partial.size(), 16, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      const T* from = x + i * piece;
      const std::size_t count = std::min(piece, n - i * piece);
      if constexpr (std::is_same_v<T, float>)
        if (kernel) {
          partial[i] = kernel->dot(from, from, count);
          continue;
        }
      for (std::size_t j = 0; j < count; ++j) partial[i] += static_cast<double>(from[j]) * static_cast<double>(from[j]);
    }
  });
  double total = 0;
  for (double p : partial) total += p;
  return total;
}

template <class T>
void dropout(Executor& executor, const T* x, T* y, std::size_t n, double p, std::uint64_t seed, std::uint64_t stream,
             bool add) {
  const auto threshold = static_cast<std::uint32_t>(std::lround(p * 65536));
  const T scale = static_cast<T>(65536.0 / (65536.0 - threshold));
  const std::array<std::uint32_t, 2> key{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)};
  const auto low = static_cast<std::uint32_t>(stream), high = static_cast<std::uint32_t>(stream >> 32);
  parallel_for(executor, (n + 7) / 8, 2048, [&](std::size_t begin, std::size_t end) {
    for (std::size_t block = begin; block < end; ++block) {
      const auto bits =
          philox4x32({static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32), low, high}, key);
      for (std::size_t j = 0; j < 8 && block * 8 + j < n; ++j) {
        const std::size_t i = block * 8 + j;
        const bool kept = ((bits[j / 2] >> (j % 2 * 16)) & 0xffffu) >= threshold;
        const T value = kept ? x[i] * scale : T(0);
        y[i] = add ? y[i] + value : value;
      }
    }
  });
}

template <class T>
void sgd_step(T* w, const T* gradient, T* momentum, std::size_t n, const SgdStep<T>& o) {
  if constexpr (std::is_same_v<T, float>)
    if (const auto* kernel = detail::gradient_kernels_for<T>()) return kernel->sgd(w, gradient, momentum, n, o);
  for (std::size_t i = 0; i < n; ++i) {
    T g = o.gradient_scale * gradient[i] + o.weight_decay * w[i];
    if (momentum) {
      momentum[i] = o.first ? g : o.momentum * momentum[i] + g;
      g = o.nesterov ? g + o.momentum * momentum[i] : momentum[i];
    }
    w[i] -= o.lr * g;
  }
}

template <class T>
void adamw_step(T* w, const T* gradient, T* mean, T* square, std::size_t n, const AdamWStep<T>& o) {
  if constexpr (std::is_same_v<T, float>)
    if (const auto* kernel = detail::gradient_kernels_for<T>()) return kernel->adamw(w, gradient, mean, square, n, o);
  for (std::size_t i = 0; i < n; ++i) {
    const T g = o.gradient_scale * gradient[i];
    mean[i] = o.beta1 * mean[i] + o.rest1 * g;
    square[i] = o.beta2 * square[i] + o.rest2 * g * g;
    w[i] = w[i] * o.keep - o.rate * mean[i] / (o.root * std::sqrt(square[i]) + o.eps);
  }
}

#if !VITALS_HEADER_ONLY
#define VITALS_INSTANTIATE(T)                                                                                       \
  template void gelu_backward(Executor&, const T*, const T*, T*, std::size_t);                                      \
  template void silu_gate_backward(Executor&, const T*, const T*, T*, std::size_t, std::size_t);                    \
  template void layer_norm_backward(Executor&, const T*, const T*, T*, std::size_t, std::size_t, const T*, T, bool, \
                                    T*, T*);                                                                        \
  template void column_sums(Executor&, const T*, std::size_t, std::size_t, std::size_t, T*);                        \
  template void add_scaled(Executor&, const T*, T, T*, std::size_t);                                                \
  template double sum_of_squares(Executor&, const T*, std::size_t);                                                 \
  template void dropout(Executor&, const T*, T*, std::size_t, double, std::uint64_t, std::uint64_t, bool);          \
  template void sgd_step(T*, const T*, T*, std::size_t, const SgdStep<T>&);                                         \
  template void adamw_step(T*, const T*, T*, T*, std::size_t, const AdamWStep<T>&);
VITALS_INSTANTIATE(float)
VITALS_INSTANTIATE(double)
#undef VITALS_INSTANTIATE
#endif

}  // namespace vitals::inline v0::backend::cpu
