// What every training does with its place: keep the best values that val has seen, and the mean loss in between. Internal to
// trainings (train::train, eval::segment).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include <vitals/train/checkpoint.hpp>
#include <vitals/train/trainable.hpp>

namespace vitals::inline v0::train::detail {

/// The largest score so far; minus infinity where there is none.
inline double best_score(const Position& at) {
  double best = -std::numeric_limits<double>::infinity();
  for (const auto& e : at.evaluations) best = std::max(best, e.score);
  return best;
}

/// Adds an evaluation at this step with the mean loss since the one before; the first, and one with a score above all before, keeps
/// the values of the rows.
inline void add_evaluation(Position& at, double score, const std::vector<TrainableRow>& rows) {
  const bool better = at.best_step == 0 || score > best_score(at);
  at.evaluations.push_back(
      {at.step, score, at.loss_sum / static_cast<double>(std::max<std::uint64_t>(1, at.loss_count))});
  at.loss_sum = 0;
  at.loss_count = 0;
  if (!better) return;
  at.best_step = at.step;
  at.best.resize(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    at.best[i].resize(rows[i].size());
    rows[i].read(at.best[i]);
  }
}

/// The mean loss since the last evaluation, or up to it where no step came after; 0 where no step was made.
inline double last_loss(const Position& at) {
  if (at.loss_count) return at.loss_sum / static_cast<double>(at.loss_count);
  return at.evaluations.empty() ? 0 : at.evaluations.back().loss;
}

/// The upper median; 0 of nothing.
inline double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace vitals::inline v0::train::detail
