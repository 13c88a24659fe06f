// Area under the ROC curve and average precision: how well scores order positives before negatives.
#pragma once

#include <cstdint>
#include <span>

#include <vitals/core/config.hpp>
#include <vitals/metrics/checks.hpp>
#include <vitals/metrics/score.hpp>

namespace vitals::inline v0::metrics {

/// Share of (positive, negative) pairs whose scores are in the right order; a tie counts one half (Mann-Whitney U over
/// the number of pairs = trapezoid over all distinct thresholds). Scores may be logits; infinities are ordered.
/// targets (n) 0 or 1, scores (n). Undefined: "no items", "score is NaN", "no positive item", "no negative item".
/// Throws ShapeError for different sizes, DataError for other targets.
Score auroc(std::span<const std::uint8_t> targets, std::span<const double> scores);

/// Each column against its own targets: labels of a multilabel task, or one class against the rest of a multiclass task
/// with one-hot targets. `macro` leaves undefined classes out; macro_study(result.per_class) is the study's variant,
/// which counts them as 0 ("paper mode"). targets, scores (n, K). Throws as auroc(), and ShapeError for K = 0.
PerClass auroc_per_class(Targets targets, Scores scores);

/// Sum over distinct scores from high to low of (recall step) * precision; equal scores enter together, nothing is
/// interpolated (scikit-learn's average_precision_score). 1 where all are positive.
/// Undefined: "no items", "score is NaN", "no positive item". Throws as auroc().
Score average_precision(std::span<const std::uint8_t> targets, std::span<const double> scores);

/// As auroc_per_class().
PerClass average_precision_per_class(Targets targets, Scores scores);

}  // namespace vitals::inline v0::metrics

#if VITALS_HEADER_ONLY
#include <vitals/metrics/auroc.ipp>
#endif
