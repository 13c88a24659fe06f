// Implementation of classification.hpp.
#pragma once

#include <array>
#include <limits>
#include <tuple>

#include <vitals/metrics/bootstrap.hpp>
#include <vitals/metrics/classification.hpp>
#include <vitals/metrics/near_certain.hpp>
#include <vitals/metrics/resampled.hpp>

namespace vitals::inline v0::metrics {

namespace detail {

struct MetricName {
  const char* name;
  Metric ClassificationMetrics::*member;
};
// In the order of MetricValues.
inline constexpr std::array<MetricName, std::tuple_size_v<MetricValues>> metric_table{{
    {"auroc", &ClassificationMetrics::auroc},
    {"average_precision", &ClassificationMetrics::average_precision},
    {"accuracy", &ClassificationMetrics::accuracy},
    {"balanced_accuracy", &ClassificationMetrics::balanced_accuracy},
    {"f1", &ClassificationMetrics::f1},
    {"sensitivity", &ClassificationMetrics::sensitivity},
    {"specificity", &ClassificationMetrics::specificity},
    {"precision", &ClassificationMetrics::precision},
    {"brier", &ClassificationMetrics::brier},
    {"ece", &ClassificationMetrics::ece},
}};

}  // namespace detail

VITALS_INLINE std::vector<std::pair<std::string, const Metric*>> ClassificationMetrics::all() const {
  std::vector<std::pair<std::string, const Metric*>> list;
  for (const auto& [name, member] : detail::metric_table) list.emplace_back(name, &(this->*member));
  return list;
}

VITALS_INLINE ClassificationMetrics evaluate(Targets targets, Scores scores, Task task,
                                             const EvaluateOptions& options) {
  detail::check_matrix(targets, scores);
  const std::size_t n = targets.extent(0), classes = targets.extent(1);
  if (n == 0) throw DataError("[metrics] no items", "", "give at least one row");
  if (task == Task::binary && classes != 2)
    throw ShapeError("[metrics] a binary task with " + std::to_string(classes) + " columns", "",
                     "give two: class 0 (1 - p) and class 1 (p)");
  if (task != Task::multilabel) detail::check_one_hot(targets);
  detail::check_alpha(options.alpha);
  if (options.ece_bins == 0) throw ArgumentError("[metrics] 0 bins");
  if (!options.groups.empty() && options.groups.size() != n)
    throw ShapeError("[metrics] " + std::to_string(options.groups.size()) + " groups for " + std::to_string(n) +
                     " items");

  Executor& executor = options.executor ? *options.executor : default_pool();
  const detail::ResampledMetrics resampled(targets, scores, task, options.threshold, options.ece_bins,
                                           options.paper_mode, executor);
  const detail::MetricValues full = resampled.values(std::vector<std::uint32_t>(n, 1), nullptr);

  ClassificationMetrics result;
  result.task = task;
  result.n = n;
  result.classes = classes;
  result.paper_mode = options.paper_mode;
  result.bootstrap_samples = options.bootstrap_samples;
  for (std::size_t m = 0; m < full.size(); ++m) {
    auto& metric = result.*detail::metric_table[m].member;
    metric.value = full[m].macro;
    metric.per_class = full[m].per_class;
    metric.per_class_ci95.resize(metric.per_class.size());
  }
  const auto ranks = detail::ranking_scores(scores, task);
  for (std::size_t k = 0; k < classes; ++k) {
    const auto own_targets = detail::column(targets, k);
    result.delong.push_back(delong(own_targets, detail::column<double>(ranks, k), options.alpha));
    result.youden.push_back(youden(own_targets, detail::column(scores, k)));
  }
  if (options.bootstrap_samples == 0) return result;

  // One row of numbers a resample: each metric's value, then its classes.
  std::size_t columns = 0;
  for (const auto& metric : full) columns += 1 + metric.per_class.size();
  const ResampledMany row = [&](std::span<const std::uint32_t> counts, std::span<double> values) {
    std::size_t at = 0;
    const auto put = [&](const Score& score) {
      values[at++] = score.value.value_or(std::numeric_limits<double>::quiet_NaN());
    };
    for (const auto& metric : resampled.values(counts, &full)) {
      put(metric.macro);
      for (const auto& score : metric.per_class) put(score);
    }
  };
  const auto intervals =
      bootstrap(n, columns, row, {options.bootstrap_samples, options.seed, options.alpha, options.groups, &executor});
  std::size_t at = 0;
  for (const auto& [name, member] : detail::metric_table) {
    auto& metric = result.*member;
    const auto& whole = intervals[at++];
    if (metric.value) {
      metric.ci95 = whole.ci;
      metric.undefined_resamples = whole.undefined;
    }
    for (std::size_t k = 0; k < metric.per_class.size(); ++k, ++at)
      if (metric.per_class[k]) metric.per_class_ci95[k] = intervals[at].ci;
  }
  return result;
}

}  // namespace vitals::inline v0::metrics
