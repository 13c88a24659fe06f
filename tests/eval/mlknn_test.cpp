#include <vitals/eval/mlknn.hpp>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include <vitals/core/error.hpp>
#include <vitals/core/rng.hpp>

#include "evaluation.hpp"

namespace vt = vitals;
using vt::data::Split;
using Labels = vt::Tensor<std::uint8_t, vt::dyn, vt::dyn>;

namespace {

vt::eval::Neighbours neighbours_of(std::vector<std::uint32_t> index, std::size_t rows) {
  const std::size_t k = index.size() / rows;
  return {vt::Tensor<std::uint32_t, vt::dyn, vt::dyn>({rows, k}, index),
          vt::Tensor<double, vt::dyn, vt::dyn>({rows, k})};
}

vt::eval::FeatureSet random_features(std::size_t n) {
  vt::eval::FeatureSet features;
  features.dataset.classes = {"a", "b", "c"};
  features.dataset.task = vt::data::Task::multilabel;
  features.cls = vt::Tensor<float, vt::dyn, vt::dyn, vt::dyn>({n, 2, 6});
  features.avgpool = vt::Tensor<float, vt::dyn, vt::dyn>({n, 6});
  const vt::Rng rng(3);
  for (std::size_t i = 0; i < features.cls.size(); ++i) features.cls.data()[i] = static_cast<float>(rng.normal_at(i));
  for (std::size_t i = 0; i < n; ++i) {
    std::vector<std::size_t> labels;
    for (std::size_t c = 0; c < 3; ++c)
      if (features.cls(i, 1, c) > 0.2f) labels.push_back(c);
    const Split split = i % 4 == 0 ? Split::test : i % 4 == 1 ? Split::val : Split::train;
    features.dataset.items.push_back({"image" + std::to_string(i), labels, split, ""});
  }
  return features;
}

}  // namespace

TEST_CASE("MLkNN by hand") {
  // Four training items, two labels, k = 2; each item is its own nearest neighbour.
  const Labels labels({4, 2}, std::vector<std::uint8_t>{1, 0, 1, 0, 0, 1, 0, 0});
  const auto of_train = neighbours_of({0, 1, 1, 0, 2, 3, 3, 1}, 4);
  const auto of_query = neighbours_of({0, 1, 2, 0}, 2);
  const auto scores = vt::eval::mlknn_scores(of_train, labels, of_query, 2);
  // Label 0: p1 = (1 + 2) / (2 + 4) = 1/2. Items with it: votes 2, 2; without: 0, 1.
  //   votes 2: P(2|1) = (1 + 2) / (3 + 2), P(2|0) = 1 / 5: 3/4. Votes 1: P(1|1) = 1 / 5, P(1|0) = 2 / 5: 1/3.
  CHECK(scores(0, 0) == Approx(0.75).epsilon(1e-15));
  CHECK(scores(1, 0) == Approx(1.0 / 3).epsilon(1e-15));
  // Label 1: p1 = 1/3. With it: votes 1; without: 0, 0, 0. Query 0 has 0 votes: 1/3 * 1/4 against 2/3 * 4/6.
  CHECK(scores(0, 1) == Approx((1.0 / 12) / (1.0 / 12 + 4.0 / 9)).epsilon(1e-15));
  CHECK(scores(1, 1) == Approx((1.0 / 3 * 2 / 4) / (1.0 / 3 * 2 / 4 + 2.0 / 3 / 6)).epsilon(1e-15));
}

TEST_CASE("k equal to the training set says the same of every image") {
  const auto features = random_features(40);
  const auto predictions = vt::eval::mlknn(features, {.k = 30});
  REQUIRE(predictions.size() == 1);
  const auto& scores = predictions[0].scores;
  for (std::size_t r = 1; r < scores.extent(0); ++r)
    for (std::size_t c = 0; c < 3; ++c) CHECK(scores(r, c) == scores(0, c));
}

TEST_CASE("one prediction for each k, of the test images, from train and val") {
  const auto features = random_features(40);
  const auto both = vt::eval::mlknn(features, {.k = {5, 3}});
  REQUIRE(both.size() == 2);
  CHECK(both[0].name == "mlknn k=5");
  CHECK(both[1].name == "mlknn k=3");
  CHECK(both[0].items == std::vector<std::size_t>{0, 4, 8, 12, 16, 20, 24, 28, 32, 36});
  const auto alone = vt::eval::mlknn(features, {.k = 3});
  CHECK(std::equal(alone[0].scores.begin(), alone[0].scores.end(), both[1].scores.begin()));
  const auto few = vt::eval::mlknn(features, {.k = 3, .train = std::vector<std::size_t>{1, 2, 3, 5, 6}});
  CHECK(!std::equal(few[0].scores.begin(), few[0].scores.end(), both[1].scores.begin()));
}

TEST_CASE("the same bits for any number of threads") {
  const auto features = random_features(400);
  std::vector<vt::Tensor<double, vt::dyn, vt::dyn>> scores;
  for (unsigned threads : {1u, 2u, 3u}) {
    vt::ThreadPool pool(threads);
    scores.push_back(vt::eval::mlknn(features, {.k = 10, .executor = &pool})[0].scores);
  }
  for (const auto& s : scores) CHECK(std::equal(s.begin(), s.end(), scores[0].begin()));
}

TEST_CASE("MLkNN refuses what makes no sense") {
  auto features = random_features(40);
  CHECK_THROWS_WITH(vt::eval::mlknn(features, {.k = {10, 31}}), Catch::Contains("k = 31") && Catch::Contains("30"));
  CHECK_THROWS_AS(vt::eval::mlknn(features, {.k = 0}), vt::ArgumentError);
  CHECK_THROWS_AS(vt::eval::mlknn(features, {.k = {}}), vt::ArgumentError);
  CHECK_THROWS_AS(vt::eval::mlknn(features, {.k = 1, .train = std::vector<std::size_t>{40}}), vt::ArgumentError);
  CHECK_THROWS_WITH(vt::eval::mlknn(features, {.k = 1, .train = std::vector<std::size_t>{1, 4}}),
                    Catch::Contains("image4") && Catch::Contains("split test"));
  features.cls(13, 1, 2) = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_WITH(vt::eval::mlknn(features, {.k = 3}), Catch::Contains("image13"));
  features = random_features(40);
  for (auto& item : features.dataset.items) item.split = Split::test;
  CHECK_THROWS_AS(vt::eval::mlknn(features, {.k = 3}), vt::DataError);
  for (auto& item : features.dataset.items) item.split = Split::train;
  CHECK_THROWS_AS(vt::eval::mlknn(features, {.k = 3}), vt::DataError);
  features.dataset.items.pop_back();
  CHECK_THROWS_AS(vt::eval::mlknn(features, {.k = 3}), vt::ShapeError);
}

TEST_CASE("a class that no training image has gets a score, not a crash") {
  auto features = random_features(40);
  for (auto& item : features.dataset.items)
    if (item.split != Split::test) std::erase(item.labels, 2u);
  const auto scores = vt::eval::mlknn(features, {.k = 3})[0].scores;
  for (std::size_t r = 0; r < 10; ++r) CHECK((scores(r, 2) > 0 && scores(r, 2) < 0.2));
}

TEST_CASE("goldens: MLkNN on real features") {
  for (const auto& [set, labels, key] : {std::array{"kermany", "labels", "mlknn.k"},
                                         {"brain", "labels", "mlknn.k"},
                                         {"kermany", "multilabel", "mlknn.multilabel.k"}}) {
    const std::string file = std::string("goldens/evaluation/knn_") + set + ".safetensors";
    NEEDS_SHARED(file);
    const auto golden = test::read_tensors(file);
    const auto predictions = vt::eval::mlknn(test::golden_features(set, labels), {.k = {5, 10, 20}});
    for (std::size_t i = 0; i < 3; ++i) {
      const std::size_t k = std::array<std::size_t, 3>{5, 10, 20}[i];
      const auto& expected = golden.at(key + std::to_string(k));
      const auto& scores = predictions[i].scores;
      REQUIRE(scores.size() == expected.size());
      double worst = 0;
      for (std::size_t j = 0; j < expected.size(); ++j)
        worst = std::max(worst, std::abs(scores.data()[j] - expected[j]));
      CAPTURE(set, labels, k);
      CHECK(worst < 1e-12);
    }
  }
}
