// Implementation of attention.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <type_traits>

#include <vitals/backend/cpu/attention.hpp>
#include <vitals/backend/cpu/buffer.hpp>
#include <vitals/backend/cpu/kernels.hpp>

namespace vitals::inline v0::backend::cpu {

namespace detail {

template <class T>
Lane<T>* attention_panels(std::size_t size) {  // keys and values of all heads, packed; the calling thread's
  static thread_local Buffer<Lane<T>> panels;
  return panels.need(size);
}
template <class T>
Lane<T>* attention_scratch(std::size_t size) {  // a panel of queries and its scores; each worker's own
  static thread_local Buffer<Lane<T>> scratch;
  return scratch.need(size);
}

/// Keys whose scores of a panel of queries stay in the level-1 and level-2 caches beside their values.
inline constexpr std::size_t attention_keys = 384;

template <class T>
void packed_attention(Executor& executor, const ProductKernels<T>& kernel, const float* qkv, std::size_t batch,
                      std::size_t tokens, std::size_t heads, std::size_t head_dim, std::size_t queries, float* out,
                      float* probabilities) {
  constexpr std::size_t per_lane = Packing<T>::per_lane;
  constexpr bool int8 = std::is_same_v<T, std::int8_t>;
  constexpr std::size_t tile_end = int8 ? 1 : 0, panel_end = int8 ? 2 : 0;  // lanes with scales and starts of sums
  const std::size_t mr = kernel.mr, nr = kernel.nr, dim = heads * head_dim, ld = 3 * dim;
  const std::size_t key_tiles = ceil_div(tokens, mr), value_panels = ceil_div(head_dim, nr);
  const std::size_t head_lanes = ceil_div(head_dim, per_lane), token_lanes = ceil_div(tokens, per_lane);
  const std::size_t tile_size = mr * (head_lanes + tile_end), panel_size = nr * (token_lanes + tile_end);
  const std::size_t key_size = key_tiles * tile_size, value_size = value_panels * panel_size;
  const std::size_t query_size = nr * (head_lanes + panel_end);
  Lane<T>* const packed = attention_panels<T>(batch * heads * (key_size + value_size));

  // Keys and values of a head, each as a task.
  executor.run(2 * batch * heads, [&](std::size_t task) {
    const std::size_t pair = task / 2, b = pair / heads, h = pair % heads;
    const float *key = qkv + b * tokens * ld + dim + h * head_dim, *value = key + dim;
    Lane<T>*keys = packed + pair * (key_size + value_size), *values = keys + key_size;
    if (task % 2 == 0)
      for (std::size_t j = 0; j < key_tiles; ++j)
        kernel.pack(key + j * mr * ld, ld, std::min(mr, tokens - j * mr), head_dim, mr, keys + j * tile_size);
    else
      for (std::size_t j = 0; j < value_panels; ++j)
        kernel.pack_transposed(value + j * nr, ld, std::min(nr, head_dim - j * nr), tokens, nr,
                               values + j * panel_size);
  });

  const std::size_t unit = std::lcm(mr, std::max<std::size_t>(2, per_lane));
  const std::size_t blocks = probabilities ? 1 : ceil_div(tokens, attention_keys);
  const std::size_t block = ceil_div(ceil_div(tokens, blocks), unit) * unit;
  const std::size_t panels = ceil_div(queries, nr);
  executor.run(batch * heads * panels, [&](std::size_t task) {
    const std::size_t pair = task / panels, b = pair / heads, h = pair % heads;
    const std::size_t row = task % panels * nr, rows = std::min(nr, queries - row),
                      columns = rows > nr / 2 ? nr : nr / 2;
    Lane<T>* const query = attention_scratch<T>(query_size + (probabilities ? 2 : 1) * block * nr);
    const float* const asks = qkv + (b * tokens + row) * ld + h * head_dim;
    if constexpr (int8) kernel.pack_panel(asks, ld, rows, head_dim, columns, query);
    else kernel.pack(asks, ld, rows, head_dim, columns, query);
    Attend<T> a;
    a.query = query;
    a.keys = packed + pair * (key_size + value_size);
    a.values = a.keys + key_size;
    a.rows = rows;
    a.tokens = tokens;
    a.head_dim = head_dim;
    a.block = block;
    a.scale = 1.0f / std::sqrt(static_cast<float>(head_dim));
    a.scores = reinterpret_cast<float*>(query + query_size);
    a.out = out + (b * queries + row) * dim + h * head_dim;
    a.ld = dim;
    if (probabilities) a.kept = a.scores + block * nr;
    kernel.attend(a);
    if (probabilities)
      for (std::size_t i = 0; i < rows; ++i)
        for (std::size_t j = 0; j < tokens; ++j)
          probabilities[(pair * queries + row + i) * tokens + j] = a.kept[j * columns + i];
  });
}

// One row of scores at a time.
template <class T>
void portable_attention(Executor& executor, const T* qkv, std::size_t batch, std::size_t tokens, std::size_t heads,
                        std::size_t head_dim, std::size_t queries, T* out, T* probabilities) {
  const std::size_t dim = heads * head_dim, ld = 3 * dim;
  const T scale = T(1) / std::sqrt(static_cast<T>(head_dim));
  executor.run(batch * heads, [&](std::size_t task) {
    const std::size_t b = task / heads, h = task % heads;
    const T* first = qkv + b * tokens * ld + h * head_dim;
    Buffer<T> scores(tokens);
    for (std::size_t i = 0; i < queries; ++i) {
      const T* query = first + i * ld;
      T top = -std::numeric_limits<T>::infinity(), total = 0;
      for (std::size_t j = 0; j < tokens; ++j) {
        const T* key = first + j * ld + dim;
        T dot = 0;
        for (std::size_t c = 0; c < head_dim; ++c) dot += query[c] * key[c];
        scores.data()[j] = dot * scale;
        top = std::max(top, scores.data()[j]);
      }
      for (std::size_t j = 0; j < tokens; ++j) total += scores.data()[j] = std::exp(scores.data()[j] - top);
      for (std::size_t j = 0; j < tokens; ++j) scores.data()[j] /= total;
      if (probabilities) std::copy_n(scores.data(), tokens, probabilities + (task * queries + i) * tokens);
      T* y = out + (b * queries + i) * dim + h * head_dim;
      std::fill_n(y, head_dim, T(0));
      for (std::size_t j = 0; j < tokens; ++j) {
        const T* value = first + j * ld + 2 * dim;
        for (std::size_t c = 0; c < head_dim; ++c) y[c] += scores.data()[j] * value[c];
      }
    }
  });
}

}  // namespace detail

template <class T>
void attention(Executor& executor, const Wide<T>* qkv, std::size_t batch, std::size_t tokens, std::size_t heads,
               std::size_t head_dim, std::size_t queries, Wide<T>* out, Wide<T>* probabilities) {
  if constexpr (std::is_same_v<T, std::int8_t>) {
    const auto* kernel = product_kernels<T>(active_isa());
    if (!kernel || !kernel->attend)
      return attention<float>(executor, qkv, batch, tokens, heads, head_dim, queries, out, probabilities);
    return detail::packed_attention(executor, *kernel, qkv, batch, tokens, heads, head_dim, queries, out, probabilities);
  } else if constexpr (!std::is_same_v<T, double>) {
    if (const auto* kernel = product_kernels<T>(active_isa()))
      return detail::packed_attention(executor, *kernel, qkv, batch, tokens, heads, head_dim, queries, out,
                                      probabilities);
  }
  detail::portable_attention(executor, qkv, batch, tokens, heads, head_dim, queries, out, probabilities);
}

#if !VITALS_HEADER_ONLY
#define VITALS_INSTANTIATE(T)                                                                               \
  template void attention<T>(Executor&, const Wide<T>*, std::size_t, std::size_t, std::size_t, std::size_t, \
                             std::size_t, Wide<T>*, Wide<T>*);
VITALS_INSTANTIATE(float)
VITALS_INSTANTIATE(double)
VITALS_INSTANTIATE(bfloat16)
VITALS_INSTANTIATE(std::int8_t)
#undef VITALS_INSTANTIATE
#endif

}  // namespace vitals::inline v0::backend::cpu
