// Self-attention on a tape: softmax(Q K^T / sqrt(d)) V for each head. Kept is qkv; probabilities are computed again, a block
// of rows of one head at a time (backend/cpu/attention_backward.hpp has the formulas).
#pragma once

#include <cstddef>

#include <vitals/autograd/recording.hpp>

namespace vitals::inline v0::ops {

template <std::size_t Heads, class B, std::size_t D3>
Variable<B, dyn, dyn, D3 / 3> attention(Tape<B>& tape, const Variable<B, dyn, dyn, D3>& qkv, std::size_t queries) {
  using Scalar = typename B::Scalar;
  constexpr std::size_t head_dim = D3 / 3 / Heads;
  const std::size_t batch = qkv.extent(0), tokens = qkv.extent(1);
  auto y = tape.template make<dyn, dyn, D3 / 3>({batch, queries, D3 / 3});
  B::attention(tape.executor, qkv.data(), batch, tokens, Heads, head_dim, queries, y.data(), nullptr);
  if (!qkv.needs_gradient()) return y;
  tape.record(y, [dx = qkv.slot(), kept = qkv.keep(), batch, tokens, queries](Tape<B>& back, Slot<B>& dy) {
    const auto seen = kept.open(back.executor);
    Slot<B> made(batch * tokens * D3, back.pool().get());
    made.add([&](Scalar* to, bool) {
      using G = backend::Gradients<B>;
      if (queries == tokens)
        G::attention(back.executor, seen->data(), dy.data(), batch, tokens, Heads, head_dim, to);
      else
        G::attention_first_backward(back.executor, seen->data(), dy.data(), batch, tokens, Heads, head_dim, queries,
                                    to);
    });
    back.pass_on(made, *dx);
  });
  return y;
}

}  // namespace vitals::inline v0::ops
