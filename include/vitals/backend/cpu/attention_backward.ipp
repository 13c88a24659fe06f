// Implementation of attention_backward.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <utility>

#include <vitals/backend/cpu/attention_backward.hpp>
#include <vitals/backend/cpu/buffer.hpp>
#include <vitals/backend/cpu/gradient_kernels.hpp>
#include <vitals/backend/cpu/kernels.hpp>
#include <vitals/backend/cpu/portable.hpp>

namespace vitals::inline v0::backend::cpu {

namespace detail {

template <class T, class Number, int Which = 0>  // a worker's own
Number* attention_backward_room(std::size_t size) {
  static thread_local Buffer<Number> room;
  return room.need(size);
}

/// A head's backward pass on packed products; sizes and the places of its operands.
template <class T>
class AttentionHead {
 public:
  static constexpr std::size_t per_lane = Packing<T>::per_lane, slack = 16;

  AttentionHead(const ProductKernels<T>& kernel, std::size_t tokens, std::size_t head_dim)
      : kernel_(kernel), n_(tokens), d_(head_dim), mr_(kernel.mr), nr_(kernel.nr) {
    // Blocks of equal size, in whole tiles and lanes: few, for the sums of dK and dV are loaded and stored once a block, and
    // none larger than lets its P and dS stay in the level-2 cache.
    const std::size_t most = std::clamp<std::size_t>(576 * 1024 * per_lane / (2 * sizeof(float) * n_), mr_, 288);
    block_ = ceil_div(ceil_div(n_, ceil_div(n_, most)), mr_) * mr_;
    n_lanes_ = lanes(n_), d_lanes_ = lanes(d_), block_lanes_ = lanes(block_);
    d_columns_ = columns(d_);
    score_ld_ = columns(ceil_div(n_, mr_) * mr_);
  }

  std::size_t lanes_needed() const {
    return 2 * columns(n_) * d_lanes_ + d_columns_ * n_lanes_ + 2 * mr_ * d_lanes_ + 2 * d_columns_ * block_lanes_ +
           (pairs ? 2 * block_lanes_ * score_ld_ + mr_ * score_ld_ / 2 : 0) + slack;
  }
  std::size_t floats_needed() const { return 2 * (pairs ? mr_ : block_) * score_ld_; }

  /// q, k, v, dq, dk, dv have row stride ld, dout has `out_ld`. `next` is the q of the head after this one, most often this
  /// thread's next: its keys and values are asked for while the products of this one's end keep the processor busy.
  void run(const GradientKernels& gradients, const float* q, std::size_t ld, std::size_t dim, const float* dout,
           std::size_t out_ld, float* dq, const float* next, Lane<T>* room, float* scores) {
    const float *k = q + dim, *v = k + dim;
    float *dk = dq + dim, *dv = dk + dim;
    const auto take = [&](std::size_t size) { return std::exchange(room, room + size); };
    Lane<T>*keys = take(columns(n_) * d_lanes_), *values = take(columns(n_) * d_lanes_);
    Lane<T>* key_columns = take(d_columns_ * n_lanes_);
    Lane<T>*query_tile = take(mr_ * d_lanes_), *dout_tile = take(mr_ * d_lanes_);
    Lane<T>*query_columns = take(d_columns_ * block_lanes_), *dout_columns = take(d_columns_ * block_lanes_);
    const float scale = 1.0f / std::sqrt(static_cast<float>(d_));

    for (std::size_t j = 0; j < n_; j += nr_) {
      kernel_.pack(k + j * ld, ld, std::min(nr_, n_ - j), d_, panel(n_ - j), keys + j * d_lanes_);
      kernel_.pack(v + j * ld, ld, std::min(nr_, n_ - j), d_, panel(n_ - j), values + j * d_lanes_);
    }
    pack_columns(k, ld, n_, key_columns, n_lanes_);

    for (std::size_t row = 0; row < n_; row += block_) {
      const std::size_t count = std::min(block_, n_ - row);
      const float *q_block = q + row * ld, *dout_block = dout + row * out_ld;
      // P and dS of the block, their rows as they stand or, with bfloat16, in pairs; and dS of a tile for dQ.
      Lane<T>*p_rows, *ds_rows, *ds_tile;
      if constexpr (pairs) {
        p_rows = room, ds_rows = p_rows + block_lanes_ * score_ld_, ds_tile = ds_rows + block_lanes_ * score_ld_;
      } else {
        p_rows = scores, ds_rows = scores + block_ * score_ld_;
      }
      for (std::size_t i = 0; i < count; i += mr_) {  // the scores of a tile of queries stay in the level-1 cache
        const std::size_t some = std::min(mr_, count - i), at = i / per_lane * score_ld_;
        kernel_.pack(q_block + i * ld, ld, some, d_, mr_, query_tile);
        kernel_.pack(dout_block + i * out_ld, out_ld, some, d_, mr_, dout_tile);
        for (std::size_t r = i + mr_; r < std::min(i + 2 * mr_, count); ++r) {
          expect(q_block + r * ld);
          expect(dout_block + r * out_ld);
        }
        float *s, *dp;
        if constexpr (pairs) s = scores, dp = scores + mr_ * score_ld_;
        else s = p_rows + at, dp = ds_tile = ds_rows + at;
        for (std::size_t j = 0; j < n_; j += nr_) {
          const std::size_t cols = std::min(nr_, n_ - j);
          product(query_tile, 1, mr_, keys + j * d_lanes_, d_lanes_, s + j, score_ld_, some, cols);
          product(dout_tile, 1, mr_, values + j * d_lanes_, d_lanes_, dp + j, score_ld_, some, cols);
        }
        if constexpr (pairs)
          gradients.softmax_pairs(s, dp, some, n_, score_ld_, scale, p_rows + at, ds_rows + at, ds_tile);
        else gradients.softmax(s, dp, some, n_, score_ld_, scale);
        for (std::size_t j = 0; j < d_; j += nr_)  // dQ = dS K
          product(ds_tile, score_ld_ / per_lane, 1, key_columns + j * n_lanes_, n_lanes_, dq + (row + i) * ld + j, ld, some,
                  std::min(nr_, d_ - j));
      }
      // dK += dS^T Q, dV += P^T dO: sums over the rows of the block.
      pack_columns(q_block, ld, count, query_columns, block_lanes_);
      pack_columns(dout_block, out_ld, count, dout_columns, block_lanes_);
      for (std::size_t j = 0; j < d_; j += nr_)
        for (std::size_t t = 0; t < n_; t += mr_) {
          const std::size_t some = std::min(mr_, n_ - t), cols = std::min(nr_, d_ - j), at = t * ld + j;
          for (std::size_t r = t; row + block_ >= n_ && r < t + some; ++r) expect(next + (j ? 2 : 1) * dim + r * ld);
          product(ds_rows + t, 1, score_ld_, query_columns + j * block_lanes_, lanes(count), dk + at, ld, some, cols, row > 0);
          product(p_rows + t, 1, score_ld_, dout_columns + j * block_lanes_, lanes(count), dv + at, ld, some, cols, row > 0);
        }
    }
  }

 private:
  static constexpr bool pairs = per_lane == 2;
  /// Asks for a row of a head, to be packed soon: rows stand far apart, and every one would be waited for.
  void expect([[maybe_unused]] const float* x) const {
#if VITALS_VECTOR_EXTENSIONS
    for (std::size_t c = 0; c < d_; c += 16) __builtin_prefetch(x + c, 0, 2);
#endif
  }
  static std::size_t lanes(std::size_t count) { return ceil_div(count, per_lane); }
  /// The width of a panel of which `left` columns remain, and of all panels of n columns: the last may be half as wide.
  std::size_t panel(std::size_t left) const { return left > nr_ / 2 ? nr_ : nr_ / 2; }
  std::size_t columns(std::size_t n) const { return ceil_div(n, nr_ / 2) * (nr_ / 2); }
  void pack_columns(const float* x, std::size_t ld, std::size_t count, Lane<T>* to, std::size_t stride) const {
    for (std::size_t j = 0; j < d_; j += nr_)
      kernel_.pack_transposed(x + j, ld, std::min(nr_, d_ - j), count, panel(d_ - j), to + j * stride);
  }
  void product(const Lane<T>* tile, std::size_t row_stride, std::size_t k_stride, const Lane<T>* panel, std::size_t lanes,
               float* y, std::size_t ld, std::size_t rows, std::size_t cols, bool add = false) const {
    const Epilogue<float> epilogue{Store::plain, nullptr, nullptr, add};
    kernel_.product_strided(tile, row_stride, k_stride, panel, lanes, y, ld, rows, cols, epilogue, panel);
  }

  const ProductKernels<T>& kernel_;
  std::size_t n_, d_, mr_, nr_, block_, n_lanes_, d_lanes_, block_lanes_, d_columns_, score_ld_;
};

// One row of scores at a time.
template <class T>
void portable_attention_backward(Executor& executor, const T* qkv, const T* dout, std::size_t batch, std::size_t tokens,
                                 std::size_t heads, std::size_t head_dim, T* dqkv) {
  const std::size_t dim = heads * head_dim, ld = 3 * dim;
  const T scale = T(1) / std::sqrt(static_cast<T>(head_dim));
  executor.run(batch * heads, [&](std::size_t task) {
    const std::size_t b = task / heads, h = task % heads;
    const T *q = qkv + b * tokens * ld + h * head_dim, *k = q + dim, *v = k + dim;
    T *dq = dqkv + b * tokens * ld + h * head_dim, *dk = dq + dim, *dv = dk + dim;
    for (std::size_t j = 0; j < tokens; ++j)
      for (std::size_t c = 0; c < head_dim; ++c) dk[j * ld + c] = dv[j * ld + c] = T(0);
    Buffer<T> p(tokens), ds(tokens);
    for (std::size_t i = 0; i < tokens; ++i) {
      const T* dy = dout + (b * tokens + i) * dim + h * head_dim;
      for (std::size_t j = 0; j < tokens; ++j) {
        T score = 0, slope = 0;
        for (std::size_t c = 0; c < head_dim; ++c) {
          score += q[i * ld + c] * k[j * ld + c];
          slope += dy[c] * v[j * ld + c];
        }
        p.data()[j] = score;
        ds.data()[j] = slope;
      }
      portable::softmax(p.data(), 1, tokens, tokens, scale);
      T sum = 0;
      for (std::size_t j = 0; j < tokens; ++j) sum += p.data()[j] * ds.data()[j];
      for (std::size_t c = 0; c < head_dim; ++c) dq[i * ld + c] = T(0);
      for (std::size_t j = 0; j < tokens; ++j) {
        const T share = p.data()[j], slope = share * (ds.data()[j] - sum) * scale;
        for (std::size_t c = 0; c < head_dim; ++c) {
          dq[i * ld + c] += slope * k[j * ld + c];
          dk[j * ld + c] += slope * q[i * ld + c];
          dv[j * ld + c] += share * dy[c];
        }
      }
    }
  });
}

}  // namespace detail

template <class T>
void attention_backward(Executor& executor, const Wide<T>* qkv, const Wide<T>* dout, std::size_t batch,
                        std::size_t tokens, std::size_t heads, std::size_t head_dim, Wide<T>* dqkv) {
  if constexpr (!std::is_same_v<T, double>) {
    const auto* kernel = product_kernels<T>(active_isa());
    const auto* gradients = gradient_kernels(active_isa());
    if (kernel && gradients) {
      const std::size_t dim = heads * head_dim, ld = 3 * dim;
      executor.run(batch * heads, [&](std::size_t task) {
        const std::size_t b = task / heads, h = task % heads;
        detail::AttentionHead<T> head(*kernel, tokens, head_dim);
        const std::size_t next = task + 1 < batch * heads ? task + 1 : task;
        head.run(*gradients, qkv + b * tokens * ld + h * head_dim, ld, dim, dout + b * tokens * dim + h * head_dim, dim,
                 dqkv + b * tokens * ld + h * head_dim, qkv + next / heads * tokens * ld + next % heads * head_dim,
                 detail::attention_backward_room<T, Lane<T>>(head.lanes_needed()),
                 detail::attention_backward_room<T, float, 1>(head.floats_needed()));
      });
      return;
    }
  }
  detail::portable_attention_backward(executor, qkv, dout, batch, tokens, heads, head_dim, dqkv);
}

#if !VITALS_HEADER_ONLY
#define VITALS_INSTANTIATE(T)                                                                              \
  template void attention_backward<T>(Executor&, const Wide<T>*, const Wide<T>*, std::size_t, std::size_t, \
                                      std::size_t, std::size_t, Wide<T>*);
VITALS_INSTANTIATE(float)
VITALS_INSTANTIATE(double)
VITALS_INSTANTIATE(bfloat16)
#undef VITALS_INSTANTIATE
#endif

}  // namespace vitals::inline v0::backend::cpu
