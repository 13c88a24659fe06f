// The gate of SwiGLU on a tape: y = silu(g) * v, g and v the halves of x. Backward, with s = sigmoid(g):
//   dv = dy g s,  dg = dy v s (1 + g (1 - s)). Kept is x; y can be made again.
#pragma once

#include <cstddef>

#include <vitals/autograd/recording.hpp>

namespace vitals::inline v0::ops {

template <class B, std::size_t F2>
Variable<B, dyn, dyn, F2 / 2> silu_gate(Tape<B>& tape, const Variable<B, dyn, dyn, F2>& x) {
  using Scalar = typename B::Scalar;
  const std::size_t m = x.rows();
  auto y = tape.template make<dyn, dyn, F2 / 2>({x.extent(0), x.extent(1), F2 / 2});
  B::silu_gate(tape.executor, x.data(), y.data(), m, F2 / 2);
  if (!x.needs_gradient()) return y;
  y.set_recipe([kept = x.keep(), m](Executor& executor, Scalar* to) {
    B::silu_gate(executor, kept.open(executor)->data(), to, m, F2 / 2);
  });
  tape.record(y, [dx = x.slot(), kept = x.keep(), m](Tape<B>& back, Slot<B>& dy) {
    const auto seen = kept.open(back.executor);
    Slot<B> made(m * F2, back.pool().get());
    made.add([&](Scalar* to, bool) {
      backend::Gradients<B>::silu_gate(back.executor, seen->data(), dy.data(), to, m, F2 / 2);
    });
    back.pass_on(made, *dx);
  });
  return y;
}

}  // namespace vitals::inline v0::ops
