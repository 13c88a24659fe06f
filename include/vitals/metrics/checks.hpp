// What every metric demands of its input, and the words for what does not fit. Internal to the room.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <vitals/core/error.hpp>
#include <vitals/core/tensor.hpp>
#include <vitals/metrics/score.hpp>

namespace vitals::inline v0::metrics {

using Targets = TensorView<const std::uint8_t, dyn, dyn>;  ///< (n, K): 1 where the item has the class, else 0
using Scores = TensorView<const double, dyn, dyn>;         ///< (n, K): higher means more of the class

namespace detail {

inline void check_binary(std::span<const std::uint8_t> targets, std::span<const double> scores) {
  if (targets.size() != scores.size())
    throw ShapeError(
        "[metrics] " + std::to_string(targets.size()) + " targets and " + std::to_string(scores.size()) + " scores", "",
        "give one score for each target");
  const auto bad = std::find_if(targets.begin(), targets.end(), [](std::uint8_t t) { return t > 1; });
  if (bad != targets.end())
    throw DataError("[metrics] target " + std::to_string(int{*bad}), "row " + std::to_string(bad - targets.begin()),
                    "targets are 0 or 1");
}

inline void check_matrix(Targets targets, Scores scores) {
  if (targets.shape() != scores.shape())
    throw ShapeError("[metrics] targets " + to_string(targets.shape()) + " and scores " + to_string(scores.shape()), "",
                     "both are (items, classes)");
  if (targets.extent(1) == 0) throw ShapeError("[metrics] no classes, shape " + to_string(targets.shape()));
  const auto bad = std::find_if(targets.begin(), targets.end(), [](std::uint8_t t) { return t > 1; });
  if (bad != targets.end()) {
    const auto at = static_cast<std::size_t>(bad - targets.begin());
    throw DataError(
        "[metrics] target " + std::to_string(int{*bad}),
        "row " + std::to_string(at / targets.extent(1)) + " class " + std::to_string(at % targets.extent(1)),
        "targets are 0 or 1");
  }
}

/// Throws DataError where a row has not exactly one 1. Binary and multiclass targets need it.
inline void check_one_hot(Targets targets) {
  for (std::size_t i = 0; i < targets.extent(0); ++i) {
    const auto ones = std::count(targets[i].begin(), targets[i].end(), std::uint8_t{1});
    if (ones != 1)
      throw DataError("[metrics] " + std::to_string(ones) + " classes are 1", "row " + std::to_string(i),
                      "one class an item, or say that the task is multilabel");
  }
}

template <class T>
std::vector<T> column(TensorView<const T, dyn, dyn> matrix, std::size_t k) {
  std::vector<T> values(matrix.extent(0));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = matrix(i, k);
  return values;
}

inline bool any_nan(std::span<const double> scores) {
  return std::any_of(scores.begin(), scores.end(), [](double s) { return std::isnan(s); });
}

/// False also for NaN.
inline bool is_probability(double p) { return p >= 0 && p <= 1; }

/// Why scores are no probabilities, or "".
inline std::string not_probabilities(std::span<const double> scores) {
  if (any_nan(scores)) return std::string(nan_score);
  return std::all_of(scores.begin(), scores.end(), is_probability) ? "" : "score outside 0..1";
}

inline void check_alpha(double alpha) {
  if (!(alpha > 0 && alpha < 1))
    throw ArgumentError("[metrics] alpha " + std::to_string(alpha), "", "give 0 < alpha < 1; 0.05 for 95 % intervals");
}

inline Score quotient(std::uint64_t part, std::uint64_t whole, const char* why) {
  return whole ? Score(static_cast<double>(part) / static_cast<double>(whole)) : Score::none(why);
}

inline double square(double x) { return x * x; }

}  // namespace detail

}  // namespace vitals::inline v0::metrics
