// Implementation of delong.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include <vitals/metrics/auroc.hpp>
#include <vitals/metrics/checks.hpp>
#include <vitals/metrics/delong.hpp>

namespace vitals::inline v0::metrics {

namespace detail {

// The structural components: for each positive item the share of negatives it beats, for each negative item the share
// of positives that beat it, ties one half; both in the order of the items, each with mean AUROC.
struct Placements {
  std::vector<double> of_positives, of_negatives;
};

inline Placements placements(std::span<const std::uint8_t> targets, std::span<const double> scores) {
  std::vector<std::size_t> order(targets.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return scores[a] < scores[b]; });
  const double positives = static_cast<double>(std::count(targets.begin(), targets.end(), std::uint8_t{1}));
  const double negatives = static_cast<double>(targets.size()) - positives;
  std::vector<double> value(targets.size());
  double positives_below = 0, negatives_below = 0;
  for (std::size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    double p = 0, q = 0;
    for (; end < order.size() && scores[order[end]] == scores[order[begin]]; ++end) ++(targets[order[end]] ? p : q);
    for (std::size_t j = begin; j < end; ++j)
      value[order[j]] =
          targets[order[j]] ? (negatives_below + q / 2) / negatives : (positives - positives_below - p / 2) / positives;
    positives_below += p;
    negatives_below += q;
  }
  Placements result;
  for (std::size_t i = 0; i < targets.size(); ++i)
    (targets[i] ? result.of_positives : result.of_negatives).push_back(value[i]);
  return result;
}

// Sample covariance with n - 1.
inline double covariance(const std::vector<double>& a, const std::vector<double>& b) {
  const double n = static_cast<double>(a.size());
  const double mean_a = std::accumulate(a.begin(), a.end(), 0.0) / n;
  const double mean_b = std::accumulate(b.begin(), b.end(), 0.0) / n;
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - mean_a) * (b[i] - mean_b);
  return sum / (n - 1);
}

inline double delong_covariance(const Placements& a, const Placements& b) {
  return covariance(a.of_positives, b.of_positives) / static_cast<double>(a.of_positives.size()) +
         covariance(a.of_negatives, b.of_negatives) / static_cast<double>(a.of_negatives.size());
}

inline bool has_two_of_each(std::span<const std::uint8_t> targets) {
  const auto positives = std::count(targets.begin(), targets.end(), std::uint8_t{1});
  return positives >= 2 && static_cast<std::ptrdiff_t>(targets.size()) - positives >= 2;
}

inline const char* const too_few_for_delong = "fewer than two positive or negative items";

}  // namespace detail

// Newton's method from 0: the upper tail is convex there, so every step falls short of the root and none overshoots.
VITALS_INLINE double upper_quantile(double q) {
  if (!(q > 0 && q <= 0.5)) throw ArgumentError("[upper_quantile] q " + std::to_string(q), "", "give 0 < q <= 0.5");
  constexpr double sqrt_half = 0.70710678118654752440, sqrt_2_pi = 2.5066282746310005024;
  double z = 0;
  for (int step = 0; step < 2000; ++step) {
    const double move = (0.5 * std::erfc(z * sqrt_half) - q) * sqrt_2_pi * std::exp(z * z / 2);
    z += move;
    if (std::abs(move) <= 1e-16 * z) break;
  }
  return z;
}

VITALS_INLINE DeLong delong(std::span<const std::uint8_t> targets, std::span<const double> scores, double alpha) {
  detail::check_alpha(alpha);
  DeLong result{auroc(targets, scores), Score::none(detail::too_few_for_delong), {}};
  if (!result.auroc) result.variance = result.auroc;
  if (!result.auroc || !detail::has_two_of_each(targets)) return result;
  const auto own = detail::placements(targets, scores);
  const double variance = detail::delong_covariance(own, own), area = *result.auroc.value;
  const double half = upper_quantile(alpha / 2) * std::sqrt(variance);
  result.variance = variance;
  result.ci = Interval{std::max(0.0, area - half), std::min(1.0, area + half)};
  return result;
}

VITALS_INLINE DeLongPaired delong_paired(std::span<const std::uint8_t> targets, std::span<const double> first,
                                         std::span<const double> second, double alpha) {
  detail::check_alpha(alpha);
  DeLongPaired result;
  result.auroc = {auroc(targets, first), auroc(targets, second)};
  for (const auto& area : result.auroc)
    if (!area) {
      result.difference = result.sd = result.z = result.p = area;
      return result;
    }
  const double difference = *result.auroc[0].value - *result.auroc[1].value;
  result.difference = difference;
  if (!detail::has_two_of_each(targets)) {
    result.sd = result.z = result.p = Score::none(detail::too_few_for_delong);
    return result;
  }
  const std::array<detail::Placements, 2> both{detail::placements(targets, first), detail::placements(targets, second)};
  for (std::size_t a = 0; a < 2; ++a)
    for (std::size_t b = 0; b < 2; ++b) result.covariance[a][b] = detail::delong_covariance(both[a], both[b]);
  // The variance of the difference from the differences of the placements: nothing cancels, so equal orders give 0.
  detail::Placements change = both[0];
  for (std::size_t i = 0; i < change.of_positives.size(); ++i) change.of_positives[i] -= both[1].of_positives[i];
  for (std::size_t i = 0; i < change.of_negatives.size(); ++i) change.of_negatives[i] -= both[1].of_negatives[i];
  const double sd = std::sqrt(detail::delong_covariance(change, change));
  result.sd = sd;
  const double half = upper_quantile(alpha / 2) * sd;
  result.ci = Interval{std::max(-1.0, difference - half), std::min(1.0, difference + half)};
  if (sd == 0) {
    result.z = result.p = Score::none("the difference has no variance");
    return result;
  }
  const double z = difference / sd;
  result.z = z;
  result.p = std::erfc(std::abs(z) / std::sqrt(2.0));
  return result;
}

}  // namespace vitals::inline v0::metrics
