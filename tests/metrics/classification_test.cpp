#include <vitals/metrics/classification.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

#include <catch2/catch.hpp>

#include <vitals/core/rng.hpp>
#include <vitals/metrics/auroc.hpp>
#include <vitals/metrics/bootstrap.hpp>
#include <vitals/metrics/calibration.hpp>
#include <vitals/metrics/confusion.hpp>

#include "check_score.hpp"

namespace vt = vitals;
namespace metrics = vitals::metrics;
using metrics::Score;
using metrics::Task;
using test::check_none;
using test::check_score;
using test::check_value;
using Targets = vt::Tensor<std::uint8_t, vt::dyn, vt::dyn>;
using Scores = vt::Tensor<double, vt::dyn, vt::dyn>;

namespace {

struct Set {
  Targets targets;
  Scores scores;
};

// Multilabel: independent labels; else one class an item and scores that sum to 1. Scores in hundredths: many ties.
Set make(Task task, std::size_t n, std::size_t classes, std::uint64_t seed) {
  vt::Rng rng(seed);
  Set set{Targets({n, classes}), Scores({n, classes})};
  for (std::size_t i = 0; i < n; ++i) {
    const auto label = static_cast<std::size_t>(rng.below(classes));
    double sum = 0;
    for (std::size_t k = 0; k < classes; ++k) {
      set.targets(i, k) = task == Task::multilabel ? rng.uniform() < 0.3 : k == label;
      set.scores(i, k) = std::floor(100 * (0.75 * rng.uniform() + 0.25 * set.targets(i, k))) / 100 + 0.001;
      sum += set.scores(i, k);
    }
    if (task == Task::multiclass)
      for (std::size_t k = 0; k < classes; ++k) set.scores(i, k) /= sum;
    if (task == Task::binary) set.scores(i, 0) = 1 - set.scores(i, 1);
  }
  return set;
}

Set rows(const Set& set, const std::vector<std::size_t>& items) {
  Set part{Targets({items.size(), set.targets.extent(1)}), Scores({items.size(), set.targets.extent(1)})};
  for (std::size_t i = 0; i < items.size(); ++i)
    for (std::size_t k = 0; k < set.targets.extent(1); ++k) {
      part.targets(i, k) = set.targets(items[i], k);
      part.scores(i, k) = set.scores(items[i], k);
    }
  return part;
}

metrics::EvaluateOptions without_bootstrap() {
  metrics::EvaluateOptions options;
  options.bootstrap_samples = 0;
  return options;
}

std::vector<std::uint8_t> targets_of(const Set& set, std::size_t k) {
  return metrics::detail::column(set.targets.view(), k);
}
std::vector<double> scores_of(const Set& set, std::size_t k) { return metrics::detail::column(set.scores.view(), k); }

void check_same(const Score& a, const Score& b) {
  CHECK(a.undefined == b.undefined);
  if (a && b) check_value(*a, *b, 1e-14);
}

template <class F>
Score mean_over(std::size_t classes, F of) {
  std::vector<Score> each;
  for (std::size_t k = 0; k < classes; ++k) each.push_back(of(k));
  return metrics::macro(each);
}

}  // namespace

TEST_CASE("multilabel: every number is that of the single functions") {
  const auto set = make(Task::multilabel, 150, 4, 1);
  const auto m = metrics::evaluate(set.targets, set.scores, Task::multilabel, without_bootstrap());
  CHECK(m.n == 150);
  CHECK(m.classes == 4);
  const auto counts = [&](std::size_t k) { return metrics::counts_at(targets_of(set, k), scores_of(set, k)); };
  for (std::size_t k = 0; k < 4; ++k) {
    const auto t = targets_of(set, k);
    const auto s = scores_of(set, k);
    check_same(m.auroc.per_class[k], metrics::auroc(t, s));
    check_same(m.average_precision.per_class[k], metrics::average_precision(t, s));
    check_same(m.accuracy.per_class[k], metrics::accuracy(counts(k)));
    check_same(m.balanced_accuracy.per_class[k], metrics::balanced_accuracy(counts(k)));
    check_same(m.f1.per_class[k], metrics::f1(counts(k)));
    check_same(m.sensitivity.per_class[k], metrics::sensitivity(counts(k)));
    check_same(m.specificity.per_class[k], metrics::specificity(counts(k)));
    check_same(m.precision.per_class[k], metrics::precision(counts(k)));
    check_same(m.brier.per_class[k], metrics::brier(t, s));
    check_same(m.ece.per_class[k], metrics::ece(t, s));
    check_same(m.delong[k].variance, metrics::delong(t, s).variance);
    check_same(m.youden[k].threshold, metrics::youden(t, s).threshold);
  }
  for (const auto& [name, metric] : m.all()) {
    INFO(name);
    check_same(metric->value, metrics::macro(metric->per_class));
    CHECK_FALSE(metric->ci95);
  }
}

TEST_CASE("multiclass: every number is that of the single functions") {
  const auto set = make(Task::multiclass, 150, 3, 2);
  const auto m = metrics::evaluate(set.targets, set.scores, Task::multiclass, without_bootstrap());
  metrics::Confusion confusion(3);
  confusion.add(set.targets, set.scores);
  check_same(m.auroc.value, metrics::auroc_per_class(set.targets, set.scores).macro);
  check_same(m.average_precision.value, metrics::average_precision_per_class(set.targets, set.scores).macro);
  check_same(m.accuracy.value, confusion.accuracy());
  check_same(m.balanced_accuracy.value, confusion.balanced_accuracy());
  check_same(m.f1.value, confusion.f1().macro);
  check_same(m.sensitivity.value, confusion.balanced_accuracy());
  check_same(m.specificity.value, mean_over(3, [&](auto k) { return metrics::specificity(confusion.counts(k)); }));
  check_same(m.precision.value, mean_over(3, [&](auto k) { return metrics::precision(confusion.counts(k)); }));
  check_same(m.f1.per_class[2], confusion.f1().per_class[2]);
  check_same(m.brier.value, metrics::brier_multiclass(set.targets, set.scores));
  check_same(m.ece.value, metrics::ece_multiclass(set.targets, set.scores));
  for (const auto* whole : {&m.accuracy, &m.balanced_accuracy, &m.brier, &m.ece}) CHECK(whole->per_class.empty());
}

TEST_CASE("binary: class 1 of two columns") {
  const auto set = make(Task::binary, 150, 2, 3);
  auto options = without_bootstrap();
  options.threshold = 0.4;
  const auto m = metrics::evaluate(set.targets, set.scores, Task::binary, options);
  const auto t = targets_of(set, 1);
  const auto s = scores_of(set, 1);
  const auto counts = metrics::counts_at(t, s, 0.4);
  check_same(m.auroc.value, metrics::auroc(t, s));
  check_same(m.average_precision.value, metrics::average_precision(t, s));
  check_same(m.accuracy.value, metrics::accuracy(counts));
  check_same(m.balanced_accuracy.value, metrics::balanced_accuracy(counts));
  check_same(m.f1.value, metrics::f1(counts));
  check_same(m.sensitivity.value, metrics::sensitivity(counts));
  check_same(m.specificity.value, metrics::specificity(counts));
  check_same(m.precision.value, metrics::precision(counts));
  check_same(m.brier.value, metrics::brier(t, s));
  check_same(m.ece.value, metrics::ece(t, s));
  check_same(m.sensitivity.per_class[0], metrics::specificity(counts));  // class 0 seen as the positive one
  check_same(m.delong[1].auroc, m.auroc.value);
}

TEST_CASE("intervals are those of a plain bootstrap over copied rows") {
  const auto task = GENERATE(Task::binary, Task::multiclass, Task::multilabel);
  const auto set = make(task, 60, task == Task::binary ? 2 : 3, 4);
  metrics::EvaluateOptions options;
  options.bootstrap_samples = 40;
  options.seed = 7;
  const bool by_patient = GENERATE(false, true);
  if (by_patient)
    for (std::size_t i = 0; i < 60; ++i) options.groups.push_back(i / 3);
  const auto m = metrics::evaluate(set.targets, set.scores, task, options);
  CHECK(m.bootstrap_samples == 40);

  metrics::BootstrapOptions plain;
  plain.samples = 40;
  plain.seed = 7;
  plain.groups = options.groups;
  const auto list = m.all();
  for (std::size_t j = 0; j < list.size(); ++j) {
    const auto interval = [&](std::optional<std::size_t> k) {
      return metrics::bootstrap(
          60,
          [&](std::span<const std::uint32_t> counts) {
            const auto part = rows(set, metrics::resampled_items(counts));
            const auto own = metrics::evaluate(part.targets, part.scores, task, without_bootstrap());
            const auto& metric = *own.all()[j].second;
            return k ? metric.per_class[*k] : metric.value;
          },
          plain);
    };
    INFO(list[j].first);
    const auto& metric = *list[j].second;
    REQUIRE(metric.ci95);
    CHECK(metric.undefined_resamples == 0);
    check_value(metric.ci95->low, interval({}).ci->low, 1e-14);
    check_value(metric.ci95->high, interval({}).ci->high, 1e-14);
    if (list[j].first != "ece") CHECK(metric.ci95->low <= *metric.value);  // a resample's ECE is biased upwards
    CHECK(metric.per_class_ci95.size() == metric.per_class.size());
    if (metric.per_class.empty()) continue;
    REQUIRE(metric.per_class_ci95[1]);
    check_value(metric.per_class_ci95[1]->low, interval(1).ci->low, 1e-14);
  }
}

TEST_CASE("the same bits for any number of threads") {
  const auto set = make(Task::multilabel, 300, 5, 5);
  metrics::EvaluateOptions options;
  options.bootstrap_samples = 101;
  vt::ThreadPool one(1), three(3);
  options.executor = &one;
  const auto a = metrics::evaluate(set.targets, set.scores, Task::multilabel, options);
  options.executor = &three;
  const auto b = metrics::evaluate(set.targets, set.scores, Task::multilabel, options);
  for (std::size_t j = 0; j < a.all().size(); ++j) {
    const auto &x = *a.all()[j].second, &y = *b.all()[j].second;
    CHECK(*x.value == *y.value);
    CHECK(x.ci95->low == y.ci95->low);
    CHECK(x.ci95->high == y.ci95->high);
    CHECK(x.per_class_ci95[4]->low == y.per_class_ci95[4]->low);
  }
}

TEST_CASE("a label without positives: out of the mean and named; 0 in paper mode") {
  auto set = make(Task::multilabel, 80, 3, 6);
  for (std::size_t i = 0; i < 80; ++i) set.targets(i, 2) = 0;
  metrics::EvaluateOptions options;
  options.bootstrap_samples = 50;
  const auto m = metrics::evaluate(set.targets, set.scores, Task::multilabel, options);
  check_none(m.auroc.per_class[2], "no positive item");
  check_score(m.auroc.value, (*m.auroc.per_class[0] + *m.auroc.per_class[1]) / 2);
  CHECK_FALSE(m.auroc.per_class_ci95[2]);
  REQUIRE(m.auroc.ci95);
  CHECK_FALSE(m.delong[2].ci);
  options.paper_mode = true;
  const auto study = metrics::evaluate(set.targets, set.scores, Task::multilabel, options);
  CHECK(study.paper_mode);
  check_score(study.auroc.value, (*m.auroc.per_class[0] + *m.auroc.per_class[1]) / 3);
  check_none(study.auroc.per_class[2], "no positive item");
  check_value(study.auroc.ci95->low, m.auroc.ci95->low * 2 / 3);
  check_same(study.average_precision.value, m.average_precision.value);  // only the AUROC is the study's
}

TEST_CASE("a resample that lacks a class has no macro mean and is counted") {
  auto set = make(Task::multilabel, 50, 2, 7);
  for (std::size_t i = 0; i < 50; ++i) set.targets(i, 1) = i == 10;
  metrics::EvaluateOptions options;
  options.bootstrap_samples = 1000;
  const auto m = metrics::evaluate(set.targets, set.scores, Task::multilabel, options);
  CHECK(std::abs(static_cast<double>(m.auroc.undefined_resamples) / 1000 - 0.364) < 0.05);
  CHECK(m.accuracy.undefined_resamples == 0);
}

TEST_CASE("NaN scores leave no number that depends on them") {
  metrics::EvaluateOptions options;
  options.bootstrap_samples = 20;
  auto labels = make(Task::multilabel, 40, 3, 8);
  labels.scores(5, 1) = std::nan("");
  const auto m = metrics::evaluate(labels.targets, labels.scores, Task::multilabel, options);
  for (const auto& [name, metric] : m.all()) {
    INFO(name);
    check_none(metric->value, "score is NaN, class 1");
    check_none(metric->per_class[1], "score is NaN");
    CHECK(metric->per_class[0]);
    CHECK_FALSE(metric->ci95);
    CHECK(metric->per_class_ci95[0]);
    CHECK_FALSE(metric->per_class_ci95[1]);
  }
  auto classes = make(Task::multiclass, 40, 3, 8);
  classes.scores(5, 1) = std::nan("");
  const auto c = metrics::evaluate(classes.targets, classes.scores, Task::multiclass, options);
  for (const auto& [name, metric] : c.all()) {
    INFO(name);
    CHECK_FALSE(metric->value);
    CHECK(metric->value.undefined.find("NaN") != std::string::npos);
  }
  auto two = make(Task::binary, 40, 2, 8);
  two.scores(5, 1) = std::nan("");
  const auto b = metrics::evaluate(two.targets, two.scores, Task::binary, options);
  for (const auto& [name, metric] : b.all()) {
    INFO(name);
    CHECK_FALSE(metric->value);
  }
}

TEST_CASE("logits: ranks and counts are defined, Brier and ECE are not") {
  auto set = make(Task::multilabel, 40, 2, 9);
  for (auto& s : set.scores) s = 20 * s - 10;
  set.scores(0, 0) = std::numeric_limits<double>::infinity();
  const auto m = metrics::evaluate(set.targets, set.scores, Task::multilabel, without_bootstrap());
  CHECK(m.auroc.value);
  CHECK(m.f1.value);
  check_none(m.brier.per_class[0], "score outside 0..1");
  CHECK_FALSE(m.ece.value);
}

TEST_CASE("a single item, constant scores, one label only") {
  metrics::EvaluateOptions options;
  options.bootstrap_samples = 10;
  Set one{metrics::one_hot(std::vector<std::size_t>{1}, 2), Scores({1, 2}, std::vector<double>{0.2, 0.8})};
  const auto m = metrics::evaluate(one.targets, one.scores, Task::binary, options);
  check_none(m.auroc.value, "no negative item");
  CHECK_FALSE(m.auroc.ci95);
  check_score(m.accuracy.value, 1);
  check_score(m.sensitivity.value, 1);
  check_none(m.specificity.value, "no negative item");
  options.paper_mode = true;
  check_score(metrics::evaluate(one.targets, one.scores, Task::binary, options).auroc.value, 0);

  auto set = make(Task::binary, 30, 2, 10);
  for (auto& s : set.scores) s = 0.5;
  const auto constant = metrics::evaluate(set.targets, set.scores, Task::binary, options);
  check_score(constant.auroc.value, 0.5);
  CHECK(constant.auroc.ci95->low == 0.5);
  CHECK(constant.auroc.ci95->high == 0.5);
  check_score(constant.sensitivity.value, 1);  // a score on the threshold is positive
}

TEST_CASE("input that cannot be meant is refused in clear words") {
  const auto set = make(Task::multiclass, 10, 3, 11);
  const auto evaluate = [](const Set& s, Task task, metrics::EvaluateOptions options = {}) {
    return metrics::evaluate(s.targets, s.scores, task, options);
  };
  CHECK_THROWS_AS(evaluate(set, Task::binary), vt::ShapeError);
  CHECK_THROWS_AS(evaluate({Targets({0, 3}), Scores({0, 3})}, Task::multilabel), vt::DataError);
  CHECK_THROWS_AS(evaluate({Targets({3, 0}), Scores({3, 0})}, Task::multilabel), vt::ShapeError);
  CHECK_THROWS_AS(evaluate({set.targets, Scores({10, 2})}, Task::multiclass), vt::ShapeError);
  auto bad = set;
  bad.targets(4, 1) = 2;
  CHECK_THROWS_AS(evaluate(bad, Task::multiclass), vt::DataError);
  CHECK_THROWS_WITH(evaluate(bad, Task::multiclass), Catch::Contains("row 4 class 1"));
  bad.targets(4, 0) = bad.targets(4, 1) = bad.targets(4, 2) = 0;
  CHECK_THROWS_WITH(evaluate(bad, Task::multiclass), Catch::Contains("0 classes are 1, row 4"));
  CHECK_NOTHROW(evaluate(bad, Task::multilabel));
  metrics::EvaluateOptions options;
  options.alpha = 2;
  CHECK_THROWS_AS(evaluate(set, Task::multiclass, options), vt::ArgumentError);
  options = {};
  options.groups = {1, 2};
  CHECK_THROWS_AS(evaluate(set, Task::multiclass, options), vt::ShapeError);
  options = {};
  options.ece_bins = 0;
  CHECK_THROWS_AS(evaluate(set, Task::multiclass, options), vt::ArgumentError);
}

TEST_CASE("a sure classifier keeps its order though its probabilities round to one") {
  // Logits 20 to 60: sigmoid is 1 to nine digits for all of them, and 1 in a double for the larger ones.
  const std::vector<double> logits{20, 25, 30, 40, 50, 60};
  const std::vector<int> positive{0, 1, 0, 1, 0, 1};
  vitals::Tensor<std::uint8_t, vitals::dyn, vitals::dyn> targets({6, 2});
  vitals::Tensor<double, vitals::dyn, vitals::dyn> scores({6, 2});
  std::vector<std::uint8_t> flat;
  for (std::size_t i = 0; i < 6; ++i) {
    targets(i, static_cast<std::size_t>(positive[i])) = 1;
    flat.push_back(static_cast<std::uint8_t>(positive[i]));
    scores(i, 0) = 1 / (1 + std::exp(logits[i]));
    scores(i, 1) = 1.0;  // what nine digits leave of it
  }
  const auto result =
      vitals::metrics::evaluate(targets, scores, vitals::metrics::Task::binary, {.bootstrap_samples = 0});
  const double of_logits = *vitals::metrics::auroc(flat, logits).value;  // 6 of 9 pairs
  CHECK(of_logits == Approx(6.0 / 9));
  CHECK(*result.auroc.value.value == of_logits);
  CHECK(*result.auroc.per_class[0].value == of_logits);
  CHECK(*result.auroc.per_class[1].value == of_logits);
  // Equal probabilities below that stay ties, whatever the others sum to.
  for (std::size_t i = 0; i < 6; ++i) scores(i, 0) = 0.3, scores(i, 1) = 0.7;
  CHECK(*vitals::metrics::evaluate(targets, scores, vitals::metrics::Task::binary, {.bootstrap_samples = 0})
             .auroc.value.value == 0.5);
}
