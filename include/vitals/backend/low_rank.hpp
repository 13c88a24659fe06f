// A part of low rank beside a product, as the numbers that a backend takes: what a product of Gradients<B> computes on its way,
// while its rows are at hand anyway.
#pragma once

#include <cstddef>

namespace vitals::inline v0::backend {

/// Beside y (m, out) = x (m, in) W^T: u (m, rank) = x A^T is made and handed out, and y += scale * (u B^T). A (rank, in) and
/// B (out, rank) are row-major, or, `transposed`, A^T (in, rank) and B^T (rank, out) are. scale (out) may be null, which is 1.
template <class Scalar>
struct LowRankPart {
  std::size_t rank = 0;
  const Scalar* a = nullptr;
  const Scalar* b = nullptr;
  const Scalar* scale = nullptr;
  Scalar* u = nullptr;
  bool transposed = false;
};

}  // namespace vitals::inline v0::backend
