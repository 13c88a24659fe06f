// DeLong's variance of an AUROC, its interval, and the test whether two models' AUROCs on the same items differ
// (DeLong, DeLong & Clarke-Pearson, Biometrics 44, 1988), in O(n log n) (Sun & Xu, IEEE Signal Processing Letters 21,
// 2014). Items are taken as independent; with several images of a patient use the bootstrap by patient instead.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include <vitals/core/config.hpp>
#include <vitals/metrics/score.hpp>

namespace vitals::inline v0::metrics {

struct DeLong {
  Score auroc, variance;
  std::optional<Interval> ci;  ///< auroc -+ z sqrt(variance), cut to [0, 1]; none where the variance is undefined
};

/// targets (n) 0 or 1, scores (n); 1 - alpha is the interval's level. The variance needs two items of each label, else
/// it is undefined; perfect order has variance 0 and the interval is a point. AUROC undefined as auroc().
/// Throws as auroc(), ArgumentError for alpha outside (0, 1).
DeLong delong(std::span<const std::uint8_t> targets, std::span<const double> scores, double alpha = 0.05);

struct DeLongPaired {
  std::array<Score, 2> auroc{Score::none("not computed"), Score::none("not computed")};
  std::array<std::array<double, 2>, 2> covariance{};  ///< of the two AUROCs; 0 where `sd` is undefined
  Score difference = Score::none("not computed");     ///< first - second
  Score sd = Score::none("not computed");             ///< of the difference
  Score z = Score::none("not computed");              ///< difference / sd
  Score p = Score::none("not computed");              ///< two-sided, from the normal distribution
  std::optional<Interval> ci;                         ///< of the difference
};

/// Two models on the same items. targets (n), scores (n) of each. Where both models order the items alike the
/// difference has no variance, and z and p are undefined. Throws as delong().
DeLongPaired delong_paired(std::span<const std::uint8_t> targets, std::span<const double> first,
                           std::span<const double> second, double alpha = 0.05);

/// z with P(Z > z) = q for a standard normal Z; 0 < q <= 0.5, else ArgumentError. upper_quantile(0.025) = 1.95996...
double upper_quantile(double q);

}  // namespace vitals::inline v0::metrics

#if VITALS_HEADER_ONLY
#include <vitals/metrics/delong.ipp>
#endif
