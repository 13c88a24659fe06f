// Implementation of knn.hpp.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include <vitals/core/error.hpp>
#include <vitals/eval/knn.hpp>

namespace vitals::inline v0::eval {

VITALS_INLINE Tensor<double, dyn, dyn> weighted_knn_scores(const Neighbours& of_queries,
                                                           TensorView<const std::uint8_t, dyn, dyn> labels,
                                                           std::size_t k, std::size_t largest, double temperature) {
  if (k == 0 || k > largest)
    throw ArgumentError("[dinov2 knn] k = " + std::to_string(k) + " of a softmax over " + std::to_string(largest));
  if (!(temperature > 0) || !std::isfinite(temperature))
    throw ArgumentError("[dinov2 knn] temperature " + std::to_string(temperature), "", "take a number above 0");
  detail::check_neighbours(of_queries, largest, labels.extent(0), "dinov2 knn");
  const std::size_t m = of_queries.index.extent(0), classes = labels.extent(1);
  Tensor<double, dyn, dyn> scores({m, classes});
  std::vector<double> weight(largest);
  for (std::size_t r = 0; r < m; ++r) {
    double sum = 0;  // the nearest comes first, so every exponent is at most 0
    for (std::size_t j = 0; j < largest; ++j)
      sum += weight[j] = std::exp((of_queries.cosine(r, j) - of_queries.cosine(r, 0)) / temperature);
    for (std::size_t j = 0; j < k; ++j)
      for (std::size_t l = 0; l < classes; ++l)
        if (labels(of_queries.index(r, j), l)) scores(r, l) += weight[j] / sum;
  }
  return scores;
}

VITALS_INLINE std::vector<Prediction> weighted_knn(const FeatureSet& features, const KnnOptions& options) {
  const auto data = detail::knn_data(features, options, "dinov2 knn");
  const auto of_test = neighbours(data.train_cls, data.test_cls, data.largest, {options.progress, options.executor});
  const auto labels = features.dataset.targets(data.train);
  std::vector<Prediction> predictions;
  for (std::size_t k : options.k)
    predictions.push_back(
        {"dinov2 k=" + std::to_string(k), data.test, weighted_knn_scores(of_test, labels, k, data.largest)});
  return predictions;
}

}  // namespace vitals::inline v0::eval
