// Multi-head self-attention on the CPU: softmax(Q K^T / sqrt(d)) V, a panel of queries of one head at a time, streamed over
// the keys, so that scores live in a core's cache and no N x N matrix is ever built.
#pragma once

#include <cstddef>

#include <vitals/backend/cpu/kernels.hpp>
#include <vitals/core/config.hpp>
#include <vitals/core/parallel.hpp>

namespace vitals::inline v0::backend::cpu {

/// qkv (B, N, 3, H, d) as a fused projection gives it, out (B, Q, H, d): the first Q <= N tokens ask, all N are asked.
/// probabilities, where not null, (B, H, Q, N): the softmax itself, for those who want to look at it.
/// T: float, double, bfloat16 (products of rounded numbers; sums and softmax in float32), or std::int8_t: where the processor
/// has VNNI, queries and keys are quantised token by token, values channel by channel (quantize.hpp) and weights dithered to
/// steps of 1/255 of the largest (attention_int8_body.inc), sums of products are exact and softmax is float32; elsewhere it is float's.
template <class T>
void attention(Executor& executor, const Wide<T>* qkv, std::size_t batch, std::size_t tokens, std::size_t heads,
               std::size_t head_dim, std::size_t queries, Wide<T>* out, Wide<T>* probabilities = nullptr);

}  // namespace vitals::inline v0::backend::cpu

#if VITALS_HEADER_ONLY
#include <vitals/backend/cpu/attention.ipp>
#endif
