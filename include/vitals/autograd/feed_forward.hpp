// The feed-forward part of a block on a tape: y = r + gamma * (GELU(h) W2^T + b2), h = x W1^T + b1. Where the backend can (the CPU in
// bfloat16) and there are no low-rank terms it is one operation, whose inner numbers go from one product to the next a tile at a
// time, forward and on the way back; else it is its two layers.
//
//   dr = dy        dh = dy diag(gamma) W2 * GELU'(h)        dx = dh W1        db1 = sum of dh        dW1 = dh^T x
//   with G = dy^T GELU(h):        dW2 = diag(gamma) G        db2 = gamma * sum of dy        dgamma = rowsum(W2 * G) + b2 * sum of dy
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include <vitals/autograd/gelu.hpp>
#include <vitals/autograd/linear_scale_add.hpp>
#include <vitals/autograd/recording.hpp>

namespace vitals::inline v0::ops {

namespace detail {

/// The joined form; `keeps` numbers are for the way back.
template <std::size_t Hidden, class B, std::size_t D, class Weight1, class Bias1, class Weight2, class Bias2, class Gamma>
Variable<B, dyn, dyn, D> joined_feed_forward(Tape<B>& tape, Variable<B, dyn, dyn, D> residual,
                                             const Variable<B, dyn, dyn, D>& x, const Weight1& w1, const Bias1& b1,
                                             const Weight2& w2, const Bias2& b2, const Gamma& gamma, std::size_t keeps) {
  using G = backend::Gradients<B>;
  using Scalar = typename B::Scalar;
  const std::size_t m = x.rows();
  const auto slot = residual.slot();
  auto y = on_residual(tape, std::move(residual));
  const auto h = tape.memory(keeps);
  G::feed_forward_keeping(tape.executor, x.data(), m, w1.packed(), b1.data(), w2.packed(), b2.data(), gamma.data(),
                          y.data(), h->data());
  tape.record(y, [dx = x.slot(), slot, kept = w1.trainable() ? x.keep() : Kept<B>{}, h, m, &w1, &b1, &w2, &b2,
                  &gamma](Tape<B>& back, Slot<B>& dy) {
    typename B::Weight spare2, spare1;
    const auto& w2t = back.transposed(w2, &gamma, spare2);
    const auto& w1t = back.transposed(w1, static_cast<const Gamma*>(nullptr), spare1);
    const bool second = trains(w2, gamma), any = w1.trainable() || second;
    const auto g2 = second ? back.memory(D * Hidden) : nullptr, dh = any ? back.memory(h->size()) : nullptr;
    const auto seen = w1.trainable() ? kept.open(back.executor) : nullptr;
    backend::FeedForwardGradients<Scalar> weights;
    if (seen) weights.x = seen->data();
    if (g2) weights.g2 = g2->data();
    if (dh) weights.dh = dh->data();
    if (w1.trainable()) w1.gradient().add([&](Scalar* to, bool add) { weights.dw1 = to, weights.add_to_dw1 = add; });
    Scalar* db1 = sums_of<B>(b1);
    std::vector<Scalar> sums(trains(b2, gamma) ? D : 0);
    if (!sums.empty() && second) weights.sums = sums.data();
    dx->add([&](Scalar* to, bool add) {
      G::feed_forward_backward(back.executor, dy.data(), m, w2t, w1t, h->data(), to, add, db1, any ? &weights : nullptr);
    });
    if (!sums.empty() && !second) G::column_sums(back.executor, dy.data(), D, m, D, sums.data());
    scale_add_gradients<B>(back, sums, g2.get(), w2, b2, gamma, sums_of<B>(gamma));
    if (slot) back.pass_on(dy, *slot);
  });
  return y;
}

}  // namespace detail

template <std::size_t Hidden, class B, std::size_t D, class Weight1, class Bias1, class Weight2, class Bias2, class Gamma>
Variable<B, dyn, dyn, D> feed_forward(Tape<B>& tape, Variable<B, dyn, dyn, D> residual,
                                      const Variable<B, dyn, dyn, D>& x, const Weight1& w1, const Bias1& b1,
                                      const Weight2& w2, const Bias2& b2, const Gamma& gamma) {
  if constexpr (backend::HasJoinedFeedForward<B>)
    if (x.needs_gradient() && !w1.has_low_rank() && !w2.has_low_rank())
      if (const auto keeps = backend::Gradients<B>::feed_forward_kept(x.rows(), w1.packed(), w2.packed()))
        return detail::joined_feed_forward<Hidden>(tape, std::move(residual), x, w1, b1, w2, b2, gamma, keeps);
  return linear_scale_add(tape, std::move(residual), linear_gelu<Hidden>(tape, x, w1, b1), w2, b2, gamma);
}

}  // namespace vitals::inline v0::ops
