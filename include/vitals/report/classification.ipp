// Implementation of classification.hpp.
#pragma once

#include <cmath>
#include <utility>

#include <vitals/core/error.hpp>
#include <vitals/metrics/bootstrap.hpp>
#include <vitals/metrics/classification.hpp>
#include <vitals/report/classification.hpp>

namespace vitals::inline v0::report {

VITALS_INLINE std::vector<Result> classification_results(const std::string& name, const std::string& split,
                                                         data::Task task, const std::vector<std::string>& classes,
                                                         TensorView<const std::uint8_t, dyn, dyn> targets,
                                                         TensorView<const double, dyn, dyn> scores,
                                                         const ScoringOptions& options) {
  if (classes.size() != targets.extent(1))
    throw ShapeError("[classification_results] " + std::to_string(classes.size()) + " class names for targets " +
                     to_string(targets.shape()));
  for (std::size_t i = 0; i < scores.size(); ++i)
    if (std::isnan(scores.data()[i]))
      throw DataError("[classification_results] a score is NaN",
                      "item " + std::to_string(i / classes.size()) + " class " + std::to_string(i % classes.size()));
  metrics::EvaluateOptions how{
      .bootstrap_samples = options.bootstrap, .seed = options.seed, .executor = options.executor};
  if (!options.patients.empty()) how.groups = metrics::group_numbers(options.patients);

  // Ranks and predictions treat two classes as any number of them; Brier and ECE of a binary task are of the second class.
  const bool binary = task == data::Task::binary;
  const auto ranked = metrics::evaluate(
      targets, scores, task == data::Task::multilabel ? metrics::Task::multilabel : metrics::Task::multiclass, how);
  const auto honest = binary ? metrics::evaluate(targets, scores, metrics::Task::binary, how) : ranked;

  std::vector<Result> results;
  const auto add = [&](const char* metric, const metrics::Metric& from, bool of_second_class = false) {
    Result result;
    result.name = name;
    result.split = split;
    result.metric = metric;
    result.n = ranked.n;
    result.value = of_second_class ? from.per_class[1] : from.value;
    if (result.value) result.ci95 = of_second_class ? from.per_class_ci95[1] : from.ci95;
    for (std::size_t k = 0; k < from.per_class.size(); ++k)
      result.per_class.emplace_back(classes[k], from.per_class[k]);
    results.push_back(std::move(result));
  };
  add("auroc", ranked.auroc);
  for (std::size_t k = 0; k < classes.size(); ++k)
    if (const auto& ci = ranked.delong[k].ci) results.back().per_class_ci95.emplace_back(classes[k], *ci);
  add("average_precision", ranked.average_precision);
  add("accuracy", ranked.accuracy);
  add("balanced_accuracy", ranked.balanced_accuracy);
  add("f1", ranked.f1, binary);
  add("sensitivity", ranked.sensitivity, binary);
  add("specificity", ranked.specificity, binary);
  add("brier", honest.brier);
  add("ece", honest.ece);
  results.back().ci95.reset();  // resampling biases it
  return results;
}

}  // namespace vitals::inline v0::report
