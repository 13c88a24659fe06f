// The feed-forward part of a block on a tape: y = r + gamma * (GELU(x W1^T + b1) W2^T + b2). Where its weights train it is its two
// layers; where they do not, as with LoRA on attention or BitFit, and the backend can (the CPU in bfloat16), one operation, whose
// inner numbers go from one product to the next a tile at a time, forward and on the way back:
//
//   dr = dy        dh = dy diag(gamma) W2 * GELU'(h)        dx = dh W1        db1 = sum of dh        db2 = gamma * sum of dy
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>

#include <vitals/autograd/gelu.hpp>
#include <vitals/autograd/linear_scale_add.hpp>
#include <vitals/autograd/recording.hpp>

namespace vitals::inline v0::ops {

namespace detail {

/// The joined form; `keeps` numbers are for the way back.
template <std::size_t Hidden, class B, std::size_t D, class Weight1, class Bias1, class Weight2, class Bias2, class Gamma>
Variable<B, dyn, dyn, D> frozen_feed_forward(Tape<B>& tape, Variable<B, dyn, dyn, D> residual,
                                             const Variable<B, dyn, dyn, D>& x, const Weight1& w1, const Bias1& b1,
                                             const Weight2& w2, const Bias2& b2, const Gamma& gamma, std::size_t keeps) {
  using G = backend::Gradients<B>;
  using Scalar = typename B::Scalar;
  const std::size_t m = x.rows();
  const auto slot = residual.slot();
  auto y = on_residual(tape, std::move(residual));
  const auto kept = tape.memory(keeps);
  G::feed_forward_keeping(tape.executor, x.data(), m, w1.packed(), b1.data(), w2.packed(), b2.data(), gamma.data(),
                          y.data(), kept->data());
  tape.record(y, [dx = x.slot(), slot, kept, m, &w1, &b1, &w2, &b2, &gamma](Tape<B>& back, Slot<B>& dy) {
    if (b2.trainable()) {
      const auto sums = column_sums<B>(back, dy.data(), m, D);
      add_scaled_sums<B>(b2, gamma, sums);
    }
    typename B::Weight spare2, spare1;
    const auto& w2t = back.transposed(w2, &gamma, spare2);
    const auto& w1t = back.transposed(w1, static_cast<const Gamma*>(nullptr), spare1);
    const auto backward = [&](Scalar* db1) {
      dx->add([&](Scalar* to, bool add) {
        G::feed_forward_backward(back.executor, dy.data(), m, w2t, w1t, kept->data(), to, add, db1);
      });
    };
    if (b1.trainable())
      b1.gradient().add([&](Scalar* to, bool add) {
        if (!add) std::fill_n(to, Hidden, Scalar(0));
        backward(to);
      });
    else
      backward(nullptr);
    if (slot) back.pass_on(dy, *slot);
  });
  return y;
}

}  // namespace detail

template <std::size_t Hidden, class B, std::size_t D, class Weight1, class Bias1, class Weight2, class Bias2, class Gamma>
Variable<B, dyn, dyn, D> feed_forward(Tape<B>& tape, Variable<B, dyn, dyn, D> residual,
                                      const Variable<B, dyn, dyn, D>& x, const Weight1& w1, const Bias1& b1,
                                      const Weight2& w2, const Bias2& b2, const Gamma& gamma) {
  if constexpr (backend::HasFrozenFeedForward<B>)
    if (x.needs_gradient() && !detail::trains(w1, w2, gamma) && !w1.has_low_rank() && !w2.has_low_rank())
      if (const auto keeps = backend::Gradients<B>::feed_forward_kept(x.rows(), w1.packed(), w2.packed()))
        return detail::frozen_feed_forward<Hidden>(tape, std::move(residual), x, w1, b1, w2, b2, gamma, keeps);
  return linear_scale_add(tape, std::move(residual), linear_gelu<Hidden>(tape, x, w1, b1), w2, b2, gamma);
}

}  // namespace vitals::inline v0::ops
