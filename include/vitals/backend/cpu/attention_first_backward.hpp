// The way back through the self-attention of the first few tokens over all of them: what the last block of a classifier that
// reads the CLS token needs. Few rows, so plain loops.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

#include <vitals/backend/cpu/buffer.hpp>
#include <vitals/backend/cpu/portable.hpp>
#include <vitals/core/parallel.hpp>

namespace vitals::inline v0::backend::cpu {

namespace detail {

/// One head of one image: q, k, v are `ld` apart from token to token.
template <class T>
struct HeadView {
  const T *q, *k, *v;
  std::size_t ld, tokens, d;

  /// probabilities of query i
  void probabilities(std::size_t i, T* p) const {
    for (std::size_t j = 0; j < tokens; ++j) {
      T sum = 0;
      for (std::size_t c = 0; c < d; ++c) sum += q[i * ld + c] * k[j * ld + c];
      p[j] = sum;
    }
    portable::softmax(p, 1, tokens, tokens, T(1) / std::sqrt(static_cast<T>(d)));
  }
};

template <class T>
HeadView<T> head_view(const T* qkv, std::size_t task, std::size_t tokens, std::size_t heads, std::size_t d) {
  const std::size_t dim = heads * d, ld = 3 * dim;
  const T* q = qkv + task / heads * tokens * ld + task % heads * d;
  return {q, q + dim, q + 2 * dim, ld, tokens, d};
}

}  // namespace detail

/// qkv (B, N, 3, H, d), dout (B, queries, H, d) -> all of dqkv; formulas in attention_backward.hpp. Queries beyond have gradient 0.
template <class T>
void attention_first_backward(Executor& executor, const T* qkv, const T* dout, std::size_t batch, std::size_t tokens,
                              std::size_t heads, std::size_t head_dim, std::size_t queries, T* dqkv) {
  const std::size_t dim = heads * head_dim, ld = 3 * dim;
  const T scale = T(1) / std::sqrt(static_cast<T>(head_dim));
  executor.run(batch * heads, [&](std::size_t task) {
    const auto head = detail::head_view(qkv, task, tokens, heads, head_dim);
    T *dq = dqkv + task / heads * tokens * ld + task % heads * head_dim, *dk = dq + dim, *dv = dk + dim;
    for (std::size_t j = 0; j < tokens; ++j)
      for (T* part : {dq, dk, dv}) std::fill_n(part + j * ld, head_dim, T(0));
    Buffer<T> p(tokens), ds(tokens);
    for (std::size_t i = 0; i < queries; ++i) {
      const T* dy = dout + ((task / heads * queries + i) * heads + task % heads) * head_dim;
      head.probabilities(i, p.data());
      T sum = 0;
      for (std::size_t j = 0; j < tokens; ++j) {
        T slope = 0;
        for (std::size_t c = 0; c < head_dim; ++c) slope += dy[c] * head.v[j * ld + c];
        ds.data()[j] = slope;
        sum += p.data()[j] * slope;
      }
      for (std::size_t j = 0; j < tokens; ++j) {
        const T share = p.data()[j], slope = share * (ds.data()[j] - sum) * scale;
        for (std::size_t c = 0; c < head_dim; ++c) {
          dq[i * ld + c] += slope * head.k[j * ld + c];
          dk[j * ld + c] += slope * head.q[i * ld + c];
          dv[j * ld + c] += share * dy[c];
        }
      }
    }
  });
}

}  // namespace vitals::inline v0::backend::cpu
