// Implementation of auroc.hpp.
#pragma once

#include <vitals/metrics/auroc.hpp>
#include <vitals/metrics/ranking.hpp>

namespace vitals::inline v0::metrics {

namespace detail {

template <class Metric>
PerClass each_column(Targets targets, Scores scores, Metric metric) {
  check_matrix(targets, scores);
  PerClass result;
  for (std::size_t k = 0; k < targets.extent(1); ++k)
    result.per_class.push_back(metric(column(targets, k), column(scores, k)));
  result.macro = macro(result.per_class);
  return result;
}

}  // namespace detail

VITALS_INLINE Score auroc(std::span<const std::uint8_t> targets, std::span<const double> scores) {
  return Ranking(targets, scores).values().auroc;
}

VITALS_INLINE Score average_precision(std::span<const std::uint8_t> targets, std::span<const double> scores) {
  return Ranking(targets, scores).values().average_precision;
}

VITALS_INLINE PerClass auroc_per_class(Targets targets, Scores scores) {
  return detail::each_column(targets, scores, [](const auto& t, const auto& s) { return auroc(t, s); });
}

VITALS_INLINE PerClass average_precision_per_class(Targets targets, Scores scores) {
  return detail::each_column(targets, scores, [](const auto& t, const auto& s) { return average_precision(t, s); });
}

}  // namespace vitals::inline v0::metrics
