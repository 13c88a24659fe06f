#include <vitals/eval/knn.hpp>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include <vitals/core/error.hpp>

#include "evaluation.hpp"

namespace vt = vitals;
using vt::eval::weighted_knn_scores;
using Labels = vt::Tensor<std::uint8_t, vt::dyn, vt::dyn>;

namespace {

const vt::eval::Neighbours found{
    vt::Tensor<std::uint32_t, vt::dyn, vt::dyn>({1, 3}, std::vector<std::uint32_t>{2, 0, 1}),
    vt::Tensor<double, vt::dyn, vt::dyn>({1, 3}, std::vector<double>{0.9, 0.8, 0.1})};
const Labels labels({3, 2}, std::vector<std::uint8_t>{1, 0, 0, 1, 1, 1});

}  // namespace

TEST_CASE("the weighted vote by hand") {
  const double a = std::exp(0.9 / 0.07), b = std::exp(0.8 / 0.07), c = std::exp(0.1 / 0.07);
  const auto all = weighted_knn_scores(found, labels, 3, 3);
  CHECK(all(0, 0) == Approx((a + b) / (a + b + c)).epsilon(1e-13));
  CHECK(all(0, 1) == Approx((a + c) / (a + b + c)).epsilon(1e-13));
}

TEST_CASE("the scores of a smaller k keep the softmax of the largest") {
  const double a = std::exp(0.9 / 0.07), b = std::exp(0.8 / 0.07), c = std::exp(0.1 / 0.07);
  const auto two_of_three = weighted_knn_scores(found, labels, 2, 3);
  CHECK(two_of_three(0, 0) == Approx((a + b) / (a + b + c)).epsilon(1e-13));
  CHECK(two_of_three(0, 1) == Approx(a / (a + b + c)).epsilon(1e-13));
  CHECK(weighted_knn_scores(found, labels, 2, 2)(0, 1) == Approx(a / (a + b)).epsilon(1e-13));
}

TEST_CASE("a temperature near 0 does not overflow") {
  const auto scores = weighted_knn_scores(found, labels, 3, 3, 1e-6);
  CHECK(scores(0, 0) == 1);
  CHECK(scores(0, 1) == 1);
}

TEST_CASE("the weighted vote refuses what makes no sense") {
  CHECK_THROWS_AS(weighted_knn_scores(found, labels, 0, 3), vt::ArgumentError);
  CHECK_THROWS_AS(weighted_knn_scores(found, labels, 3, 2), vt::ArgumentError);
  CHECK_THROWS_AS(weighted_knn_scores(found, labels, 4, 4), vt::ArgumentError);
  CHECK_THROWS_AS(weighted_knn_scores(found, labels, 3, 3, 0), vt::ArgumentError);
  CHECK_THROWS_AS(weighted_knn_scores(found, labels, 3, 3, std::nan("")), vt::ArgumentError);
  CHECK_THROWS_AS(weighted_knn_scores(found, Labels({2, 2}), 3, 3), vt::ShapeError);
}

TEST_CASE("goldens: DINOv2's kNN on real features") {
  for (const auto& [set, labels_of, key] : {std::array{"kermany", "labels", "dinov2.k"},
                                            {"brain", "labels", "dinov2.k"},
                                            {"kermany", "multilabel", "dinov2.multilabel.k"}}) {
    const std::string file = std::string("goldens/evaluation/knn_") + set + ".safetensors";
    NEEDS_SHARED(file);
    const auto golden = test::read_tensors(file);
    const auto features = test::golden_features(set, labels_of);
    const auto compare = [&](const vt::eval::Prediction& prediction, const std::string& name) {
      const auto& expected = golden.at(name);
      REQUIRE(prediction.scores.size() == expected.size());
      double worst = 0;
      for (std::size_t j = 0; j < expected.size(); ++j)
        worst = std::max(worst, std::abs(prediction.scores.data()[j] - expected[j]));
      CAPTURE(set, name);
      CHECK(worst < 1e-6);  // the goldens come from float32 cosines, which T = 0.07 makes 14 times coarser
    };
    const auto together = vt::eval::weighted_knn(features, {.k = {5, 10, 20}});
    for (std::size_t i = 0; i < 3; ++i) {
      const std::size_t k = std::array<std::size_t, 3>{5, 10, 20}[i];
      CHECK(together[i].name == "dinov2 k=" + std::to_string(k));
      compare(together[i], key + std::to_string(k) + ".of20");
      compare(vt::eval::weighted_knn(features, {.k = k})[0], key + std::to_string(k));
    }
  }
}
