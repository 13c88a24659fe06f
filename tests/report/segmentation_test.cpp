#include <vitals/report/segmentation.hpp>

#include <catch2/catch.hpp>

#include <vitals/core/error.hpp>
#include <vitals/report/mask_overlay.hpp>

namespace vt = vitals;
namespace report = vitals::report;
using Catch::Matchers::Contains;
using Mask = vt::Tensor<std::uint8_t, vt::dyn, vt::dyn>;

TEST_CASE("lines of a report: names, per class, what was skipped; cases one by one, ranked") {
  std::vector<vt::metrics::CaseMetrics> cases;
  for (std::size_t i = 0; i < 4; ++i) {
    vt::Tensor<std::uint8_t, vt::dyn, vt::dyn, vt::dyn> prediction({1, 4, 6}), reference({1, 4, 6});
    for (std::size_t j = 0; j < 6; ++j) reference.data()[j] = 1;
    for (std::size_t j = 0; j < (i == 3 ? 0 : 3 + i); ++j) prediction.data()[j] = 1;
    if (i == 2) reference(0, 3, 3) = prediction(0, 3, 3) = 2;
    cases.push_back(vt::metrics::case_metrics(prediction, reference, 3, {1, 1, 1}));
  }
  const std::vector<std::string> classes{"background", "lung", "node"};
  const auto results = report::segmentation_results("unet", "test", classes, cases, {.bootstrap = 100});
  CHECK(results[0].name == "unet per volume");
  CHECK(results[0].metric == "dice");
  CHECK(results[0].n == 4);
  REQUIRE(results[0].per_class.size() == 2);
  CHECK(results[0].per_class[0].first == "lung");
  CHECK(*results[0].per_class[0].second == Approx((6.0 / 9 + 8.0 / 10 + 10.0 / 11 + 0) / 4));
  REQUIRE(results[0].skipped.size() == 1);
  CHECK(results[0].skipped[0] == std::pair<std::string, std::size_t>("node", 3));
  const auto json = report::to_json(
      {"segment", "0", {}, results, {}, 0, {}, report::case_records({"a", "b", "c", "d"}, classes, cases)});
  CHECK_THAT(json,
             Contains("\"skipped\": {\n        \"node\": 3") && Contains("\"path\": \"c\"") && Contains("\"hd95\""));
  CHECK(report::cases_by_dice(cases) == std::vector<std::size_t>{2, 1, 0, 3});
  CHECK_THROWS_AS(report::segmentation_results("", "test", {"background", "lung"}, cases), vt::ShapeError);
  CHECK_THROWS_AS(report::case_records({"a"}, classes, cases), vt::ShapeError);
}

TEST_CASE("overlays: contours in full colour, fills mixed, background untouched, small images enlarged") {
  vt::Tensor<std::uint8_t, vt::dyn, vt::dyn, vt::dyn> pixels({6, 8, 1});
  std::fill(pixels.begin(), pixels.end(), std::uint8_t{100});
  const vt::io::Image image{pixels};
  Mask mask({6, 8});
  for (std::size_t y = 1; y < 5; ++y)
    for (std::size_t x = 1; x < 6; ++x) mask(y, x) = 2;
  const auto picture = report::shown(image);
  CHECK(picture(0u, 0u, 2u) == 100);
  const auto over = report::with_mask(picture, mask, 0.5);
  const auto colour = report::class_colour(2);
  CHECK(over(0u, 0u, 0u) == 100);
  CHECK(over(1u, 1u, 0u) == colour[0]);
  CHECK(over(2u, 2u, 2u) == std::lround((100 + colour[2]) / 2.0));
  CHECK(report::with_contour(picture, mask, {1, 2, 3})(1u, 5u, 2u) == 3);
  CHECK(report::with_contour(picture, mask, {1, 2, 3})(2u, 3u, 2u) == 100);
  const auto three = report::compared(image, mask, mask, 48);
  CHECK(three.extent(0) == 36);
  CHECK(three.extent(1) == 3 * 48 + 16);
  CHECK(report::class_colour(1) != report::class_colour(2));
  CHECK_THROWS_AS(report::with_mask(picture, Mask({6, 7})), vt::ShapeError);
  const std::vector<report::Picture> both{picture, three};
  CHECK(report::stacked(both, 4).extent(0) == 6 + 4 + 36);
  CHECK_THROWS_AS(report::stacked({}), vt::ShapeError);
  vt::Tensor<float, vt::dyn, vt::dyn, vt::dyn> numbers({1, 2, 1});
  numbers(0u, 1u, 0u) = -1000;
  CHECK(report::shown(vt::io::Image{numbers})(0u, 0u, 0u) == 255);
  CHECK(report::shown(vt::io::Image{numbers})(0u, 1u, 0u) == 0);
  CHECK(report::best_median_worst(9) == std::vector<std::size_t>{0, 1, 4, 5, 7, 8});
  CHECK(report::best_median_worst(3) == std::vector<std::size_t>{0, 1, 2});
  CHECK(report::best_median_worst(1, 1) == std::vector<std::size_t>{0});
}
