// Gradients<Cpu<T>>: the backward half of the CPU backend; see backend/gradients.hpp for what each operation means. With
// bfloat16, products are made of rounded numbers; sums, gradients and master weights are float32.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <vitals/backend/cpu/attention_backward.hpp>
#include <vitals/backend/cpu/attention_first_backward.hpp>
#include <vitals/backend/cpu/cpu.hpp>
#include <vitals/backend/cpu/gradient_feed_forward.hpp>
#include <vitals/backend/cpu/gradient_product.hpp>
#include <vitals/backend/cpu/gradient_rowwise.hpp>
#include <vitals/backend/gradients.hpp>

namespace vitals::inline v0::backend {

/// Not for std::int8_t: rounding to 255 steps has no gradient. Train in float or bfloat16.
template <class T>
requires(!std::is_same_v<T, std::int8_t>) struct Gradients<Cpu<T>> {
  using Scalar = typename Cpu<T>::Scalar;
  using Weight = typename Cpu<T>::Weight;
  static constexpr bool exact_weights = !std::is_same_v<T, bfloat16>;

  static void input_gradient(Executor& e, const Scalar* dy, std::size_t ldy, std::size_t m, const Weight& w,
                             const Scalar* scale, Scalar* dx, std::size_t ldx, bool add) {
    cpu::input_gradient<T>(e, dy, ldy, m, w, scale, dx, ldx, add);
  }
  static void transpose(Executor& e, const Weight& w, const Scalar* scale, Weight& to) {
    cpu::transpose<T>(e, w, scale, to);
  }
  /// y = x W^T + bias, or y += gamma * (x W^T + bias) where `add`, with a part of low rank.
  static void product_with_low_rank(Executor& e, const Scalar* x, std::size_t m, const Weight& w, const Scalar* bias,
                                    const Scalar* gamma, Scalar* y, bool add, const LowRankPart<Scalar>& part) {
    cpu::product_with_low_rank<T>(e, x, w.cols(), m, w, y, w.rows(),
                                  {add ? cpu::Store::scale_add : cpu::Store::plain, bias, gamma}, part);
  }
  static void weight_gradient(Executor& e, const Scalar* dy, std::size_t ldy, const Scalar* x, std::size_t ldx,
                              std::size_t m, std::size_t out, std::size_t in, Scalar* dw, bool add,
                              Scalar* sums = nullptr) {
    cpu::weight_gradient<T>(e, dy, ldy, x, ldx, m, out, in, dw, add, sums);
  }
  static void column_sums(Executor& e, const Scalar* x, std::size_t ld, std::size_t rows, std::size_t n, Scalar* sums) {
    cpu::column_sums(e, x, ld, rows, n, sums);
  }
  static void add_scaled(Executor& e, const Scalar* x, Scalar a, Scalar* y, std::size_t n) {
    cpu::add_scaled(e, x, a, y, n);
  }
  static void scale_rows_and_dots(Executor& e, const Weight& w, const Scalar* g, const Scalar* scale, Scalar* dw,
                                  bool add, Scalar* sums) {
    cpu::scale_rows_and_dots<T>(e, w, g, scale, dw, add, sums);
  }
  static double sum_of_squares(Executor& e, const Scalar* x, std::size_t n) { return cpu::sum_of_squares(e, x, n); }
  static void gelu(Executor& e, const Scalar* x, const Scalar* dy, Scalar* dx, std::size_t n) {
    cpu::gelu_backward(e, x, dy, dx, n);
  }
  // In float32 it is slower than one layer after the other.
  static std::size_t feed_forward_kept(std::size_t m, const Weight& w1, const Weight& w2)
  requires std::is_same_v<T, bfloat16> {
    return cpu::feed_forward_kept(m, w1, w2);
  }
  static void feed_forward_keeping(Executor& e, const Scalar* x, std::size_t m, const Weight& w1, const Scalar* bias1,
                                   const Weight& w2, const Scalar* bias2, const Scalar* gamma, Scalar* y, Scalar* kept)
  requires std::is_same_v<T, bfloat16> {
    cpu::feed_forward_keeping(e, x, m, w1, bias1, w2, bias2, gamma, y, kept);
  }
  static void feed_forward_backward(Executor& e, const Scalar* dy, std::size_t m, const Weight& w2t, const Weight& w1t,
                                    Scalar* kept, Scalar* dx, bool add, Scalar* db1,
                                    const FeedForwardGradients<Scalar>* weights)
  requires std::is_same_v<T, bfloat16> {
    cpu::feed_forward_backward(e, dy, m, w2t, w1t, kept, dx, add, db1, weights);
  }
  static void silu_gate(Executor& e, const Scalar* x, const Scalar* dy, Scalar* dx, std::size_t rows, std::size_t h) {
    cpu::silu_gate_backward(e, x, dy, dx, rows, h);
  }
  static void layer_norm(Executor& e, const Scalar* x, const Scalar* dy, Scalar* dx, std::size_t rows, std::size_t d,
                         const Scalar* gamma, Scalar eps, bool add, Scalar* dgamma, Scalar* dbeta) {
    cpu::layer_norm_backward(e, x, dy, dx, rows, d, gamma, eps, add, dgamma, dbeta);
  }
  static void attention(Executor& e, const Scalar* qkv, const Scalar* dout, std::size_t batch, std::size_t tokens,
                        std::size_t heads, std::size_t head_dim, Scalar* dqkv) {
    cpu::attention_backward<T>(e, qkv, dout, batch, tokens, heads, head_dim, dqkv);
  }
  static void attention_first_backward(Executor& e, const Scalar* qkv, const Scalar* dout, std::size_t batch,
                                       std::size_t tokens, std::size_t heads, std::size_t head_dim, std::size_t queries,
                                       Scalar* dqkv) {
    cpu::attention_first_backward(e, qkv, dout, batch, tokens, heads, head_dim, queries, dqkv);
  }
  static void dropout(Executor& e, const Scalar* x, Scalar* y, std::size_t n, double p, std::uint64_t seed,
                      std::uint64_t stream, bool add) {
    cpu::dropout(e, x, y, n, p, seed, stream, add);
  }
  static void unpack(Executor& e, const Weight& w, Scalar* rows) {
    const std::size_t group = cpu::group_rows(w);
    e.run((w.rows() + group - 1) / group, [&](std::size_t j) { cpu::read_group(w, j, rows + j * group * w.cols()); });
  }
  template <class F>
  static void update(Executor& e, Weight& w, Scalar* master, F&& f) {
    const std::size_t group = cpu::group_rows(w), size = group * w.cols();
    e.run((w.rows() + group - 1) / group, [&](std::size_t j) {
      const std::size_t n = std::min(size, w.rows() * w.cols() - j * size);
      Scalar* values = master ? master + j * size : room(size);
      if (!master) cpu::read_group(w, j, values);
      f(values, j * size, n);
      cpu::write_group(w, j, values);
    });
  }

  static void sgd(Scalar* w, const Scalar* gradient, Scalar* momentum, std::size_t n, const SgdStep<Scalar>& step) {
    cpu::sgd_step(w, gradient, momentum, n, step);
  }
  static void adamw(Scalar* w, const Scalar* gradient, Scalar* mean, Scalar* square, std::size_t n,
                    const AdamWStep<Scalar>& step) {
    cpu::adamw_step(w, gradient, mean, square, n, step);
  }

 private:
  static Scalar* room(std::size_t size) {  // a worker's own
    static thread_local cpu::Buffer<Scalar> buffer;
    return buffer.need(size);
  }
};

static_assert(HasJoinedFeedForward<Cpu<bfloat16>> && !HasJoinedFeedForward<Cpu<float>>);
static_assert(Differentiable<Cpu<float>> && Differentiable<Cpu<bfloat16>> && !Differentiable<Cpu<std::int8_t>>);

}  // namespace vitals::inline v0::backend
