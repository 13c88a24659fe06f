// Implementation of mlknn.hpp.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include <vitals/core/error.hpp>
#include <vitals/eval/mlknn.hpp>

namespace vitals::inline v0::eval {

namespace detail {

// How many of the first k neighbours in row r carry each label, added to votes (K), which is zero.
inline void count_votes(const Neighbours& of, std::size_t r, std::size_t k,
                        TensorView<const std::uint8_t, dyn, dyn> labels, std::vector<std::size_t>& votes) {
  std::fill(votes.begin(), votes.end(), std::size_t{0});
  for (std::size_t j = 0; j < k; ++j)
    for (std::size_t l = 0; l < votes.size(); ++l) votes[l] += labels(of.index(r, j), l) != 0;
}

}  // namespace detail

VITALS_INLINE Tensor<double, dyn, dyn> mlknn_scores(const Neighbours& of_train,
                                                    TensorView<const std::uint8_t, dyn, dyn> labels,
                                                    const Neighbours& of_queries, std::size_t k) {
  constexpr double s = 1;
  const std::size_t n = labels.extent(0), classes = labels.extent(1), m = of_queries.index.extent(0);
  if (of_train.index.extent(0) != n)
    throw ShapeError("[mlknn] neighbours of " + std::to_string(of_train.index.extent(0)) +
                     " training items, labels of " + std::to_string(n));
  detail::check_neighbours(of_train, k, n, "mlknn");
  detail::check_neighbours(of_queries, k, n, "mlknn");

  Tensor<double, dyn, dyn, dyn> count({2, classes, k + 1});  // [y_il][l][d]
  std::vector<double> positives(classes), totals[2] = {std::vector<double>(classes), std::vector<double>(classes)};
  std::vector<std::size_t> votes(classes);
  for (std::size_t i = 0; i < n; ++i) {
    detail::count_votes(of_train, i, k, labels, votes);
    for (std::size_t l = 0; l < classes; ++l) {
      const std::size_t y = labels(i, l) != 0;
      count(y, l, votes[l]) += 1;
      totals[y][l] += 1;
    }
  }
  Tensor<double, dyn, dyn> scores({m, classes});
  for (std::size_t r = 0; r < m; ++r) {
    detail::count_votes(of_queries, r, k, labels, votes);
    for (std::size_t l = 0; l < classes; ++l) {
      const double prior = (s + totals[1][l]) / (2 * s + static_cast<double>(n));
      const double with = prior * (s + count(1, l, votes[l])) / (s * static_cast<double>(k + 1) + totals[1][l]);
      const double without =
          (1 - prior) * (s + count(0, l, votes[l])) / (s * static_cast<double>(k + 1) + totals[0][l]);
      scores(r, l) = with / (with + without);
    }
  }
  return scores;
}

VITALS_INLINE std::vector<Prediction> mlknn(const FeatureSet& features, const KnnOptions& options) {
  const auto data = detail::knn_data(features, options, "mlknn");
  const NeighbourOptions search{options.progress, options.executor};
  const auto of_train = neighbours(data.train_cls, data.train_cls, data.largest, search);
  const auto of_test = neighbours(data.train_cls, data.test_cls, data.largest, search);
  const auto labels = features.dataset.targets(data.train);
  std::vector<Prediction> predictions;
  for (std::size_t k : options.k)
    predictions.push_back({"mlknn k=" + std::to_string(k), data.test, mlknn_scores(of_train, labels, of_test, k)});
  return predictions;
}

}  // namespace vitals::inline v0::eval
