// Self-attention on a tape: softmax(Q K^T / sqrt(d)) V for each head. Kept is qkv; probabilities are computed again, a block
// of rows of one head at a time (backend/cpu/attention_backward.hpp has the formulas).
#pragma once

#include <cstddef>
#include <vector>

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
    typename B::Buffer padded;  // tokens that did not ask have an output gradient of zero
    if (queries < tokens) {
      constexpr std::size_t D = D3 / 3;
      padded = typename B::Buffer(batch * tokens * D);
      const std::vector<float> zeros(batch * tokens * D, 0.0f);
      B::upload(zeros.data(), zeros.size(), padded.data());
      for (std::size_t b = 0; b < batch; ++b)
        B::copy(dy.data() + b * queries * D, queries * D, padded.data() + b * tokens * D);
    }
    made.add([&](Scalar* to, bool) {
      backend::Gradients<B>::attention(back.executor, seen->data(), queries < tokens ? padded.data() : dy.data(), batch,
                                       tokens, Heads, head_dim, to);
    });
    back.pass_on(made, *dx);
  });
  return y;
}

}  // namespace vitals::inline v0::ops
