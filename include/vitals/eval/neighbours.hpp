// Exact nearest neighbours by cosine similarity: the ground under kNN and MLkNN.
//
// A matrix product finds the candidates: every item whose similarity may, within the proven rounding error of that
// product, be among the k largest. The candidates are then measured again in double, so the result does not depend on
// the processor, the kernel, the precision of the product or the number of threads. Where the processor multiplies
// bfloat16 the product is made of these, as long as they leave few candidates; else of float32.
#pragma once

#include <cstddef>
#include <cstdint>

#include <vitals/core/config.hpp>
#include <vitals/core/parallel.hpp>
#include <vitals/core/progress.hpp>
#include <vitals/core/tensor.hpp>

namespace vitals::inline v0::eval {

/// The nearest items of each query, most similar first; equally similar ones by ascending number.
struct Neighbours {
  Tensor<std::uint32_t, dyn, dyn> index;  ///< (m, k) rows of the searched matrix
  Tensor<double, dyn, dyn> cosine;        ///< (m, k) cosine similarity, in [-1, 1] up to rounding
};

struct NeighbourOptions {
  Progress progress = {};        ///< stage "neighbours", in queries
  Executor* executor = nullptr;  ///< nullptr: default_pool()
};

/// The k rows of `train` (n, D) that are most similar to each row of `queries` (m, D). Rows need not be normalised; a
/// row of zeros has similarity 0 to everything. Time: one product m x n x D; memory: a packed copy of `train` (half of it in
/// bfloat16), what is found, and some MiB a thread.
/// Throws ArgumentError (k is 0 or above n), ShapeError (different D, n above 2^32), DataError (a number that is not
/// finite: names the matrix and the row).
Neighbours neighbours(TensorView<const float, dyn, dyn> train, TensorView<const float, dyn, dyn> queries, std::size_t k,
                      const NeighbourOptions& options = {});

}  // namespace vitals::inline v0::eval

#if VITALS_HEADER_ONLY
#include <vitals/eval/neighbours.ipp>
#endif
