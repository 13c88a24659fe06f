// ROC and precision-recall curves for plots, and Youden's threshold.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <vitals/core/config.hpp>
#include <vitals/metrics/score.hpp>

namespace vitals::inline v0::metrics {

/// A point of a curve: what holds when score >= threshold counts as positive.
struct CurvePoint {
  double x = 0, y = 0, threshold = 0;
};

/// Points from the highest threshold to the lowest; none, with the reason, where the curve is undefined.
struct Curve {
  std::vector<CurvePoint> points;
  std::string undefined;  ///< empty where there are points
};

/// x = false positive rate, y = sensitivity; from (0, 0, infinity) to (1, 1, lowest score), one point for each distinct
/// score. With `corners_only`, points on a straight line between their neighbours are left out: the same polygon, far
/// fewer points to draw. Undefined and throws as auroc().
Curve roc_curve(std::span<const std::uint8_t> targets, std::span<const double> scores, bool corners_only = false);

/// x = recall, y = precision; from (0, 1, infinity) on, one point for each distinct score; to be drawn as steps (between
/// points precision is not linear). Undefined and throws as average_precision().
Curve precision_recall_curve(std::span<const std::uint8_t> targets, std::span<const double> scores);

/// Youden's J = sensitivity + specificity - 1 at its maximum over the distinct scores and infinity (nothing positive) as
/// thresholds; of several thresholds with the same J the highest (Youden, Cancer 3, 1950).
struct Youden {
  Score j, threshold;
};
/// Undefined and throws as auroc().
Youden youden(std::span<const std::uint8_t> targets, std::span<const double> scores);

}  // namespace vitals::inline v0::metrics

#if VITALS_HEADER_ONLY
#include <vitals/metrics/curves.ipp>
#endif
