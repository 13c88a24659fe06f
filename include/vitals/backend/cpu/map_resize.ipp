// Implementation of map_resize.hpp.
#pragma once

#include <algorithm>
#include <vector>

#include <vitals/backend/cpu/buffer.hpp>
#include <vitals/backend/cpu/map_resize.hpp>

namespace vitals::inline v0::backend::cpu {

namespace detail {

/// output i (n numbers each, `stride` apart) = the weighted sum of the inputs that its list names.
template <class T>
void resize_axis(const MapKernels<T>& kernel, const T* x, std::size_t n, const Taps<T>& taps, std::size_t first,
                 std::size_t last, bool add, T* y, std::vector<const T*>& rows) {
  for (std::size_t i = first; i < last; ++i) {
    const std::size_t count = taps.count(i);
    rows.resize(std::max(rows.size(), count));
    for (std::size_t k = 0; k < count; ++k) rows[k] = x + taps.index[taps.start[i] + k] * n;
    kernel.weighted_sum(rows.data(), taps.weight.data() + taps.start[i], count, n, add, y + (i - first) * n);
  }
}

}  // namespace detail

template <class T>
void resize_map(Executor& executor, const T* x, std::size_t batch, std::size_t n, const Taps<T>& down,
                const Taps<T>& across, bool add, T* y) {
  const auto& kernel = map_kernels<T>(active_isa());
  const std::size_t line = across.in * n, wide = across.out * n;
  if (down.out >= down.in) {  // a row at a time: the line between the two axes stays in cache
    executor.run(batch * down.out, [&](std::size_t task) {
      static thread_local Buffer<T> scratch;
      static thread_local std::vector<const T*> rows;
      T* between = scratch.need(line);
      const std::size_t i = task % down.out;
      detail::resize_axis(kernel, x + task / down.out * down.in * line, line, down, i, i + 1, false, between, rows);
      detail::resize_axis(kernel, between, n, across, 0, across.out, add, y + task * wide, rows);
    });
    return;
  }
  Buffer<T> between(batch * down.in * wide);  // columns first: fewer numbers go into the second axis
  executor.run(batch * down.in, [&](std::size_t task) {
    static thread_local std::vector<const T*> rows;
    detail::resize_axis(kernel, x + task * line, n, across, 0, across.out, false, between.data() + task * wide, rows);
  });
  executor.run(batch * down.out, [&](std::size_t task) {
    static thread_local std::vector<const T*> rows;
    const std::size_t i = task % down.out;
    detail::resize_axis(kernel, between.data() + task / down.out * down.in * wide, wide, down, i, i + 1, add,
                        y + task * wide, rows);
  });
}

#if !VITALS_HEADER_ONLY
template void resize_map(Executor&, const float*, std::size_t, std::size_t, const Taps<float>&, const Taps<float>&,
                         bool, float*);
template void resize_map(Executor&, const double*, std::size_t, std::size_t, const Taps<double>&, const Taps<double>&,
                         bool, double*);
#endif

}  // namespace vitals::inline v0::backend::cpu
