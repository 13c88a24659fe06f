// The backward pass of multi-head self-attention on the CPU. Probabilities are computed again from qkv, a block of query
// rows of one head at a time, so that everything lives in a core's cache and no N x N matrix of all heads is ever built.
#pragma once

#include <cstddef>

#include <vitals/backend/cpu/kernels.hpp>
#include <vitals/core/config.hpp>
#include <vitals/core/parallel.hpp>

namespace vitals::inline v0::backend::cpu {

/// qkv, dqkv (B, N, 3, H, d); dout (B, N, H, d). With P = softmax(Q K^T / sqrt(d)): dV = P^T dO, dP = dO V^T,
/// dS = P (dP - rowsum(P dP)) / sqrt(d), dQ = dS K, dK = dS^T Q. All of dqkv is written. A head is one task.
/// Memory of a thread: about N (5 d + 2 rows of a block) numbers as the products hold them, and with bfloat16 the scores of
/// one tile. The structure is that of Dao, "FlashAttention-2", arXiv 2307.08691, algorithm 2, with whole rows of scores.
template <class T>
void attention_backward(Executor& executor, const Wide<T>* qkv, const Wide<T>* dout, std::size_t batch,
                        std::size_t tokens, std::size_t heads, std::size_t head_dim, Wide<T>* dqkv);

}  // namespace vitals::inline v0::backend::cpu

#if VITALS_HEADER_ONLY
#include <vitals/backend/cpu/attention_backward.ipp>
#endif
