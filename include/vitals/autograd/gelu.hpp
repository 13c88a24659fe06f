// GELU on a tape, alone and after a Linear. Backward: dx = dy (Phi(x) + x phi(x)), in the memory of dy. What is kept is x;
// who needs y on the way back makes it again. Where nothing trains, Linear and GELU stay one operation.
#pragma once

#include <cstddef>
#include <utility>

#include <vitals/autograd/linear.hpp>
#include <vitals/autograd/recording.hpp>

namespace vitals::inline v0::ops {

/// x * Phi(x), the exact (erf) GELU.
template <class B, std::size_t D>
Variable<B, dyn, dyn, D> gelu(Tape<B>& tape, const Variable<B, dyn, dyn, D>& x) {
  auto y = tape.template make<dyn, dyn, D>(x.shape());
  B::gelu(tape.executor, x.data(), y.data(), x.size());
  if (!x.needs_gradient()) return y;
  y.set_recipe([kept = x.keep()](Executor& executor, typename B::Scalar* to) {
    B::gelu(executor, kept.open(executor)->data(), to, kept.size);
  });
  tape.record(y, [dx = x.slot(), kept = x.keep()](Tape<B>& back, Slot<B>& dy) {
    const auto seen = kept.open(back.executor);
    backend::Gradients<B>::gelu(back.executor, seen->data(), dy.data(), dy.data(), dy.size);
    back.pass_on(dy, *dx);
  });
  return y;
}

template <std::size_t Out, class B, std::size_t In, class Weight, class Bias>
Variable<B, dyn, dyn, Out> linear_gelu(Tape<B>& tape, const Variable<B, dyn, dyn, In>& x, const Weight& weight,
                                       const Bias& bias) {
  if (x.needs_gradient() || detail::trains(weight, bias) || weight.has_low_rank())
    return gelu(tape, linear<Out>(tape, x, weight, bias));
  auto y = tape.template make<dyn, dyn, Out>({x.extent(0), x.extent(1), Out});
  B::linear_gelu(tape.executor, x.data(), x.rows(), weight.packed(), bias.data(), y.data());
  return y;
}

}  // namespace vitals::inline v0::ops
