#include <vitals/train/position.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include <catch2/catch.hpp>

namespace train = vitals::train;

TEST_CASE("The best values that val has seen are kept, with the mean loss of each evaluation") {
  std::vector<float> values{1, 2};
  const std::vector<train::TrainableRow> rows{
      {"w",
       {2},
       [&](std::span<float> to) { std::copy(values.begin(), values.end(), to.begin()); },
       [&](std::span<const float>) {}}};
  train::Position at;
  CHECK(train::detail::last_loss(at) == 0);
  CHECK(train::detail::best_score(at) == -INFINITY);
  const auto evaluate = [&](std::uint64_t step, double score, double loss) {
    at.step = step;
    at.loss_sum = 2 * loss;
    at.loss_count = 2;
    CHECK(train::detail::last_loss(at) == loss);
    train::detail::add_evaluation(at, score, rows);
    CHECK(at.evaluations.back().loss == loss);
    CHECK(train::detail::last_loss(at) == loss);
    CHECK(at.loss_count == 0);
  };
  evaluate(10, NAN, 4);  // the first is kept whatever it is
  CHECK(at.best_step == 10);
  values = {3, 4};
  evaluate(20, 0.25, 3);
  values = {5, 6};
  evaluate(30, 0.5, 2);
  values = {7, 8};
  evaluate(40, 0.5, 1);  // not above
  CHECK(at.best_step == 30);
  CHECK(at.best == std::vector<std::vector<float>>{{5, 6}});
  CHECK(train::detail::best_score(at) == 0.5);
}

TEST_CASE("The median of an even number is the upper one of the middle") {
  CHECK(train::detail::median({}) == 0);
  CHECK(train::detail::median({3, 1, 2}) == 2);
  CHECK(train::detail::median({4, 1, 3, 2}) == 3);
}
