// Implementation of attention.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <type_traits>

#include <vitals/backend/cpu/attention.hpp>
#include <vitals/backend/cpu/buffer.hpp>
#include <vitals/backend/cpu/kernels.hpp>
#include <vitals/backend/cpu/portable.hpp>

namespace vitals::inline v0::backend::cpu {

namespace detail {

template <class T>
Lane<T>* attention_panels(std::size_t size) {  // keys and values of all heads, packed; the calling thread's
  static thread_local Buffer<Lane<T>> panels;
  return panels.need(size);
}
template <class T>
T* attention_scratch(std::size_t size) {  // a block of queries, or its scores; each worker's own
  static thread_local Buffer<T> scratch;
  return scratch.need(size);
}

template <class T>
void packed_attention(Executor& executor, const ProductKernels<T>& kernel, const RowKernels& row_kernel,
                      const float* qkv, std::size_t batch, std::size_t tokens, std::size_t heads, std::size_t head_dim,
                      float* out, float* probabilities) {
  constexpr std::size_t per_lane = Packing<T>::per_lane;
  const std::size_t mr = kernel.mr, nr = kernel.nr, dim = heads * head_dim, ld = 3 * dim;
  const std::size_t key_panels = (tokens + nr - 1) / nr, value_panels = (head_dim + nr - 1) / nr;
  const std::size_t head_lanes = (head_dim + per_lane - 1) / per_lane, token_lanes = (tokens + per_lane - 1) / per_lane;
  const std::size_t key_size = key_panels * nr * head_lanes, value_size = value_panels * nr * token_lanes;
  Lane<T>* panels = attention_panels<T>(batch * heads * (key_size + value_size));

  executor.run(batch * heads, [&](std::size_t task) {
    const std::size_t b = task / heads, h = task % heads;
    const float *key = qkv + b * tokens * ld + dim + h * head_dim, *value = key + dim;
    Lane<T>*keys = panels + task * (key_size + value_size), *values = keys + key_size;
    for (std::size_t j = 0; j < key_panels; ++j)
      kernel.pack(key + j * nr * ld, ld, std::min(nr, tokens - j * nr), head_dim, nr, keys + j * nr * head_lanes);
    for (std::size_t j = 0; j < value_panels; ++j)
      kernel.pack_transposed(value + j * nr, ld, std::min(nr, head_dim - j * nr), tokens, nr,
                             values + j * nr * token_lanes);
  });

  // As many rows as keep their scores in the level-2 cache.
  const std::size_t block = mr * std::clamp<std::size_t>(256 * 1024 / (mr * tokens * sizeof(float)), 1, 10);
  const std::size_t blocks = (tokens + block - 1) / block;
  const float scale = 1.0f / std::sqrt(static_cast<float>(head_dim));
  const std::size_t score_ld = key_panels * nr;
  executor.run(batch * heads * blocks, [&](std::size_t task) {
    const std::size_t pair = task / blocks, b = pair / heads, h = pair % heads;
    const std::size_t row = task % blocks * block, rows = std::min(block, tokens - row);
    const Lane<T>*keys = panels + pair * (key_size + value_size), *values = keys + key_size;
    const float* query = qkv + (b * tokens + row) * ld + h * head_dim;
    Lane<T>* tiles = attention_scratch<Lane<T>>(std::max(block * head_lanes, mr * token_lanes) + block * score_ld);
    float* scores = reinterpret_cast<float*>(tiles + std::max(block * head_lanes, mr * token_lanes));
    for (std::size_t i = 0; i < rows; i += mr)
      kernel.pack(query + i * ld, ld, std::min(mr, rows - i), head_dim, mr, tiles + i * head_lanes);
    for (std::size_t j = 0; j < key_panels; ++j)
      for (std::size_t i = 0; i < rows; i += mr)
        kernel.product_tile(tiles + i * head_lanes, keys + j * nr * head_lanes, head_lanes,
                            scores + i * score_ld + j * nr, score_ld, std::min(mr, rows - i),
                            std::min(nr, tokens - j * nr), {});
    row_kernel.softmax(scores, rows, tokens, score_ld, scale);
    if (probabilities)
      for (std::size_t i = 0; i < rows; ++i)
        std::copy_n(scores + i * score_ld, tokens, probabilities + ((b * heads + h) * tokens + row + i) * tokens);
    for (std::size_t i = 0; i < rows; i += mr) {
      const std::size_t some = std::min(mr, rows - i);
      kernel.pack(scores + i * score_ld, score_ld, some, tokens, mr, tiles);
      for (std::size_t j = 0; j < value_panels; ++j)
        kernel.product_tile(tiles, values + j * nr * token_lanes, token_lanes,
                            out + (b * tokens + row + i) * dim + h * head_dim + j * nr, dim, some,
                            std::min(nr, head_dim - j * nr), {});
    }
  });
}

// One row of scores at a time.
template <class T>
void portable_attention(Executor& executor, const T* qkv, std::size_t batch, std::size_t tokens, std::size_t heads,
                        std::size_t head_dim, T* out, T* probabilities) {
  const std::size_t dim = heads * head_dim, ld = 3 * dim;
  const T scale = T(1) / std::sqrt(static_cast<T>(head_dim));
  executor.run(batch * heads, [&](std::size_t task) {
    const std::size_t b = task / heads, h = task % heads;
    const T* first = qkv + b * tokens * ld + h * head_dim;
    Buffer<T> scores(tokens);
    for (std::size_t i = 0; i < tokens; ++i) {
      const T* query = first + i * ld;
      for (std::size_t j = 0; j < tokens; ++j) {
        const T* key = first + j * ld + dim;
        T dot = 0;
        for (std::size_t c = 0; c < head_dim; ++c) dot += query[c] * key[c];
        scores.data()[j] = dot;
      }
      portable::softmax(scores.data(), 1, tokens, tokens, scale);
      if (probabilities) std::copy_n(scores.data(), tokens, probabilities + (task * tokens + i) * tokens);
      T* y = out + (b * tokens + i) * dim + h * head_dim;
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
               std::size_t head_dim, Wide<T>* out, Wide<T>* probabilities) {
  if constexpr (!std::is_same_v<T, double>) {
    if (const auto* kernel = product_kernels<T>(active_isa()))
      return detail::packed_attention(executor, *kernel, *row_kernels(active_isa()), qkv, batch, tokens, heads,
                                      head_dim, out, probabilities);
  }
  detail::portable_attention(executor, qkv, batch, tokens, heads, head_dim, out, probabilities);
}

#if !VITALS_HEADER_ONLY
template void attention<float>(Executor&, const float*, std::size_t, std::size_t, std::size_t, std::size_t, float*,
                               float*);
template void attention<double>(Executor&, const double*, std::size_t, std::size_t, std::size_t, std::size_t, double*,
                                double*);
template void attention<bfloat16>(Executor&, const float*, std::size_t, std::size_t, std::size_t, std::size_t, float*,
                                  float*);
#endif

}  // namespace vitals::inline v0::backend::cpu
