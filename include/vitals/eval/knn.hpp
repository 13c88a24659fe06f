// The weighted kNN of DINO and DINOv2 (Wu et al., "Unsupervised feature learning via non-parametric instance
// discrimination", CVPR 2018): neighbours vote for their labels with the weight softmax(cosine / T), T = 0.07.
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

/// The temperature of DINOv2's evaluation.
inline constexpr double knn_temperature = 0.07;

/// Scores (m, K): the softmax runs over the first `largest` neighbours, then the weights of the first k are summed by
/// label and not made to sum to 1 again (DINOv2's way: the scores for k depend on the largest k asked for).
/// `labels` (n, K) 0 or 1 of the searched items. Throws ArgumentError (k is 0 or above largest, largest above what the
/// neighbours hold, temperature not above 0), ShapeError.
Tensor<double, dyn, dyn> weighted_knn_scores(const Neighbours& of_queries,
                                             TensorView<const std::uint8_t, dyn, dyn> labels, std::size_t k,
                                             std::size_t largest, double temperature = knn_temperature);

/// DINOv2's kNN on the CLS token of the last block: searched are train + val, scores of the split test, for each k; the
/// softmax runs over the largest k asked for. Names: "dinov2 k=10". Throws as mlknn().
std::vector<Prediction> weighted_knn(const FeatureSet& features, const KnnOptions& options = {});

}  // namespace vitals::inline v0::eval

#if VITALS_HEADER_ONLY
#include <vitals/eval/knn.ipp>
#endif
