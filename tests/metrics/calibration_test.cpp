#include <vitals/metrics/calibration.hpp>

#include <catch2/catch.hpp>

#include <vitals/metrics/confusion.hpp>

#include "check_score.hpp"
#include "json.hpp"
#include "paths.hpp"

namespace vt = vitals;
namespace metrics = vitals::metrics;
using Labels = std::vector<std::uint8_t>;
using Values = std::vector<double>;
using test::check_none;
using test::check_score;

TEST_CASE("calibration: every reference case") {
  NEEDS_SHARED("goldens/metrics/calibration.json");
  const auto golden = test::read_json(test::shared("goldens/metrics/calibration.json"));
  REQUIRE(golden["cases"].size() >= 4);
  for (const auto& c : golden["cases"]) {
    INFO(c["name"]);
    if (c["kind"] == "binary") {
      const auto targets = test::list<std::uint8_t>(c["targets"]);
      const auto scores = test::list(c["scores"]);
      check_score(metrics::ece(targets, scores), c["ece15"]);
      check_score(metrics::brier(targets, scores), c["brier"]);
    } else {
      const auto scores = test::matrix(c["scores"]);
      const auto targets = metrics::one_hot(test::list<std::size_t>(c["targets"]), scores.extent(1));
      check_score(metrics::ece_multiclass(targets, scores), c["ece15"]);
      check_score(metrics::brier_multiclass(targets, scores), c["brier"]);
    }
  }
}

TEST_CASE("ECE by hand: bins, and a score of exactly 1 in the last one") {
  // bins of 1/2: {0.1, 0.3} with one hit, {0.5, 1.0} with one hit; |0.4 - 1| + |1.5 - 1| over 4
  check_score(metrics::ece(Labels{0, 1, 0, 1}, Values{0.1, 0.3, 0.5, 1.0}, 2), 1.1 / 4);
  check_score(metrics::ece(Labels{1, 0}, Values{1, 0}), 0);
  metrics::Calibration calibration;
  for (const double p : {0.0, 0.05, 0.95, 1.0}) calibration.add(p, p > 0.5);
  CHECK(calibration.bins().front().items == 2);
  CHECK(calibration.bins().back().items == 2);
  CHECK(calibration.bins().back().hits == 2);
  for (std::size_t k = 0; k < 15; ++k)
    CHECK(metrics::Calibration::bin_of(static_cast<double>(k) / 15, 15) == k);  // [a, b)
}

TEST_CASE("Brier by hand") {
  check_score(metrics::brier(Labels{0, 1}, Values{0.5, 0.8}), (0.25 + 0.04) / 2);
  const vt::Tensor<double, vt::dyn, vt::dyn> scores({2, 3}, Values{0, 0, 1, 0.5, 0.25, 0.25});
  const auto targets = metrics::one_hot(std::vector<std::size_t>{0, 0}, 3);
  check_score(metrics::brier_multiclass(targets, scores), (2 + 0.25 + 0.0625 + 0.0625) / 2);
  check_score(metrics::ece_multiclass(targets, scores), (1 + 0.5) / 2);  // sure and wrong; half sure and right
}

TEST_CASE("what is no probability has no Brier score and no ECE") {
  for (const auto metric : {+[](const Labels&t, const Values&s) { return metrics::brier(t, s); },
                            +[](const Labels&t, const Values&s) { return metrics::ece(t, s); }}) {
    check_none(metric({}, {}), "no items");
    check_none(metric({0, 1}, {0.5, 1.0001}), "score outside 0..1");
    check_none(metric({0, 1}, {-3, 0.5}), "score outside 0..1");
    check_none(metric({0, 1}, {0.5, std::nan("")}), "score is NaN");
    CHECK_THROWS_AS(metric({0}, {0.5, 0.5}), vt::ShapeError);
    CHECK_THROWS_AS(metric({3}, {0.5}), vt::DataError);
  }
  CHECK_THROWS_AS(metrics::ece(Labels{0}, Values{0.5}, 0), vt::ArgumentError);
  metrics::Calibration calibration(10);
  CHECK_THROWS_AS(calibration.add(std::nan(""), true), vt::DataError);
  CHECK_THROWS_AS(calibration.add(-0.1, true), vt::DataError);
  check_none(calibration.ece(), "no items");
}
