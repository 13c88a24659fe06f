// LayerNorm on a tape: y = h gamma + beta with h = (x - mean) / deviation. Backward, with g = dy gamma:
//   dx = (g - mean(g) - h mean(g h)) / deviation,  dgamma = sum of dy h,  dbeta = sum of dy. Kept is x, from which mean and
// deviation are computed once more; y can be made again.
#pragma once

#include <cstddef>

#include <vitals/autograd/linear.hpp>
#include <vitals/autograd/recording.hpp>

namespace vitals::inline v0::ops {

template <class B, std::size_t D, class Gamma, class Beta>
Variable<B, dyn, dyn, D> layer_norm(Tape<B>& tape, const Variable<B, dyn, dyn, D>& x, const Gamma& gamma,
                                    const Beta& beta, double eps) {
  using Scalar = typename B::Scalar;
  const std::size_t m = x.rows();
  const auto small = static_cast<Scalar>(eps);
  auto y = tape.template make<dyn, dyn, D>(x.shape());
  B::layer_norm(tape.executor, x.data(), y.data(), m, D, gamma.data(), beta.data(), small);
  if (!x.needs_gradient() && !detail::trains(gamma, beta)) return y;
  y.set_recipe([kept = x.keep(), &gamma, &beta, m, small](Executor& executor, Scalar* to) {
    B::layer_norm(executor, kept.open(executor)->data(), to, m, D, gamma.data(), beta.data(), small);
  });
  tape.record(y, [dx = x.slot(), kept = x.keep(), &gamma, &beta, m, small](Tape<B>& back, Slot<B>& dy) {
    const auto seen = kept.open(back.executor);
    Scalar *dgamma = detail::sums_of<B>(gamma), *dbeta = detail::sums_of<B>(beta);
    const auto run = [&](Scalar* to, bool add) {
      backend::Gradients<B>::layer_norm(back.executor, seen->data(), dy.data(), to, m, D, gamma.data(), small, add,
                                        dgamma, dbeta);
    };
    if (dx)
      dx->add(run);
    else
      run(nullptr, false);
  });
  return y;
}

}  // namespace vitals::inline v0::ops
