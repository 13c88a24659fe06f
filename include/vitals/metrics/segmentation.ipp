// Implementation of segmentation.hpp.
#pragma once

#include <cmath>
#include <functional>
#include <limits>
#include <utility>

#include <vitals/core/error.hpp>
#include <vitals/metrics/segmentation.hpp>

namespace vitals::inline v0::metrics {

namespace detail {

inline constexpr std::array<const char*, 8> case_metrics_by_name{
    "dice", "jaccard", "volumetric_similarity", "hd95", "hd95_pooled", "hausdorff", "asd", "assd"};

inline double or_nan(const Score& score) { return score.value.value_or(std::numeric_limits<double>::quiet_NaN()); }

// Fills the intervals of `score` from a function of a resample. The mean is over the classes that the whole set defines.
inline void add_intervals(SegmentationScore& score, std::size_t cases, const SegmentationOptions& options,
                          const std::function<void(std::span<const std::uint32_t>, std::span<double>)>& per_class) {
  const std::size_t classes = score.value.per_class.size();
  const ResampledMany resampled = [&](std::span<const std::uint32_t> counts, std::span<double> values) {
    per_class(counts, values.first(classes));
    double sum = 0, defined = 0;
    for (std::size_t k = 0; k < classes; ++k)
      if (score.value.per_class[k]) sum += values[k], ++defined;  // NaN where the resample lacks it
    values[classes] = sum / defined;
  };
  const auto intervals = bootstrap(cases, classes + 1, resampled,
                                   {.samples = options.bootstrap,
                                    .seed = options.seed,
                                    .alpha = 0.05,
                                    .groups = options.groups,
                                    .executor = options.executor});
  score.per_class_ci95.resize(classes);
  for (std::size_t k = 0; k < classes; ++k)
    if (score.value.per_class[k]) score.per_class_ci95[k] = intervals[k].ci;
  if (score.value.macro) score.ci95 = intervals[classes].ci;
}

// The mean over cases of a metric, class by class.
inline SegmentationScore score_per_case(std::span<const CaseMetrics> cases, std::size_t metric,
                                        const SegmentationOptions& options) {
  const std::size_t classes = cases[0].counts.classes() - 1;
  SegmentationScore score;
  score.name = "per volume";
  score.metric = case_metrics_by_name[metric];
  score.skipped.resize(classes);
  std::vector<double> values(classes * cases.size());  // (K - 1, cases)
  for (std::size_t k = 0; k < classes; ++k) {
    double sum = 0;
    std::size_t defined = 0;
    std::string why;
    for (std::size_t i = 0; i < cases.size(); ++i) {
      const auto value = case_value(cases[i], metric, k + 1, options.empty);
      values[k * cases.size() + i] = or_nan(value);
      if (value)
        sum += *value, ++defined;
      else
        why = value.undefined;
    }
    score.skipped[k] = cases.size() - defined;
    score.value.per_class.push_back(defined ? Score(sum / static_cast<double>(defined))
                                            : Score::none("of no case defined: " + why));
  }
  score.value.macro = macro(score.value.per_class);
  if (options.bootstrap)
    add_intervals(score, cases.size(), options, [&](std::span<const std::uint32_t> counts, std::span<double> out) {
      for (std::size_t k = 0; k < classes; ++k) {
        double sum = 0, drawn = 0;
        for (std::size_t i = 0; i < cases.size(); ++i) {
          const double value = values[k * cases.size() + i];
          if (!counts[i] || std::isnan(value)) continue;
          sum += counts[i] * value;
          drawn += counts[i];
        }
        out[k] = sum / drawn;  // 0 / 0: NaN
      }
    });
  return score;
}

// A metric of the counts of all cases together.
inline SegmentationScore score_of_all(std::span<const CaseMetrics> cases, const char* name, const char* metric,
                                      const std::function<PerClass(const Confusion&)>& of,
                                      const SegmentationOptions& options) {
  const std::size_t classes = cases[0].counts.classes();
  Confusion all(classes);
  for (const auto& one : cases) all += one.counts;
  SegmentationScore score{name, metric, of(all), {}, {}, std::vector<std::size_t>(classes - 1)};
  if (options.bootstrap)
    add_intervals(score, cases.size(), options, [&](std::span<const std::uint32_t> drawn, std::span<double> out) {
      Confusion sum(classes);
      for (std::size_t i = 0; i < cases.size(); ++i)
        for (std::size_t r = 0; drawn[i] && r < classes; ++r)
          for (std::size_t p = 0; p < classes; ++p) sum.add(r, p, drawn[i] * cases[i].counts(r, p));
      const auto values = of(sum);
      for (std::size_t k = 0; k + 1 < classes; ++k) out[k] = or_nan(values.per_class[k]);
    });
  return score;
}

}  // namespace detail

VITALS_INLINE CaseMetrics case_metrics(TensorView<const std::uint8_t, dyn, dyn, dyn> prediction,
                                       TensorView<const std::uint8_t, dyn, dyn, dyn> reference, std::size_t classes,
                                       const std::array<double, 3>& spacing, bool surfaces, Executor* executor) {
  if (prediction.shape() != reference.shape())
    throw ShapeError("[case_metrics] prediction " + to_string(prediction.shape()) + " and reference " +
                     to_string(reference.shape()));
  CaseMetrics result{label_counts(prediction.span(), reference.span(), classes, executor), {}};
  for (std::size_t k = 1; surfaces && k < classes; ++k)
    result.surfaces.push_back(
        surface_distances(prediction, reference, static_cast<std::uint8_t>(k), spacing, executor));
  return result;
}

VITALS_INLINE std::span<const char* const> case_metric_names() { return detail::case_metrics_by_name; }

VITALS_INLINE Score case_value(const CaseMetrics& of, std::size_t metric, std::size_t k, EmptyMask empty) {
  if (metric >= detail::case_metrics_by_name.size() || k == 0 || k >= of.counts.classes())
    throw ArgumentError("[case_value] metric " + std::to_string(metric) + " of class " + std::to_string(k));
  if (metric < 3) {
    const auto counts = of.counts.counts(k);
    return metric == 0   ? dice(counts, empty)
           : metric == 1 ? jaccard(counts, empty)
                         : volumetric_similarity(counts, empty);
  }
  if (of.surfaces.empty()) return Score::none("not measured");
  const auto& s = of.surfaces[k - 1];
  const Score* distances[] = {&s.hd95, &s.hd95_pooled, &s.hausdorff, &s.asd, &s.assd};
  return *distances[metric - 3];
}

VITALS_INLINE std::vector<SegmentationScore> evaluate_segmentation(std::span<const CaseMetrics> cases,
                                                                   const SegmentationOptions& options) {
  if (cases.empty()) throw DataError("[evaluate_segmentation] no cases");
  for (std::size_t i = 0; i < cases.size(); ++i)
    if (cases[i].counts.classes() != cases[0].counts.classes() || cases[i].counts.classes() < 2)
      throw ShapeError("[evaluate_segmentation] case " + std::to_string(i) + " has " +
                       std::to_string(cases[i].counts.classes()) + " classes, case 0 " +
                       std::to_string(cases[0].counts.classes()) + "; at least two are needed");
  std::vector<SegmentationScore> scores;
  for (std::size_t metric = 0; metric < (options.surfaces ? detail::case_metrics_by_name.size() : 3); ++metric)
    scores.push_back(detail::score_per_case(cases, metric, options));
  const auto of_dice = [](const Confusion& counts) { return dice(counts); };
  const auto of_jaccard = [](const Confusion& counts) { return jaccard(counts); };
  scores.push_back(detail::score_of_all(cases, "global", "dice", of_dice, options));
  scores.push_back(detail::score_of_all(cases, "global", "jaccard", of_jaccard, options));
  scores.push_back(detail::score_of_all(cases, "study", "dice", of_dice, options));
  scores.push_back(detail::score_of_all(cases, "study", "jaccard", jaccard_study, options));
  return scores;
}

}  // namespace vitals::inline v0::metrics
