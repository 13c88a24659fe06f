// From the scores of a classifier to the lines of a report: every classification metric with its 95 % interval.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <vitals/core/config.hpp>
#include <vitals/core/parallel.hpp>
#include <vitals/core/tensor.hpp>
#include <vitals/data/dataset.hpp>
#include <vitals/report/result.hpp>

namespace vitals::inline v0::report {

struct ScoringOptions {
  std::size_t bootstrap = 1000;  ///< resamples of the intervals; 0: no intervals
  std::uint64_t seed = 0;
  std::vector<std::string> patients{};  ///< empty, or one name an item: patients are drawn, with all their items
  Executor* executor = nullptr;         ///< nullptr: default_pool(); the result's bits do not depend on it
};

/// The metrics of one method on the items of one split, in this order:
/// `auroc`, `average_precision`: each class against the rest; the value is the mean over the classes that are defined.
/// `accuracy`, `balanced_accuracy`, `f1`, `sensitivity`, `specificity`: binary and multiclass predict the class with the
///   highest score, multilabel every class with a score of 0.5 or more. f1, sensitivity and specificity of a binary task
///   are those of the second class (the positive one), else the mean over the classes; accuracy and balanced accuracy of
///   a multilabel task are the mean over the classes.
/// `brier`, `ece`: where all scores are probabilities; else their value is undefined and says so. Of a binary task on the
///   second class, of a multilabel task the mean over the classes.
/// The intervals are percentiles of a bootstrap (`ece` has none: resampling biases it). `auroc` of each class also has
/// DeLong's interval (Result::per_class_ci95), which takes the items as independent.
/// targets (n, K) 0 or 1, scores (n, K). Throws ShapeError; DataError (no items, a NaN score, a row without exactly one
/// class where the task has one).
std::vector<Result> classification_results(const std::string& name, const std::string& split, data::Task task,
                                           const std::vector<std::string>& classes,
                                           TensorView<const std::uint8_t, dyn, dyn> targets,
                                           TensorView<const double, dyn, dyn> scores,
                                           const ScoringOptions& options = {});

}  // namespace vitals::inline v0::report

#if VITALS_HEADER_ONLY
#include <vitals/report/classification.ipp>
#endif
