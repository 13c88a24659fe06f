// Are probabilities honest? Brier score and expected calibration error (ECE).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <vitals/core/config.hpp>
#include <vitals/metrics/checks.hpp>
#include <vitals/metrics/score.hpp>

namespace vitals::inline v0::metrics {

/// Binary Brier score: mean of (p - y)^2, 0 (best) to 1. targets (n) 0 or 1; scores (n) probabilities of the positive.
/// Undefined: "no items", "score is NaN", "score outside 0..1". Throws ShapeError, DataError as auroc().
Score brier(std::span<const std::uint8_t> targets, std::span<const double> scores);

/// Brier score of several classes, as Brier (1950) defined it: mean over items of the sum over classes, 0 to 2.
/// targets (n, K) one-hot, scores (n, K) probabilities. Undefined as above; throws also DataError where a row has not
/// exactly one class.
Score brier_multiclass(Targets targets, Scores scores);

/// Binary expected calibration error (Naeini et al., AAAI 2015): equal bins [a, b), the last one closed (a score of
/// exactly 1 is in it); sum of share of the bin * |mean confidence - share of hits|, where confidence = score and
/// hit = target. targets, scores (n); undefined and throws as brier(). ArgumentError for 0 bins.
Score ece(std::span<const std::uint8_t> targets, std::span<const double> scores, std::size_t bins = 15);

/// ECE of several classes: confidence = highest score, hit = argmax is right (Guo et al., ICML 2017).
/// targets (n, K) one-hot, scores (n, K); undefined and throws as brier_multiclass().
Score ece_multiclass(Targets targets, Scores scores, std::size_t bins = 15);

/// The bins behind the ECE, for a reliability diagram; grows item by item.
class Calibration {
 public:
  struct Bin {
    std::uint64_t items = 0, hits = 0;
    double confidence_sum = 0;
  };
  /// Throws ArgumentError for 0 bins.
  explicit Calibration(std::size_t bins = 15);
  /// Throws DataError for a confidence outside 0..1 or NaN.
  void add(double confidence, bool hit);
  const std::vector<Bin>& bins() const { return bins_; }
  /// None: "no items".
  Score ece() const;
  /// The bin of a confidence in 0..1: floor(confidence * bins), 1 in the last.
  static std::size_t bin_of(double confidence, std::size_t bins);

 private:
  std::vector<Bin> bins_;
};

}  // namespace vitals::inline v0::metrics

#if VITALS_HEADER_ONLY
#include <vitals/metrics/calibration.ipp>
#endif
