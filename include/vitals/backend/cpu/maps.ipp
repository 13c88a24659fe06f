// Implementation of maps.hpp.
#pragma once

#include <algorithm>
#include <vector>

#include <vitals/backend/cpu/maps.hpp>

namespace vitals::inline v0::backend::cpu {

namespace detail {

/// Narrow rows would leave most of a vector empty, so a few of them are taken as one: how many.
inline std::size_t rows_as_one(std::size_t n) { return n >= 48 ? 1 : ceil_div(48, n); }
/// Rows of a task, about 16 Ki numbers, a multiple of rows_as_one.
inline std::size_t map_rows_per_task(std::size_t n) {
  const std::size_t fold = rows_as_one(n);
  return std::max<std::size_t>(1, 16384 / (n * fold)) * fold;
}
/// The numbers of a column array, one after another as often as rows are taken as one.
template <class T>
std::vector<T> repeated(const T* values, std::size_t n, std::size_t times) {
  std::vector<T> out;
  out.reserve(n * times);
  for (std::size_t i = 0; i < times; ++i) out.insert(out.end(), values, values + n);
  return out;
}

/// body(piece, begin, count, fold): rows [begin, begin + count * fold), `fold` of them taken as one, in task `piece`.
template <class Body>
void map_pieces(Executor& executor, std::size_t rows, std::size_t n, Body&& body) {
  const std::size_t fold = rows_as_one(n), step = map_rows_per_task(n);
  executor.run(ceil_div(rows, step), [&](std::size_t piece) {
    const std::size_t begin = piece * step, count = std::min(step, rows - begin), whole = count / fold;
    if (whole) body(piece, begin, whole, fold);
    if (count > whole * fold) body(piece, begin + whole * fold, count - whole * fold, std::size_t{1});
  });
}

/// Count, mean and squared distances of a column so far.
struct JoinedMoments {
  double count = 0, mean = 0, squares = 0;
  void join(double n, double m, double q) {
    const double all = count + n, delta = m - mean;
    mean += delta * n / all;
    squares += q + delta * delta * count * n / all;
    count = all;
  }
};

}  // namespace detail

template <class T>
void column_moments(Executor& executor, const T* x, std::size_t rows, std::size_t n, T* mean, T* variance) {
  const auto& kernel = map_kernels<T>(active_isa());
  const std::size_t pieces = detail::ceil_div(rows, detail::map_rows_per_task(n));
  std::vector<detail::JoinedMoments> joined(pieces * n);
  detail::map_pieces(executor, rows, n, [&](std::size_t piece, std::size_t begin, std::size_t count, std::size_t fold) {
    std::vector<T> some(2 * n * fold);
    kernel.moments(x + begin * n, count, n * fold, some.data(), some.data() + n * fold);
    for (std::size_t f = 0; f < fold; ++f)
      for (std::size_t i = 0; i < n; ++i)
        joined[piece * n + i].join(static_cast<double>(count), static_cast<double>(some[f * n + i]),
                                   static_cast<double>(some[(fold + f) * n + i]));
  });
  for (std::size_t i = 0; i < n; ++i) {
    detail::JoinedMoments all;
    for (std::size_t piece = 0; piece < pieces; ++piece) {
      const auto& some = joined[piece * n + i];
      all.join(some.count, some.mean, some.squares);
    }
    mean[i] = static_cast<T>(all.mean);
    variance[i] = static_cast<T>(all.squares / all.count);
  }
}

template <class T>
void scale_shift(Executor& executor, const T* x, std::size_t rows, std::size_t n, const T* scale, const T* shift,
                 bool relu, T* y) {
  const auto& kernel = map_kernels<T>(active_isa());
  const std::size_t times = detail::rows_as_one(n);
  const auto a = detail::repeated(scale, n, times), b = detail::repeated(shift, n, times);
  detail::map_pieces(executor, rows, n, [&](std::size_t, std::size_t begin, std::size_t count, std::size_t fold) {
    kernel.scale_shift(x + begin * n, count, n * fold, a.data(), b.data(), relu, y + begin * n);
  });
}

template <class T>
void norm_sums(Executor& executor, const T* x, const T* dy, std::size_t rows, std::size_t n, const T* scale,
               const T* shift, const T* mean, bool relu, T* sums, T* dots) {
  const auto& kernel = map_kernels<T>(active_isa());
  const std::size_t times = detail::rows_as_one(n), width = n * times;
  const auto a = detail::repeated(scale, n, times), b = detail::repeated(shift, n, times),
             m = detail::repeated(mean, n, times);
  const std::size_t pieces = detail::ceil_div(rows, detail::map_rows_per_task(n));
  std::vector<T> partial(pieces * 2 * width, T(0));
  detail::map_pieces(executor, rows, n, [&](std::size_t piece, std::size_t begin, std::size_t count, std::size_t fold) {
    T* to = partial.data() + piece * 2 * width;
    kernel.norm_sums(x + begin * n, dy + begin * n, count, n * fold, a.data(), b.data(), m.data(), relu, to,
                     to + width);
  });
  for (std::size_t i = 0; i < n; ++i) {
    double sum = 0, dot = 0;
    for (std::size_t piece = 0; piece < pieces; ++piece)
      for (std::size_t f = 0; f < times; ++f) {
        sum += static_cast<double>(partial[piece * 2 * width + f * n + i]);
        dot += static_cast<double>(partial[(piece * 2 + 1) * width + f * n + i]);
      }
    sums[i] = static_cast<T>(sum);
    dots[i] = static_cast<T>(dot);
  }
}

template <class T>
void norm_backward(Executor& executor, const T* x, const T* dy, std::size_t rows, std::size_t n, const T* scale,
                   const T* shift, const T* mean, const T* first, const T* second, bool relu, bool add, T* dx) {
  const auto& kernel = map_kernels<T>(active_isa());
  const std::size_t times = detail::rows_as_one(n);
  const auto a = detail::repeated(scale, n, times), b = detail::repeated(shift, n, times),
             m = detail::repeated(mean, n, times), c = detail::repeated(first, n, times),
             d = detail::repeated(second, n, times);
  detail::map_pieces(executor, rows, n, [&](std::size_t, std::size_t begin, std::size_t count, std::size_t fold) {
    kernel.norm_backward(x + begin * n, dy + begin * n, count, n * fold, a.data(), b.data(), m.data(), c.data(),
                         d.data(), relu, add, dx + begin * n);
  });
}

template <class T>
void relu(Executor& executor, const T* x, std::size_t n, T* y) {
  const auto& kernel = map_kernels<T>(active_isa());
  parallel_for(executor, n, 16384,
               [&](std::size_t begin, std::size_t end) { kernel.relu(x + begin, end - begin, y + begin); });
}

template <class T>
void relu_backward(Executor& executor, const T* y, const T* dy, std::size_t n, T* dx) {
  const auto& kernel = map_kernels<T>(active_isa());
  parallel_for(executor, n, 16384, [&](std::size_t begin, std::size_t end) {
    kernel.relu_backward(y + begin, dy + begin, end - begin, dx + begin);
  });
}

template <class T>
void max_pool(Executor& executor, const T* x, std::size_t batch, std::size_t h, std::size_t w, std::size_t n,
              std::size_t size, T* y) {
  const std::size_t rows = h / size, cols = w / size;
  executor.run(batch * rows, [&](std::size_t task) {
    const T* from = x + (task / rows * h + task % rows * size) * w * n;
    T* to = y + task * cols * n;
    for (std::size_t c = 0; c < cols; ++c, to += n)
      for (std::size_t i = 0; i < n; ++i) {
        T best = from[c * size * n + i];
        for (std::size_t dy = 0; dy < size; ++dy)
          for (std::size_t dx = 0; dx < size; ++dx) best = std::max(best, from[(dy * w + c * size + dx) * n + i]);
        to[i] = best;
      }
  });
}

template <class T>
void max_pool_backward(Executor& executor, const T* x, const T* dy, std::size_t batch, std::size_t h, std::size_t w,
                       std::size_t n, std::size_t size, T* dx) {
  const std::size_t rows = h / size, cols = w / size;
  executor.run(batch * rows, [&](std::size_t task) {
    const std::size_t first = (task / rows * h + task % rows * size) * w * n;
    const T* gradient = dy + task * cols * n;
    for (std::size_t c = 0; c < cols; ++c)
      for (std::size_t i = 0; i < n; ++i) {
        std::size_t best = first + c * size * n + i;
        for (std::size_t r = 0; r < size; ++r)
          for (std::size_t k = 0; k < size; ++k) {
            const std::size_t at = first + (r * w + c * size + k) * n + i;
            if (x[at] > x[best]) best = at;
          }
        dx[best] += gradient[c * n + i];
      }
  });
}

#if !VITALS_HEADER_ONLY
#define VITALS_INSTANTIATE(T)                                                                                          \
  template void column_moments(Executor&, const T*, std::size_t, std::size_t, T*, T*);                                 \
  template void scale_shift(Executor&, const T*, std::size_t, std::size_t, const T*, const T*, bool, T*);              \
  template void norm_sums(Executor&, const T*, const T*, std::size_t, std::size_t, const T*, const T*, const T*, bool, \
                          T*, T*);                                                                                     \
  template void norm_backward(Executor&, const T*, const T*, std::size_t, std::size_t, const T*, const T*, const T*,   \
                              const T*, const T*, bool, bool, T*);                                                     \
  template void relu(Executor&, const T*, std::size_t, T*);                                                            \
  template void relu_backward(Executor&, const T*, const T*, std::size_t, T*);                                         \
  template void max_pool(Executor&, const T*, std::size_t, std::size_t, std::size_t, std::size_t, std::size_t, T*);    \
  template void max_pool_backward(Executor&, const T*, const T*, std::size_t, std::size_t, std::size_t, std::size_t,   \
                                  std::size_t, T*);
VITALS_INSTANTIATE(float)
VITALS_INSTANTIATE(double)
#undef VITALS_INSTANTIATE
#endif

}  // namespace vitals::inline v0::backend::cpu
