// Implementation of rowwise.hpp.
#pragma once

#include <algorithm>
#include <type_traits>

#include <vitals/backend/cpu/kernels.hpp>
#include <vitals/backend/cpu/portable.hpp>
#include <vitals/backend/cpu/rowwise.hpp>

namespace vitals::inline v0::backend::cpu {

namespace detail {

/// The vectorised table for float where there is one, else nullptr.
template <class T>
const RowKernels* kernels_for() {
  if constexpr (std::is_same_v<T, float>)
    return row_kernels(active_isa());
  else
    return nullptr;
}

/// Rows a task takes: about 16 Ki numbers.
inline std::size_t rows_per_task(std::size_t d) {
  return std::max<std::size_t>(1, 16384 / std::max<std::size_t>(1, d));
}

}  // namespace detail

template <class T>
void layer_norm(Executor& executor, const T* x, T* y, std::size_t rows, std::size_t d, const T* gamma, const T* beta,
                T eps) {
  const RowKernels* kernel = detail::kernels_for<T>();
  parallel_for(executor, rows, detail::rows_per_task(d), [&](std::size_t begin, std::size_t end) {
    if constexpr (std::is_same_v<T, float>)
      if (kernel) return kernel->layer_norm(x + begin * d, y + begin * d, end - begin, d, gamma, beta, eps);
    portable::layer_norm(x + begin * d, y + begin * d, end - begin, d, gamma, beta, eps);
  });
}

template <class T>
void silu_gate(Executor& executor, const T* x, T* y, std::size_t rows, std::size_t h) {
  const RowKernels* kernel = detail::kernels_for<T>();
  parallel_for(executor, rows, detail::rows_per_task(2 * h), [&](std::size_t begin, std::size_t end) {
    for (std::size_t r = begin; r < end; ++r) {
      const T *gate = x + r * 2 * h, *value = gate + h;
      if constexpr (std::is_same_v<T, float>)
        if (kernel) {
          kernel->silu_gate(gate, value, y + r * h, h);
          continue;
        }
      for (std::size_t i = 0; i < h; ++i) y[r * h + i] = portable::silu(gate[i]) * value[i];
    }
  });
}

template <class T>
void gelu(Executor& executor, const T* x, T* y, std::size_t n) {
  const RowKernels* kernel = detail::kernels_for<T>();
  parallel_for(executor, n, 16384, [&](std::size_t begin, std::size_t end) {
    if constexpr (std::is_same_v<T, float>)
      if (kernel) return kernel->gelu(x + begin, y + begin, end - begin);
    for (std::size_t i = begin; i < end; ++i) y[i] = portable::gelu(x[i]);
  });
}

template <class T>
void softmax(Executor& executor, T* x, std::size_t rows, std::size_t n, T scale) {
  const RowKernels* kernel = detail::kernels_for<T>();
  parallel_for(executor, rows, detail::rows_per_task(n), [&](std::size_t begin, std::size_t end) {
    if constexpr (std::is_same_v<T, float>)
      if (kernel) return kernel->softmax(x + begin * n, end - begin, n, n, scale);
    portable::softmax(x + begin * n, end - begin, n, n, scale);
  });
}

template <class T>
void patches(Executor& executor, const T* pixels, std::size_t batch, std::size_t height, std::size_t width,
             std::size_t patch, T* rows) {
  const std::size_t across = width / patch, down = height / patch, row_size = 3 * patch * patch;
  executor.run(batch * down, [&](std::size_t task) {
    const std::size_t b = task / down, py = task % down;
    for (std::size_t px = 0; px < across; ++px) {
      T* to = rows + (task * across + px) * row_size;
      for (std::size_t c = 0; c < 3; ++c)
        for (std::size_t i = 0; i < patch; ++i, to += patch)
          std::copy_n(pixels + ((b * 3 + c) * height + py * patch + i) * width + px * patch, patch, to);
    }
  });
}

#if !VITALS_HEADER_ONLY
#define VITALS_INSTANTIATE(T)                                                                         \
  template void layer_norm(Executor&, const T*, T*, std::size_t, std::size_t, const T*, const T*, T); \
  template void silu_gate(Executor&, const T*, T*, std::size_t, std::size_t);                         \
  template void gelu(Executor&, const T*, T*, std::size_t);                                           \
  template void softmax(Executor&, T*, std::size_t, std::size_t, T);                                  \
  template void patches(Executor&, const T*, std::size_t, std::size_t, std::size_t, std::size_t, T*);
VITALS_INSTANTIATE(float)
VITALS_INSTANTIATE(double)
#undef VITALS_INSTANTIATE
#endif

}  // namespace vitals::inline v0::backend::cpu
