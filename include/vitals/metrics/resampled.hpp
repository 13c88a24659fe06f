// All classification metrics of a test set in which item i stands counts[i] times: one pass for each class, no sort.
// What evaluate() computes, once with all counts 1 and once for each bootstrap resample. Internal to the room.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <vitals/core/config.hpp>
#include <vitals/core/parallel.hpp>
#include <vitals/metrics/checks.hpp>
#include <vitals/metrics/confusion.hpp>
#include <vitals/metrics/ranking.hpp>
#include <vitals/metrics/score.hpp>
#include <vitals/metrics/task.hpp>

namespace vitals::inline v0::metrics::detail {

/// A metric in all (`macro`, whatever its mean is) and of each class: auroc, average_precision, accuracy,
/// balanced_accuracy, f1, sensitivity, specificity, precision, brier, ece.
using MetricValues = std::array<PerClass, 10>;

class ResampledMetrics {
 public:
  /// Inputs already checked by evaluate(). Sorts each class once, the classes in parallel.
  ResampledMetrics(Targets targets, Scores scores, Task task, double threshold, std::size_t ece_bins, bool paper_mode,
                   Executor& executor);

  /// counts (n). `full`: the values of the test set itself, whose defined classes the macro means of a resample are
  /// over (one of them undefined in the resample: no mean); nullptr for the test set itself.
  MetricValues values(std::span<const std::uint32_t> counts, const MetricValues* full) const;

 private:
  /// Items by what became of them; those that are not listed are true negatives.
  struct Outcomes {
    std::string undefined;  // why there are no predictions
    std::vector<std::uint32_t> true_positive, false_positive, false_negative;
  };
  /// Brier and ECE of one question, item by item.
  struct Honesty {
    std::string undefined;
    std::vector<double> squares;       // (n) in the order of the items
    std::vector<std::uint32_t> order;  // items by bin
    std::vector<double> gaps;          // confidence - hit, in that order
    std::vector<std::size_t> ends;     // of each bin
  };

  void prepare_outcomes(Targets targets, Scores scores, double threshold);
  void prepare_honesty(Targets targets, Scores scores, std::size_t bins);
  Score mean(const std::vector<Score>& per_class, const PerClass* full) const;

  Task task_;
  bool paper_mode_;
  std::size_t n_;
  std::vector<Ranking> rankings_;   // (K)
  std::vector<Outcomes> outcomes_;  // (K)
  std::vector<Honesty> honesty_;    // (K) multilabel, else (1)
};

}  // namespace vitals::inline v0::metrics::detail

#if VITALS_HEADER_ONLY
#include <vitals/metrics/resampled.ipp>
#endif
