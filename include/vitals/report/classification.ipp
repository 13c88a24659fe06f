// Implementation of classification.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include <vitals/core/error.hpp>
#include <vitals/metrics/auroc.hpp>
#include <vitals/metrics/bootstrap.hpp>
#include <vitals/metrics/calibration.hpp>
#include <vitals/metrics/checks.hpp>
#include <vitals/metrics/confusion.hpp>
#include <vitals/metrics/delong.hpp>
#include <vitals/metrics/near_certain.hpp>
#include <vitals/metrics/ranking.hpp>
#include <vitals/metrics/task.hpp>
#include <vitals/report/classification.hpp>

namespace vitals::inline v0::report {

namespace detail {

inline constexpr const char* classification_metrics[] = {
    "auroc", "average_precision", "accuracy", "balanced_accuracy", "f1", "sensitivity", "specificity", "brier", "ece"};
inline constexpr std::size_t resampled_metrics = 8;  // all but ece

// A test set made ready: the classes sorted once, the predictions made once. Every metric of any resample (a count for
// each item) follows from sums over the items.
class Scoring {
 public:
  using PerClassScores = std::vector<metrics::Score>;
  struct Metric {
    metrics::Score value = metrics::Score::none("not computed");
    PerClassScores per_class;
  };

  Scoring(data::Task task, metrics::Targets targets, metrics::Scores scores)
      : task_(task), n_(targets.extent(0)), classes_(targets.extent(1)), targets_(targets), scores_(scores) {
    metrics::detail::check_matrix(targets, scores);
    if (n_ == 0) throw DataError("[classification_results] no items");
    if (task_ == data::Task::binary && classes_ != 2)
      throw ShapeError("[classification_results] a binary task with " + std::to_string(classes_) + " classes");
    if (task_ != data::Task::multilabel) metrics::detail::check_one_hot(targets);
    for (std::size_t i = 0; i < n_; ++i)
      for (std::size_t k = 0; k < classes_; ++k) {
        if (std::isnan(scores(i, k)))
          throw DataError("[classification_results] a score is NaN",
                          "item " + std::to_string(i) + " class " + std::to_string(k));
        probabilities_ = probabilities_ && scores(i, k) >= 0 && scores(i, k) <= 1;
      }
    predicted_ = Tensor<std::uint8_t, dyn, dyn>({n_, classes_});
    for (std::size_t i = 0; i < n_; ++i) {
      if (task_ == data::Task::multilabel)
        for (std::size_t k = 0; k < classes_; ++k) predicted_(i, k) = scores(i, k) >= 0.5;
      else
        predicted_(i, static_cast<std::size_t>(metrics::argmax({scores[i].data(), classes_}))) = 1;
    }
    ranks_ = metrics::detail::ranking_scores(
        scores, task_ == data::Task::multilabel ? metrics::Task::multilabel : metrics::Task::multiclass);
    for (std::size_t k = 0; k < classes_; ++k) rankings_.emplace_back(target_column(k), rank_column(k));
  }

  std::vector<std::uint8_t> target_column(std::size_t k) const { return metrics::detail::column(targets_, k); }
  std::vector<double> score_column(std::size_t k) const { return metrics::detail::column(scores_, k); }
  // Scores to rank by: see metrics/near_certain.hpp.
  std::vector<double> rank_column(std::size_t k) const { return metrics::detail::column<double>(ranks_, k); }

  // The metrics that resample, in the order of classification_metrics. weights (n): how often each item counts.
  std::vector<Metric> all(std::span<const std::uint32_t> weights) const {
    std::vector<Metric> out(resampled_metrics);
    std::vector<metrics::Counts> counts(classes_);
    std::uint64_t items = 0, right = 0;
    for (std::size_t i = 0; i < n_; ++i) {
      if (weights[i] == 0) continue;
      bool same = true;
      for (std::size_t k = 0; k < classes_; ++k) {
        const bool target = targets_(i, k), predicted = predicted_(i, k);
        auto& c = counts[k];
        (target ? (predicted ? c.true_positive : c.false_negative)
                : (predicted ? c.false_positive : c.true_negative)) += weights[i];
        same = same && target == predicted;
      }
      items += weights[i];
      right += same ? weights[i] : 0;
    }
    for (std::size_t k = 0; k < classes_; ++k) {
      const auto ranked = rankings_[k].values(weights);
      out[0].per_class.push_back(ranked.auroc);
      out[1].per_class.push_back(ranked.average_precision);
      out[2].per_class.push_back(metrics::accuracy(counts[k]));
      out[3].per_class.push_back(metrics::balanced_accuracy(counts[k]));
      out[4].per_class.push_back(metrics::f1(counts[k]));
      out[5].per_class.push_back(metrics::sensitivity(counts[k]));
      out[6].per_class.push_back(metrics::specificity(counts[k]));
      out[7].per_class.push_back(brier(k, weights, items));
    }
    const bool one_label = task_ != data::Task::multilabel;
    for (std::size_t m = 0; m < resampled_metrics; ++m) {
      const bool of_positive = task_ == data::Task::binary && m >= 4;
      out[m].value = of_positive ? out[m].per_class[1] : metrics::macro(out[m].per_class);
    }
    if (one_label) {
      out[2].value = items ? metrics::Score(static_cast<double>(right) / static_cast<double>(items))
                           : metrics::Score::none("no items");
      out[3].value = metrics::macro(out[5].per_class);  // mean sensitivity
      out[2].per_class.clear();  // of one label an image, accuracy belongs to all classes together
      out[3].per_class.clear();
      if (task_ == data::Task::multiclass && out[7].value) {  // Brier's own: the sum over the classes
        double sum = 0;
        for (const auto& score : out[7].per_class) sum += *score.value;
        out[7].value = sum;
      }
    }
    return out;
  }

  Metric ece() const {
    Metric out;
    if (!probabilities_) {
      out.value = metrics::Score::none("scores are not probabilities");
    } else if (task_ == data::Task::multiclass) {
      out.value = metrics::ece_multiclass(targets_, scores_);
    } else {
      for (std::size_t k = 0; k < classes_; ++k)
        out.per_class.push_back(metrics::ece(target_column(k), score_column(k)));
      out.value = task_ == data::Task::binary ? out.per_class[1] : metrics::macro(out.per_class);
    }
    return out;
  }

 private:
  metrics::Score brier(std::size_t k, std::span<const std::uint32_t> weights, std::uint64_t items) const {
    if (!probabilities_) return metrics::Score::none("scores are not probabilities");
    if (items == 0) return metrics::Score::none("no items");
    double sum = 0;
    for (std::size_t i = 0; i < n_; ++i) {
      const double error = scores_(i, k) - targets_(i, k);
      sum += weights[i] * error * error;
    }
    return sum / static_cast<double>(items);
  }

  data::Task task_;
  std::size_t n_, classes_;
  metrics::Targets targets_;
  metrics::Scores scores_;
  bool probabilities_ = true;
  Tensor<std::uint8_t, dyn, dyn> predicted_;
  Tensor<double, dyn, dyn> ranks_;
  std::vector<metrics::Ranking> rankings_;
};

}  // namespace detail

VITALS_INLINE std::vector<Result> classification_results(const std::string& name, const std::string& split,
                                                         data::Task task, const std::vector<std::string>& classes,
                                                         TensorView<const std::uint8_t, dyn, dyn> targets,
                                                         TensorView<const double, dyn, dyn> scores,
                                                         const ScoringOptions& options) {
  if (classes.size() != targets.extent(1))
    throw ShapeError("[classification_results] " + std::to_string(classes.size()) + " class names for targets " +
                     to_string(targets.shape()));
  const std::size_t n = targets.extent(0);
  const detail::Scoring scoring(task, targets, scores);
  auto values = scoring.all(std::vector<std::uint32_t>(n, 1));
  values.push_back(scoring.ece());

  std::vector<metrics::Bootstrap> intervals;
  if (options.bootstrap > 0) {
    metrics::BootstrapOptions how{
        .samples = options.bootstrap, .seed = options.seed, .groups = {}, .executor = options.executor};
    if (!options.patients.empty()) how.groups = metrics::group_numbers(options.patients);
    const auto resampled = [&](std::span<const std::uint32_t> counts, std::span<double> out) {
      const auto all = scoring.all(counts);
      for (std::size_t m = 0; m < all.size(); ++m)
        out[m] = all[m].value.value.value_or(std::numeric_limits<double>::quiet_NaN());
    };
    intervals = metrics::bootstrap(n, detail::resampled_metrics, resampled, how);
  }

  std::vector<Result> results;
  for (std::size_t m = 0; m < values.size(); ++m) {
    Result result;
    result.name = name;
    result.split = split;
    result.metric = detail::classification_metrics[m];
    result.value = values[m].value;
    result.n = n;
    if (m < intervals.size() && result.value) result.ci95 = intervals[m].ci;
    for (std::size_t k = 0; k < values[m].per_class.size(); ++k)
      result.per_class.emplace_back(classes[k], values[m].per_class[k]);
    if (m == 0)
      for (std::size_t k = 0; k < classes.size(); ++k)
        if (const auto ci = metrics::delong(scoring.target_column(k), scoring.rank_column(k)).ci)
          result.per_class_ci95.emplace_back(classes[k], *ci);
    results.push_back(std::move(result));
  }
  return results;
}

}  // namespace vitals::inline v0::report
