#include <vitals/metrics/confusion.hpp>

#include <limits>

#include <catch2/catch.hpp>

#include <vitals/metrics/curves.hpp>

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

void check_golden(const metrics::Score& score, const test::Json& expected) {
  if (expected.is_null())
    CHECK_FALSE(score);
  else
    check_score(score, test::number(expected));
}

}  // namespace

TEST_CASE("counts: every reference case") {
  NEEDS_SHARED("goldens/metrics/counts.json");
  const auto golden = test::read_json(test::shared("goldens/metrics/counts.json"));
  REQUIRE(golden["cases"].size() >= 9);
  for (const auto& c : golden["cases"]) {
    INFO(c["name"]);
    if (c["kind"] == "binary") {
      const auto targets = test::list<std::uint8_t>(c["targets"]);
      const auto scores = test::list(c["scores"]);
      const auto counts = metrics::counts_at(targets, scores, c["threshold"]);
      CHECK(counts ==
            metrics::Counts{c["confusion"][1][1], c["confusion"][0][1], c["confusion"][1][0], c["confusion"][0][0]});
      check_golden(metrics::accuracy(counts), c["accuracy"]);
      check_golden(metrics::balanced_accuracy(counts), c["balanced_accuracy"]);
      check_golden(metrics::sensitivity(counts), c["sensitivity"]);
      check_golden(metrics::specificity(counts), c["specificity"]);
      check_golden(metrics::precision(counts), c["precision"]);
      check_golden(metrics::f1(counts), c["f1"]);
      const auto best = metrics::youden(targets, scores);
      check_golden(best.j, c["youden_j"]);
      check_golden(best.threshold, c["youden_threshold"]);
      continue;
    }
    const auto scores = test::matrix(c["scores"]);
    const std::size_t classes = scores.extent(1);
    metrics::Confusion confusion(classes);
    confusion.add(metrics::one_hot(test::list<std::size_t>(c["targets"]), classes), scores);
    for (std::size_t t = 0; t < classes; ++t)
      for (std::size_t p = 0; p < classes; ++p) CHECK(confusion(t, p) == c["confusion"][t][p].get<std::uint64_t>());
    check_golden(confusion.accuracy(), c["accuracy"]);
    check_golden(confusion.balanced_accuracy(), c["balanced_accuracy"]);
    const auto f1 = confusion.f1(), sensitivity = confusion.sensitivity();
    for (std::size_t k = 0; k < classes; ++k) {
      check_golden(f1.per_class[k], c["f1"][k]);
      check_golden(sensitivity.per_class[k], c["sensitivity"][k]);
    }
    check_golden(f1.macro, c["f1_macro"]);
  }
}

TEST_CASE("a score on the threshold is positive; infinities have a side; NaN is refused with its row") {
  const double inf = std::numeric_limits<double>::infinity();
  CHECK(metrics::counts_at(Labels{1, 0, 1, 0}, Values{0.5, 0.5, -inf, inf}) == metrics::Counts{1, 2, 1, 0});
  CHECK_THROWS_WITH(metrics::counts_at(Labels{1, 0}, Values{0.5, std::nan("")}), Catch::Contains("NaN, row 1"));
  CHECK_THROWS_AS(metrics::counts_at(Labels{1}, Values{}), vt::ShapeError);
  CHECK_THROWS_AS(metrics::counts_at(Labels{7}, Values{1}), vt::DataError);
}

TEST_CASE("quotients by hand, and 0 / 0 with its reason") {
  const metrics::Counts c{6, 2, 3, 9};
  check_score(metrics::sensitivity(c), 6.0 / 9);
  check_score(metrics::specificity(c), 9.0 / 11);
  check_score(metrics::precision(c), 6.0 / 8);
  check_score(metrics::f1(c), 12.0 / 17);
  check_score(metrics::accuracy(c), 15.0 / 20);
  check_score(metrics::balanced_accuracy(c), (6.0 / 9 + 9.0 / 11) / 2);

  const metrics::Counts only_negative{0, 0, 0, 5};
  check_none(metrics::sensitivity(only_negative), "no positive item");
  check_none(metrics::precision(only_negative), "nothing predicted positive");
  check_none(metrics::f1(only_negative), "no positive item, none predicted");
  check_score(metrics::balanced_accuracy(only_negative), 1);  // the class without items is left out
  check_none(metrics::specificity({4, 0, 1, 0}), "no negative item");
  check_none(metrics::accuracy({}), "no items");
  check_none(metrics::balanced_accuracy({}), "no items");
  check_score(metrics::f1({0, 0, 3, 1}), 0);  // positives exist, none found: a real 0
}

TEST_CASE("confusion matrix: batches add up, one class against the rest") {
  metrics::Confusion whole(3), first(3), second(3);
  vt::Rng rng(1);
  for (int i = 0; i < 200; ++i) {
    const auto t = static_cast<std::size_t>(rng.below(3)), p = static_cast<std::size_t>(rng.below(3));
    whole.add(t, p);
    (i % 2 ? first : second).add(t, p);
  }
  first += second;
  CHECK(whole.items() == 200);
  for (std::size_t t = 0; t < 3; ++t)
    for (std::size_t p = 0; p < 3; ++p) CHECK(first(t, p) == whole(t, p));
  const auto one = whole.counts(1);
  CHECK(one.total() == 200);
  CHECK(one.true_positive == whole(1, 1));
  CHECK(one.false_positive == whole(0, 1) + whole(2, 1));
  CHECK(one.false_negative == whole(1, 0) + whole(1, 2));
  check_none(metrics::Confusion(3).accuracy(), "no items");
  check_none(metrics::Confusion(3).balanced_accuracy(), "no items");
  CHECK_THROWS_AS(whole.add(3, 0), vt::ArgumentError);
  CHECK_THROWS_AS(metrics::Confusion(0), vt::ArgumentError);
  CHECK_THROWS_AS(whole += metrics::Confusion(2), vt::ShapeError);
}

TEST_CASE("rows of scores: the lowest of equal classes, all rows of a batch or none") {
  vt::Tensor<double, vt::dyn, vt::dyn> scores({2, 3}, Values{0.4, 0.4, 0.2, 0.1, 0.2, 0.2});
  auto targets = metrics::one_hot(std::vector<std::size_t>{0, 2}, 3);
  metrics::Confusion confusion(3);
  confusion.add(targets, scores);
  CHECK(confusion(0, 0) == 1);
  CHECK(confusion(2, 1) == 1);
  scores(1, 0) = std::nan("");
  CHECK_THROWS_WITH(confusion.add(targets, scores), Catch::Contains("NaN, row 1"));
  CHECK(confusion.items() == 2);
  targets(0, 1) = 1;
  CHECK_THROWS_WITH(confusion.add(targets, scores), Catch::Contains("2 classes are 1, row 0"));
  CHECK_THROWS_AS(metrics::Confusion(2).add(targets, scores), vt::Error);
  CHECK(metrics::argmax(Values{1, std::nan("")}) == -1);
  CHECK_THROWS_WITH(metrics::one_hot(std::vector<std::size_t>{0, 3}, 3), Catch::Contains("row 1"));
}
