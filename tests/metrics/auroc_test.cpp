#include <vitals/metrics/auroc.hpp>

#include <limits>

#include <catch2/catch.hpp>

#include <vitals/metrics/bootstrap.hpp>
#include <vitals/metrics/confusion.hpp>
#include <vitals/metrics/curves.hpp>
#include <vitals/metrics/ranking.hpp>

#include "check_score.hpp"
#include "json.hpp"
#include "paths.hpp"

namespace vt = vitals;
namespace metrics = vitals::metrics;
using Labels = std::vector<std::uint8_t>;
using Values = std::vector<double>;
using test::check_none;
using test::check_score;

namespace {

const double inf = std::numeric_limits<double>::infinity();

// Every pair, one by one: the definition.
double pairs(const Labels& targets, const Values& scores) {
  double won = 0, all = 0;
  for (std::size_t i = 0; i < targets.size(); ++i)
    for (std::size_t j = 0; j < targets.size(); ++j)
      if (targets[i] == 1 && targets[j] == 0) {
        won += scores[i] > scores[j] ? 1 : scores[i] == scores[j] ? 0.5 : 0;
        ++all;
      }
  return won / all;
}

// For each positive item, the precision at its own score: the same sum, taken item by item.
double precision_at_positives(const Labels& targets, const Values& scores) {
  double sum = 0, positives = 0;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    if (!targets[i]) continue;
    double tp = 0, all = 0;
    for (std::size_t j = 0; j < targets.size(); ++j)
      if (scores[j] >= scores[i]) tp += targets[j], ++all;
    sum += tp / all;
    ++positives;
  }
  return sum / positives;
}

void check_against(const char* file, const char* key,
                   metrics::Score (*single)(std::span<const std::uint8_t>, std::span<const double>),
                   metrics::PerClass (*several)(metrics::Targets, metrics::Scores)) {
  const auto golden = test::read_json(test::shared(file));
  REQUIRE(golden["cases"].size() >= 15);
  for (const auto& c : golden["cases"]) {
    INFO(file << ": " << c["name"]);
    if (c["kind"] == "binary") {
      const auto score = single(test::list<std::uint8_t>(c["targets"]), test::list(c["scores"]));
      if (c[key].is_null())
        check_none(score, c["undefined"]);
      else
        check_score(score, c[key]);
      continue;
    }
    const auto scores = test::matrix(c["scores"]);
    const auto targets = c["kind"] == "multiclass"
                             ? metrics::one_hot(test::list<std::size_t>(c["targets"]), scores.extent(1))
                             : test::matrix<std::uint8_t>(c["targets"]);
    const auto result = several(targets, scores);
    REQUIRE(result.per_class.size() == c["per_class"].size());
    for (std::size_t k = 0; k < result.per_class.size(); ++k) {
      if (c["per_class"][k].is_null())
        check_none(result.per_class[k], c["undefined"][std::to_string(k)]);
      else
        check_score(result.per_class[k], c["per_class"][k]);
    }
    check_score(result.macro, c["macro"]);
    if (c.contains("macro_study")) check_score(metrics::macro_study(result.per_class), c["macro_study"]);
  }
}

}  // namespace

TEST_CASE("AUROC: every reference case") {
  NEEDS_SHARED("goldens/metrics/auroc.json");
  check_against("goldens/metrics/auroc.json", "auroc", metrics::auroc, metrics::auroc_per_class);
}

TEST_CASE("average precision: every reference case") {
  NEEDS_SHARED("goldens/metrics/average_precision.json");
  check_against("goldens/metrics/average_precision.json", "average_precision", metrics::average_precision,
                metrics::average_precision_per_class);
}

TEST_CASE("AUROC by hand") {
  check_score(metrics::auroc(Labels{0, 1}, Values{0.2, 0.7}), 1);
  check_score(metrics::auroc(Labels{1, 0}, Values{0.2, 0.7}), 0);
  check_score(metrics::auroc(Labels{0, 1, 0, 1}, Values{3, 3, 3, 3}), 0.5);
  // positives 4, 2; negatives 1, 2, 3: wins 3 + 1, one tie
  check_score(metrics::auroc(Labels{1, 1, 0, 0, 0}, Values{4, 2, 1, 2, 3}), 4.5 / 6);
  check_score(metrics::auroc(Labels{0, 1, 0, 1}, Values{-inf, inf, inf, -inf}), 0.5);
  check_score(metrics::auroc(Labels{0, 1}, Values{0.0, -0.0}), 0.5);  // -0 equals 0
  check_score(metrics::auroc(Labels{0, 1}, Values{1e300, std::nextafter(1e300, inf)}), 1);
}

TEST_CASE("average precision by hand") {
  // order +, -, +: 1/2 * 1 + 1/2 * 2/3
  check_score(metrics::average_precision(Labels{1, 0, 1}, Values{3, 2, 1}), 0.5 + 1.0 / 3);
  check_score(metrics::average_precision(Labels{1, 0, 0, 0}, Values{5, 5, 5, 5}), 0.25);
  check_score(metrics::average_precision(Labels{1, 1}, Values{1, 2}), 1);
}

TEST_CASE("what is undefined says why") {
  for (const auto metric : {metrics::auroc, metrics::average_precision}) {
    check_none(metric({}, {}), "no items");
    check_none(metric(Labels{0, 0}, Values{1, 2}), "no positive item");
    check_none(metric(Labels{0, 1}, Values{1, std::nan("")}), "score is NaN");
    check_none(metric(Labels{0, 0}, Values{1, std::nan("")}), "score is NaN");
  }
  check_none(metrics::auroc(Labels{1, 1}, Values{1, 2}), "no negative item");
  CHECK_THROWS_AS(*metrics::auroc(Labels{1, 1}, Values{1, 2}), vt::DataError);
}

TEST_CASE("against the definition, with few and many ties") {
  for (const std::size_t levels : {2, 5, 30, 1000000}) {
    const auto [targets, scores] = test::random_items(300, 0.2, levels, levels);
    check_score(metrics::auroc(targets, scores), pairs(targets, scores));
    check_score(metrics::average_precision(targets, scores), precision_at_positives(targets, scores));
  }
}

TEST_CASE("macro leaves an undefined class out, the study's variant counts 0, a NaN class leaves no mean") {
  vt::Tensor<std::uint8_t, vt::dyn, vt::dyn> targets({4, 3});
  vt::Tensor<double, vt::dyn, vt::dyn> scores({4, 3});
  for (std::size_t i = 0; i < 4; ++i) {
    targets(i, 0) = i >= 2;
    targets(i, 2) = i % 2;
    for (std::size_t k = 0; k < 3; ++k) scores(i, k) = static_cast<double>(i);
  }
  auto result = metrics::auroc_per_class(targets, scores);
  check_score(result.per_class[0], 1);
  check_none(result.per_class[1], "no positive item");
  check_score(result.per_class[2], 0.75);
  check_score(result.macro, 0.875);
  check_score(metrics::macro_study(result.per_class), 1.75 / 3);

  scores(1, 2) = std::nan("");
  result = metrics::auroc_per_class(targets, scores);
  check_score(result.per_class[0], 1);
  check_none(result.macro, "score is NaN, class 2");
  check_none(metrics::macro_study(result.per_class), "score is NaN, class 2");

  const std::vector<metrics::Score> none(2, metrics::Score::none("no items"));
  check_none(metrics::macro(none), "no class is defined: no items");
}

TEST_CASE("input that cannot be meant is refused") {
  CHECK_THROWS_AS(metrics::auroc(Labels{0, 1}, Values{1}), vt::ShapeError);
  CHECK_THROWS_WITH(metrics::auroc(Labels{0, 2}, Values{1, 2}),
                    Catch::Contains("target 2") && Catch::Contains("row 1") && Catch::Contains("0 or 1"));
  CHECK_THROWS_AS(metrics::auroc(Labels{0, 2}, Values{1, 2}), vt::DataError);
  const vt::Tensor<std::uint8_t, vt::dyn, vt::dyn> targets({2, 0}), two({2, 2});
  const vt::Tensor<double, vt::dyn, vt::dyn> scores({2, 0}), three({2, 3});
  CHECK_THROWS_AS(metrics::auroc_per_class(targets, scores), vt::ShapeError);
  CHECK_THROWS_AS(metrics::auroc_per_class(two, three), vt::ShapeError);
}

TEST_CASE("counted items give what repeated items give") {
  const auto [targets, scores] = test::random_items(120, 0.3, 12, 5);
  const metrics::Ranking ranking(targets, scores);
  vt::Rng rng(8);
  for (int round = 0; round < 20; ++round) {
    std::vector<std::uint32_t> counts(targets.size());
    for (auto& c : counts) c = static_cast<std::uint32_t>(rng.below(4));
    Labels repeated_targets;
    Values repeated_scores;
    for (const auto i : metrics::resampled_items(counts)) {
      repeated_targets.push_back(targets[i]);
      repeated_scores.push_back(scores[i]);
    }
    const auto values = ranking.values(counts);
    CHECK(*values.auroc == *metrics::auroc(repeated_targets, repeated_scores));
    check_score(values.average_precision, *metrics::average_precision(repeated_targets, repeated_scores), 1e-14);
  }
  CHECK_THROWS_AS(ranking.values(std::vector<std::uint32_t>(3)), vt::ShapeError);
}

TEST_CASE("ROC curve: points, corners, area") {
  const auto curve = metrics::roc_curve(Labels{1, 0, 1, 0}, Values{0.9, 0.8, 0.8, 0.1});
  REQUIRE(curve.points.size() == 4);
  const double expected[4][3] = {{0, 0, inf}, {0, 0.5, 0.9}, {0.5, 1, 0.8}, {1, 1, 0.1}};
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(curve.points[i].x == expected[i][0]);
    CHECK(curve.points[i].y == expected[i][1]);
    CHECK(curve.points[i].threshold == expected[i][2]);
  }
  for (const std::size_t levels : {7, 100000}) {
    const auto [targets, scores] = test::random_items(400, 0.4, levels, 3);
    const auto all = metrics::roc_curve(targets, scores), corners = metrics::roc_curve(targets, scores, true);
    CHECK(corners.points.size() <= all.points.size());
    if (levels > 1000) CHECK(corners.points.size() < all.points.size() / 2 + 100);
    for (const auto* c : {&all, &corners}) {
      double area = 0;
      for (std::size_t i = 1; i < c->points.size(); ++i)
        area += (c->points[i].x - c->points[i - 1].x) * (c->points[i].y + c->points[i - 1].y) / 2;
      test::check_value(area, *metrics::auroc(targets, scores));
    }
  }
  CHECK(metrics::roc_curve(Labels{1, 1}, Values{1, 2}).undefined == "no negative item");
  CHECK(metrics::roc_curve(Labels{1, 1}, Values{1, 2}).points.empty());
}

TEST_CASE("precision-recall curve: points; its steps sum to the average precision") {
  const auto curve = metrics::precision_recall_curve(Labels{1, 0, 1}, Values{3, 2, 1});
  REQUIRE(curve.points.size() == 4);
  const double expected[4][3] = {{0, 1, inf}, {0.5, 1, 3}, {0.5, 0.5, 2}, {1, 2.0 / 3, 1}};
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(curve.points[i].x == expected[i][0]);
    CHECK(curve.points[i].y == expected[i][1]);
    CHECK(curve.points[i].threshold == expected[i][2]);
  }
  const auto [targets, scores] = test::random_items(400, 0.4, 30, 3);
  const auto long_curve = metrics::precision_recall_curve(targets, scores).points;
  double sum = 0;
  for (std::size_t i = 1; i < long_curve.size(); ++i) sum += (long_curve[i].x - long_curve[i - 1].x) * long_curve[i].y;
  test::check_value(sum, *metrics::average_precision(targets, scores));
  CHECK(metrics::precision_recall_curve(Labels{0, 0}, Values{1, 2}).undefined == "no positive item");
}

TEST_CASE("Youden's threshold by hand") {
  auto best = metrics::youden(Labels{0, 1, 0, 1}, Values{0.1, 0.2, 0.3, 0.4});
  check_score(best.j, 0.5);
  check_score(best.threshold, 0.4);  // 0.2 has the same J: the higher wins
  best = metrics::youden(Labels{1, 1, 0, 0}, Values{1, 2, 3, 4});
  check_score(best.j, 0);
  CHECK(*best.threshold == inf);  // nothing is better than calling all negative
  check_none(metrics::youden(Labels{0, 0}, Values{1, 2}).j, "no positive item");
  check_none(metrics::youden(Labels{0, 1}, Values{1, std::nan("")}).threshold, "score is NaN");
}
