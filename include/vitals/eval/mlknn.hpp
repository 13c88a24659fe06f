// MLkNN (Zhang and Zhou, "ML-KNN: a lazy learning approach to multi-label learning", Pattern Recognition 40, 2007): for
// each class the number of neighbours that carry it is evidence, weighed by Bayes' rule with counts from the training
// set. Smoothing s = 1; as in the radiology study a training item counts among its own neighbours.
//
//   p1(l)    = (s + sum_i y_il) / (2 s + n)
//   P(d | 1) = (s + c[l][d]) / (s (k + 1) + sum c[l])      c[l][d]: training items with label l, d of whose k
//   P(d | 0) likewise from the items without label l                neighbours carry it
//   score    = p1 P(d|1) / (p1 P(d|1) + (1 - p1) P(d|0))
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <vitals/core/config.hpp>
#include <vitals/core/tensor.hpp>
#include <vitals/eval/features.hpp>
#include <vitals/eval/knn_data.hpp>
#include <vitals/eval/neighbours.hpp>
#include <vitals/eval/prediction.hpp>

namespace vitals::inline v0::eval {

/// Scores (m, K) of queries. `of_train`: neighbours (n, >= k) of the training items among themselves, each counting
/// itself; `of_queries`: neighbours (m, >= k) of the queries among the training items; `labels` (n, K) 0 or 1.
/// Throws ArgumentError (k is 0 or above what the neighbours hold), ShapeError.
Tensor<double, dyn, dyn> mlknn_scores(const Neighbours& of_train, TensorView<const std::uint8_t, dyn, dyn> labels,
                                      const Neighbours& of_queries, std::size_t k);

/// MLkNN on the CLS token of the last block: trained on train + val, scores of the split test, for each k. One label an
/// image is seen as K labels of which one is set. Names: "mlknn k=10".
/// Throws ArgumentError (a k of 0 or above the training set, a test item to train on), DataError (no training or no test
/// image, a feature that is not finite: names the image).
std::vector<Prediction> mlknn(const FeatureSet& features, const KnnOptions& options = {});

}  // namespace vitals::inline v0::eval

#if VITALS_HEADER_ONLY
#include <vitals/eval/mlknn.ipp>
#endif
