// Ranks of probabilities that are almost one. A sigmoid or softmax that is sure gives 1 - 1e-12 and 1 - 1e-15, which a
// file with nine digits, and soon a double too, cannot tell apart: the order of the logits is lost and AUROC with it.
// But what is missing to one stands in the other columns with all its digits. Internal to the room.
#pragma once

#include <cmath>
#include <cstddef>

#include <vitals/core/tensor.hpp>
#include <vitals/metrics/checks.hpp>
#include <vitals/metrics/task.hpp>

namespace vitals::inline v0::metrics::detail {

/// scores (n, K) for ranking. Where an item has one class and every row is made of probabilities that sum to one, a score
/// within 1e-6 of one becomes 1 - 6 - log10(sum of the others), which is above one and keeps the order; all other scores
/// stay as they are, ties too.
inline Tensor<double, dyn, dyn> ranking_scores(Scores scores, Task task) {
  Tensor<double, dyn, dyn> ranks(scores.shape(), scores.span());
  if (task == Task::multilabel) return ranks;
  const std::size_t n = scores.extent(0), classes = scores.extent(1);
  for (std::size_t i = 0; i < n; ++i) {
    double sum = 0;
    for (std::size_t k = 0; k < classes; ++k) {
      if (!is_probability(scores(i, k))) return ranks;
      sum += scores(i, k);
    }
    if (std::abs(sum - 1) > 1e-7) return ranks;
  }
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t k = 0; k < classes; ++k) {
      double rest = 0;
      for (std::size_t other = 0; other < classes; ++other) rest += other == k ? 0.0 : scores(i, other);
      if (rest < 1e-6) ranks(i, k) = -5.0 - std::log10(rest);  // infinite where the others are 0
    }
  return ranks;
}

}  // namespace vitals::inline v0::metrics::detail
