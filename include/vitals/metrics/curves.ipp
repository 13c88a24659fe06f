// Implementation of curves.hpp.
#pragma once

#include <limits>

#include <vitals/metrics/curves.hpp>
#include <vitals/metrics/ranking.hpp>

namespace vitals::inline v0::metrics {

namespace detail {

struct CurveTotals {
  std::vector<Ranking::Group> groups;
  std::uint64_t positives = 0, negatives = 0;
};

inline CurveTotals curve_totals(const Ranking& ranking) {
  CurveTotals totals{ranking.groups()};
  for (const auto& g : totals.groups) totals.positives += g.positives, totals.negatives += g.negatives;
  return totals;
}

inline double share(std::uint64_t part, std::uint64_t whole) {
  return static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace detail

VITALS_INLINE Curve roc_curve(std::span<const std::uint8_t> targets, std::span<const double> scores,
                              bool corners_only) {
  const Ranking ranking(targets, scores);
  if (const auto value = ranking.values().auroc; !value) return {{}, value.undefined};
  const auto totals = detail::curve_totals(ranking);
  Curve curve{{{0, 0, std::numeric_limits<double>::infinity()}}, {}};
  std::uint64_t tp = 0, fp = 0;
  for (std::size_t g = 0; g < totals.groups.size(); ++g) {
    const auto& here = totals.groups[g];
    tp += here.positives;
    fp += here.negatives;
    if (corners_only && g + 1 < totals.groups.size()) {
      const auto& next = totals.groups[g + 1];  // the steps here and next point the same way: no corner between them
      if (here.positives * next.negatives == next.positives * here.negatives) continue;
    }
    curve.points.push_back({detail::share(fp, totals.negatives), detail::share(tp, totals.positives), here.score});
  }
  return curve;
}

VITALS_INLINE Curve precision_recall_curve(std::span<const std::uint8_t> targets, std::span<const double> scores) {
  const Ranking ranking(targets, scores);
  if (const auto value = ranking.values().average_precision; !value) return {{}, value.undefined};
  const auto totals = detail::curve_totals(ranking);
  Curve curve{{{0, 1, std::numeric_limits<double>::infinity()}}, {}};
  std::uint64_t tp = 0, fp = 0;
  for (const auto& group : totals.groups) {
    tp += group.positives;
    fp += group.negatives;
    curve.points.push_back({detail::share(tp, totals.positives), detail::share(tp, tp + fp), group.score});
  }
  return curve;
}

VITALS_INLINE Youden youden(std::span<const std::uint8_t> targets, std::span<const double> scores) {
  const Ranking ranking(targets, scores);
  if (const auto value = ranking.values().auroc; !value) return {value, value};
  const auto totals = detail::curve_totals(ranking);
  // J * positives * negatives, in whole numbers, so that equal J are equal.
  std::int64_t best = 0, tp = 0, fp = 0;
  const auto positives = static_cast<std::int64_t>(totals.positives);
  const auto negatives = static_cast<std::int64_t>(totals.negatives);
  double threshold = std::numeric_limits<double>::infinity();
  for (const auto& group : totals.groups) {
    tp += static_cast<std::int64_t>(group.positives);
    fp += static_cast<std::int64_t>(group.negatives);
    const std::int64_t here = tp * negatives - fp * positives;
    if (here > best) best = here, threshold = group.score;
  }
  return {static_cast<double>(best) / (static_cast<double>(positives) * static_cast<double>(negatives)), threshold};
}

}  // namespace vitals::inline v0::metrics
