// Implementation of report/segmentation.hpp.
#pragma once

#include <algorithm>
#include <utility>

#include <vitals/core/error.hpp>
#include <vitals/report/segmentation.hpp>

namespace vitals::inline v0::report {

namespace detail {

inline void check_class_names(const std::vector<std::string>& classes, std::span<const metrics::CaseMetrics> cases) {
  for (const auto& one : cases)
    if (one.counts.classes() != classes.size())
      throw ShapeError("[segmentation_results] " + std::to_string(classes.size()) + " class names for " +
                       std::to_string(one.counts.classes()) + " classes");
}

}  // namespace detail

VITALS_INLINE std::vector<Result> segmentation_results(const std::string& name, const std::string& split,
                                                       const std::vector<std::string>& classes,
                                                       std::span<const metrics::CaseMetrics> cases,
                                                       const metrics::SegmentationOptions& options) {
  detail::check_class_names(classes, cases);
  std::vector<Result> results;
  for (auto& score : metrics::evaluate_segmentation(cases, options)) {
    Result result;
    result.name = name.empty() ? score.name : name + " " + score.name;
    result.split = split;
    result.metric = score.metric;
    result.value = score.value.macro;
    result.ci95 = score.ci95;
    result.n = cases.size();
    for (std::size_t k = 1; k < classes.size(); ++k) {
      result.per_class.emplace_back(classes[k], score.value.per_class[k - 1]);
      if (k <= score.per_class_ci95.size() && score.per_class_ci95[k - 1])
        result.per_class_ci95.emplace_back(classes[k], *score.per_class_ci95[k - 1]);
      if (score.skipped[k - 1]) result.skipped.emplace_back(classes[k], score.skipped[k - 1]);
    }
    results.push_back(std::move(result));
  }
  return results;
}

VITALS_INLINE std::vector<CaseRecord> case_records(const std::vector<std::string>& paths,
                                                   const std::vector<std::string>& classes,
                                                   std::span<const metrics::CaseMetrics> cases,
                                                   metrics::EmptyMask empty) {
  detail::check_class_names(classes, cases);
  if (paths.size() != cases.size())
    throw ShapeError("[case_records] " + std::to_string(paths.size()) + " paths for " + std::to_string(cases.size()) +
                     " cases");
  const auto names = metrics::case_metric_names();
  std::vector<CaseRecord> records;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    CaseRecord record{paths[i], {}};
    for (std::size_t k = 1; k < classes.size(); ++k) {
      std::vector<std::pair<std::string, metrics::Score>> values;
      for (std::size_t m = 0; m < names.size() && (m < 3 || !cases[i].surfaces.empty()); ++m)
        values.emplace_back(names[m], metrics::case_value(cases[i], m, k, empty));
      record.per_class.emplace_back(classes[k], std::move(values));
    }
    records.push_back(std::move(record));
  }
  return records;
}

VITALS_INLINE std::vector<std::size_t> cases_by_dice(std::span<const metrics::CaseMetrics> cases) {
  std::vector<std::pair<double, std::size_t>> ranked;
  for (std::size_t i = 0; i < cases.size(); ++i)
    if (const auto mean = metrics::dice(cases[i].counts).macro) ranked.emplace_back(*mean.value, i);
  std::stable_sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<std::size_t> order;
  for (const auto& [dice, i] : ranked) order.push_back(i);
  return order;
}

}  // namespace vitals::inline v0::report
