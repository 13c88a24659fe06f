// Everything a report says about a classifier on a test set, in one call: every metric, for each class and in all, with
// bootstrap intervals from the same resamples, DeLong's intervals of the AUROCs and Youden's thresholds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <vitals/core/config.hpp>
#include <vitals/core/parallel.hpp>
#include <vitals/metrics/checks.hpp>
#include <vitals/metrics/curves.hpp>
#include <vitals/metrics/delong.hpp>
#include <vitals/metrics/score.hpp>
#include <vitals/metrics/task.hpp>

namespace vitals::inline v0::metrics {

struct EvaluateOptions {
  std::size_t bootstrap_samples = 1000;  ///< 0: no bootstrap intervals
  std::uint64_t seed = 0;
  double alpha = 0.05;                   ///< 1 - alpha is the level of every interval
  std::vector<std::size_t> groups = {};  ///< a number for each item (its patient; see group_numbers()); empty: items
  bool paper_mode = false;               ///< the study's AUROC: a class without items of one label counts as 0
  double threshold = 0.5;                ///< binary and multilabel: score >= threshold is positive
  std::size_t ece_bins = 15;
  Executor* executor = nullptr;  ///< nullptr: default_pool(). No bit of the result depends on it
};

/// One metric of the whole test set.
struct Metric {
  Score value = Score::none("not computed");
  std::optional<Interval> ci95;         ///< bootstrap (of level 1 - alpha); none without bootstrap or value
  std::size_t undefined_resamples = 0;  ///< left out of ci95
  std::vector<Score> per_class;         ///< (K), or empty where the metric has no value of a single class
  std::vector<std::optional<Interval>> per_class_ci95;  ///< as per_class
};

/// What `value` is:
///   metric              binary (of class 1)      multiclass                            multilabel
///   auroc               AUROC                    macro, one class against the rest     macro
///   average_precision   average precision        macro, one class against the rest     macro
///   accuracy            right / n                right / n                             macro of each label's
///   balanced_accuracy   (sens. + spec.) / 2      mean sensitivity                      macro of (sens. + spec.) / 2
///   f1, sensitivity, specificity, precision      macro, one class against the rest     macro
///   brier               mean (p - y)^2           sum over classes, 0 .. 2              macro of mean (p - y)^2
///   ece                 score against target     highest score against a right guess   macro
/// AUROC and average precision: where scores of one class an item are probabilities that sum to one, scores within 1e-6 of
/// one are ranked by what the other columns say is missing, so a sure classifier's order is not lost to rounding.
/// Macro means are over the classes where the metric is defined; a resample counts only if the same classes are defined
/// in it. The ECE of a resample is biased upwards (chance adds to |gap|), so its interval may lie above the value.
/// Predictions: score >= threshold of class 1 (binary) or of each label; the highest score, lowest class first
/// (multiclass). per_class: every metric in multilabel; not accuracy, balanced_accuracy, brier, ece otherwise.
struct ClassificationMetrics {
  Task task = Task::multiclass;
  std::size_t n = 0, classes = 0;
  bool paper_mode = false;
  std::size_t bootstrap_samples = 0;
  Metric auroc, average_precision, accuracy, balanced_accuracy, f1, sensitivity, specificity, precision, brier, ece;
  std::vector<DeLong> delong;  ///< (K): AUROC of each class with DeLong's variance and interval; binary: take [1]
  std::vector<Youden> youden;  ///< (K): best threshold of each class against the rest

  /// ("auroc", &auroc) and so on, in the order above. The pointers live as long as this object.
  std::vector<std::pair<std::string, const Metric*>> all() const;
};

/// targets (n, K) 0 or 1; scores (n, K) doubles, higher = more of the class; accuracy to F1 compare with the threshold,
/// Brier and ECE need probabilities (else they are undefined, "score outside 0..1"). A class with a NaN score makes
/// itself and the macro means undefined. Binary: two columns, class 0's score is 1 - p.
/// Throws ShapeError (shapes differ, K = 0, binary with K != 2, groups not n), DataError (n = 0; a target other than 0
/// and 1; not one class an item where the task is binary or multiclass; each with its row), ArgumentError (options).
ClassificationMetrics evaluate(Targets targets, Scores scores, Task task, const EvaluateOptions& options = {});

}  // namespace vitals::inline v0::metrics

#if VITALS_HEADER_ONLY
#include <vitals/metrics/classification.ipp>
#endif
