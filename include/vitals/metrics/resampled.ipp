// Implementation of resampled.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include <vitals/metrics/calibration.hpp>
#include <vitals/metrics/near_certain.hpp>
#include <vitals/metrics/resampled.hpp>

namespace vitals::inline v0::metrics::detail {

VITALS_INLINE ResampledMetrics::ResampledMetrics(Targets targets, Scores scores, Task task, double threshold,
                                                 std::size_t ece_bins, bool paper_mode, Executor& executor)
    : task_(task), paper_mode_(paper_mode), n_(targets.extent(0)) {
  const std::size_t classes = targets.extent(1);
  std::vector<std::optional<Ranking>> sorted(classes);
  const auto ranks = ranking_scores(scores, task);
  executor.run(classes, [&](std::size_t k) { sorted[k].emplace(column(targets, k), column<double>(ranks, k)); });
  for (auto& ranking : sorted) rankings_.push_back(std::move(*ranking));
  prepare_outcomes(targets, scores, threshold);
  prepare_honesty(targets, scores, ece_bins);
}

VITALS_INLINE void ResampledMetrics::prepare_outcomes(Targets targets, Scores scores, double threshold) {
  const std::size_t classes = targets.extent(1);
  outcomes_.resize(classes);
  for (std::size_t k = 0; k < classes; ++k)
    if (task_ == Task::multilabel ? rankings_[k].has_nan() : any_nan(scores.span())) outcomes_[k].undefined = nan_score;
  for (std::size_t i = 0; i < n_; ++i) {
    const auto row = scores[i];
    const std::size_t best =
        task_ == Task::multiclass ? static_cast<std::size_t>(argmax(row.span())) : row(classes - 1) >= threshold;
    for (std::size_t k = 0; k < classes; ++k) {
      auto& own = outcomes_[k];
      if (!own.undefined.empty()) continue;
      const bool target = targets(i, k), predicted = task_ == Task::multilabel ? row(k) >= threshold : best == k;
      const auto item = static_cast<std::uint32_t>(i);
      if (target && predicted)
        own.true_positive.push_back(item);
      else if (predicted)
        own.false_positive.push_back(item);
      else if (target)
        own.false_negative.push_back(item);
    }
  }
}

VITALS_INLINE void ResampledMetrics::prepare_honesty(Targets targets, Scores scores, std::size_t bins) {
  const std::size_t classes = targets.extent(1);
  honesty_.resize(task_ == Task::multilabel ? classes : 1);
  for (std::size_t h = 0; h < honesty_.size(); ++h) {
    auto& own = honesty_[h];
    const std::size_t k = task_ == Task::multilabel ? h : classes - 1;  // the class asked about, unless multiclass
    const auto asked = column(scores, k);
    own.undefined = not_probabilities(task_ == Task::multiclass ? scores.span() : std::span<const double>(asked));
    if (!own.undefined.empty()) continue;
    std::vector<std::vector<std::pair<std::uint32_t, double>>> binned(bins);
    own.squares.resize(n_);
    for (std::size_t i = 0; i < n_; ++i) {
      std::size_t of = k;
      if (task_ == Task::multiclass) {
        of = static_cast<std::size_t>(argmax(scores[i].span()));
        for (std::size_t c = 0; c < classes; ++c) own.squares[i] += square(scores(i, c) - targets(i, c));
      } else {
        own.squares[i] = square(scores(i, k) - targets(i, k));
      }
      const double confidence = scores(i, of);
      binned[Calibration::bin_of(confidence, bins)].emplace_back(static_cast<std::uint32_t>(i),
                                                                 confidence - targets(i, of));
    }
    for (const auto& bin : binned) {
      for (const auto& [item, gap] : bin) own.order.push_back(item), own.gaps.push_back(gap);
      own.ends.push_back(own.order.size());
    }
  }
}

VITALS_INLINE Score ResampledMetrics::mean(const std::vector<Score>& per_class, const PerClass* full) const {
  if (!full) return macro(per_class);
  double sum = 0;
  std::size_t defined = 0;
  for (std::size_t k = 0; k < per_class.size(); ++k) {
    if (!full->per_class[k]) continue;
    if (!per_class[k]) return per_class[k];
    sum += *per_class[k].value;
    ++defined;
  }
  return defined ? Score(sum / static_cast<double>(defined)) : full->macro;
}

VITALS_INLINE MetricValues ResampledMetrics::values(std::span<const std::uint32_t> counts,
                                                    const MetricValues* full) const {
  const std::size_t classes = rankings_.size();
  std::uint64_t total = 0;
  for (const auto c : counts) total += c;
  const auto among = [&](const std::vector<std::uint32_t>& items) {
    std::uint64_t sum = 0;
    for (const auto item : items) sum += counts[item];
    return sum;
  };

  MetricValues result;
  auto& [auroc, average_precision, accuracy, balanced, f1, sensitivity, specificity, precision, brier, ece] = result;
  std::uint64_t right = 0;
  for (std::size_t k = 0; k < classes; ++k) {
    auto ranked = rankings_[k].values(counts);
    auroc.per_class.push_back(std::move(ranked.auroc));
    average_precision.per_class.push_back(std::move(ranked.average_precision));
    const auto& own = outcomes_[k];
    Counts c{among(own.true_positive), among(own.false_positive), among(own.false_negative), 0};
    c.true_negative = total - c.true_positive - c.false_positive - c.false_negative;
    right += c.true_positive;
    const auto add = [&](PerClass& metric, Score (*of)(const Counts&)) {
      metric.per_class.push_back(own.undefined.empty() ? of(c) : Score::none(own.undefined));
    };
    add(f1, metrics::f1);
    add(sensitivity, metrics::sensitivity);
    add(specificity, metrics::specificity);
    add(precision, metrics::precision);
    if (task_ == Task::multiclass) continue;
    add(accuracy, metrics::accuracy);
    add(balanced, metrics::balanced_accuracy);
  }
  for (const auto& own : honesty_) {
    if (!own.undefined.empty()) {
      brier.per_class.push_back(Score::none(own.undefined));
      ece.per_class.push_back(Score::none(own.undefined));
      continue;
    }
    double squares = 0, error = 0;
    for (std::size_t i = 0; i < n_; ++i) squares += counts[i] * own.squares[i];
    std::size_t at = 0;
    for (const std::size_t end : own.ends) {
      double gap = 0;
      for (; at < end; ++at) gap += counts[own.order[at]] * own.gaps[at];
      error += std::abs(gap);
    }
    brier.per_class.push_back(squares / static_cast<double>(total));
    ece.per_class.push_back(error / static_cast<double>(total));
  }

  for (std::size_t m = 0; m < result.size(); ++m) {
    auto& metric = result[m];
    if (metric.per_class.empty()) continue;
    if (task_ == Task::binary)
      metric.macro = metric.per_class.back();  // class 1, or the only question there is
    else
      metric.macro = mean(metric.per_class, full ? &(*full)[m] : nullptr);
  }
  if (task_ == Task::multiclass) {
    accuracy.macro =
        outcomes_[0].undefined.empty() ? quotient(right, total, "no items") : Score::none(outcomes_[0].undefined);
    balanced.macro = sensitivity.macro;
  }
  if (paper_mode_)
    auroc.macro =
        task_ == Task::binary ? macro_study(std::span(&auroc.per_class.back(), 1)) : macro_study(auroc.per_class);
  if (task_ != Task::multilabel)
    for (PerClass* whole : {&accuracy, &balanced, &brier, &ece}) whole->per_class.clear();
  return result;
}

}  // namespace vitals::inline v0::metrics::detail
