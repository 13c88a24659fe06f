#include <vitals/eval/linear_heads.hpp>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include <vitals/core/error.hpp>
#include <vitals/core/rng.hpp>

#include "evaluation.hpp"

namespace vt = vitals;
using vt::eval::FeatureLayout;
using vt::eval::HeadLoss;
using vt::eval::HeadSetting;
using vt::eval::HeadTrainer;
using vt::eval::LinearHead;
template <class S>
using Matrix = vt::Tensor<S, vt::dyn, vt::dyn>;
using Targets = Matrix<std::uint8_t>;

namespace {

const FeatureLayout small{2, 3};  // [CLS -2, CLS -1, mean patch], D = 3

Matrix<double> random_features(std::size_t n, std::size_t width, std::uint64_t seed) {
  Matrix<double> x({n, width});
  const vt::Rng rng(seed);
  for (std::size_t i = 0; i < x.size(); ++i) x.data()[i] = rng.normal_at(i);
  return x;
}

Targets random_targets(std::size_t n, std::size_t outputs, bool one, std::uint64_t seed) {
  Targets y({n, outputs});
  vt::Rng rng(seed);
  for (std::size_t i = 0; i < n; ++i)
    if (one)
      y(i, rng.below(outputs)) = 1;
    else
      for (std::size_t o = 0; o < outputs; ++o) y(i, o) = rng.below(2) != 0;
  return y;
}

// The loss of the formula, in double, at these weights.
double loss_of(const LinearHead<double>& head, const FeatureLayout& layout, const Matrix<double>& x, const Targets& y,
               HeadLoss kind) {
  const std::size_t n = x.extent(0), outputs = head.outputs();
  double loss = 0;
  for (std::size_t i = 0; i < n; ++i) {
    std::vector<double> z(head.bias);
    for (std::size_t o = 0; o < outputs; ++o)
      for (std::size_t d = 0; d < head.inputs(); ++d) z[o] += head.weight(o, d) * x(i, layout.offset(head.setting) + d);
    double sum = 0;
    for (double v : z) sum += std::exp(v);
    for (std::size_t o = 0; o < outputs; ++o) {
      const double p = 1 / (1 + std::exp(-z[o]));
      if (kind == HeadLoss::cross_entropy)
        loss -= y(i, o) ? std::log(std::exp(z[o]) / sum) / n : 0;
      else
        loss -= (y(i, o) ? std::log(p) : std::log(1 - p)) / outputs / (kind == HeadLoss::bce ? n : 1);
    }
  }
  return loss;
}

}  // namespace

TEST_CASE("a head's input is a slice of the row") {
  CHECK(small.width() == 9);
  CHECK(small.offset({2, false, 0.1}) == 0);
  CHECK(small.inputs({2, false, 0.1}) == 6);
  CHECK(small.offset({1, true, 0.1}) == 3);
  CHECK(small.inputs({1, true, 0.1}) == 6);
  CHECK_THROWS_AS(small.offset({3, false, 0.1}), vt::ArgumentError);
  CHECK_THROWS_AS(small.offset({0, true, 0.1}), vt::ArgumentError);
  CHECK(name(HeadSetting{4, true, 0.01}) == "blocks=4 avgpool=1 lr=0.01");
  CHECK(name(HeadSetting{1, false, 1e-3}) == "blocks=1 avgpool=0 lr=0.001");
}

TEST_CASE("the first step descends along the loss's gradient (finite differences)") {
  vt::ThreadPool pool(1);
  for (auto kind : {HeadLoss::bce, HeadLoss::bce_batch_sum, HeadLoss::cross_entropy})
    for (std::size_t outputs : {std::size_t{1}, std::size_t{3}}) {
      if (kind == HeadLoss::cross_entropy && outputs == 1) continue;
      const auto x = random_features(7, small.width(), 1);
      const auto y = random_targets(7, outputs, kind == HeadLoss::cross_entropy, 2);
      LinearHead<double> head{{1, true, 0.5}, random_features(outputs, 6, 3), std::vector<double>(outputs, 0.1)};
      HeadTrainer<double> trainer({head}, small, kind, 10);
      CHECK(trainer.step(x, y, pool)[0] == Approx(loss_of(head, small, x, y, kind)).epsilon(1e-12));
      const auto& after = trainer.heads()[0];
      for (std::size_t i = 0; i <= head.weight.size(); ++i) {
        auto up = head, down = head;
        const bool bias = i == head.weight.size();
        (bias ? up.bias[0] : up.weight.data()[i]) += 1e-5;
        (bias ? down.bias[0] : down.weight.data()[i]) -= 1e-5;
        const double gradient = (loss_of(up, small, x, y, kind) - loss_of(down, small, x, y, kind)) / 2e-5;
        const double moved = bias ? head.bias[0] - after.bias[0] : head.weight.data()[i] - after.weight.data()[i];
        CHECK(moved / 0.5 == Approx(gradient).margin(1e-8));  // the rate of the first step is lr itself
      }
    }
}

TEST_CASE("momentum 0.9 and the cosine by hand") {
  // One input that is always 1, target 1: g = sigmoid(w) - 1; no use of the bias beyond the same rule.
  const FeatureLayout one{1, 1};
  vt::ThreadPool pool(1);
  Matrix<double> x({1, 2}, std::vector<double>{1, 0});
  Targets y({1, 1}, std::vector<std::uint8_t>{1});
  HeadTrainer<double> trainer({{{1, false, 0.2}, Matrix<double>({1, 1}), {0.0}}}, one, HeadLoss::bce, 4);
  double w = 0, v = 0;
  for (int t = 0; t < 4; ++t) {
    const double z = 2 * w;  // weight and bias move alike
    CHECK(trainer.step(x, y, pool)[0] == Approx(std::log1p(std::exp(-z))).epsilon(1e-14));
    v = 0.9 * v + (1 / (1 + std::exp(-z)) - 1);
    w -= 0.2 * (1 + std::cos(std::acos(-1.0) * t / 4)) / 2 * v;
    CHECK(trainer.heads()[0].weight(0, 0) == Approx(w).epsilon(1e-14));
    CHECK(trainer.heads()[0].bias[0] == Approx(w).epsilon(1e-14));
  }
  CHECK_THROWS_AS(trainer.step(x, y, pool), vt::ArgumentError);
}

TEST_CASE("heads train independently of each other") {
  vt::ThreadPool pool(2);
  const std::vector<HeadSetting> settings{{1, false, 0.1}, {2, true, 0.05}, {2, false, 0.2}};
  const auto heads = vt::eval::initial_heads<double>(settings, small, 2, 7);
  HeadTrainer<double> together(heads, small, HeadLoss::bce, 5), alone({heads[1]}, small, HeadLoss::bce, 5);
  for (int t = 0; t < 5; ++t) {
    const auto x = random_features(6, 9, 10 + t);
    const auto y = random_targets(6, 2, false, 20 + t);
    CHECK(together.step(x, y, pool)[1] == alone.step(x, y, pool)[0]);
  }
  CHECK(std::equal(alone.heads()[0].weight.begin(), alone.heads()[0].weight.end(), together.heads()[1].weight.begin()));
}

TEST_CASE("initial weights: N(0, 0.01), the same for all rates of one input, by seed") {
  const FeatureLayout layout{4, 384};
  const std::vector<HeadSetting> settings{{1, false, 0.1}, {1, false, 0.5}, {1, true, 0.1}, {4, true, 0.1}};
  const auto heads = vt::eval::initial_heads<float>(settings, layout, 3, 0);
  CHECK(std::equal(heads[0].weight.begin(), heads[0].weight.end(), heads[1].weight.begin()));
  CHECK(!std::equal(heads[0].weight.begin(), heads[0].weight.end(), heads[2].weight.begin()));
  double sum = 0, squares = 0;
  for (float w : heads[3].weight) sum += w, squares += double(w) * w;
  const double n = static_cast<double>(heads[3].weight.size());
  CHECK(std::abs(sum / n) < 4 * 0.01 / std::sqrt(n));
  CHECK(std::sqrt(squares / n) == Approx(0.01).epsilon(0.03));
  CHECK(heads[3].bias == std::vector<float>(3));
  const auto other = vt::eval::initial_heads<float>(settings, layout, 3, 1);
  CHECK(!std::equal(heads[0].weight.begin(), heads[0].weight.end(), other[0].weight.begin()));
}

TEST_CASE("batches: every epoch is a new order of all items, batches cross its border") {
  const auto order = vt::eval::batch_order(10, 4, 10, 0);  // four epochs
  std::set<std::vector<std::uint32_t>> epochs;
  for (std::size_t e = 0; e < 4; ++e) {
    std::vector<std::uint32_t> epoch(order.data() + e * 10, order.data() + (e + 1) * 10);
    epochs.insert(epoch);
    std::sort(epoch.begin(), epoch.end());
    for (std::uint32_t i = 0; i < 10; ++i) CHECK(epoch[i] == i);
  }
  CHECK(epochs.size() == 4);
  const auto other = vt::eval::batch_order(10, 4, 10, 1);
  CHECK(!std::equal(order.begin(), order.end(), other.begin()));
  CHECK_THROWS_AS(vt::eval::batch_order(10, 11, 1, 0), vt::ArgumentError);
  CHECK_THROWS_AS(vt::eval::batch_order(10, 0, 1, 0), vt::ArgumentError);
}

TEST_CASE("the same bits for any number of threads") {
  const FeatureLayout layout{3, 37};
  const std::vector<HeadSetting> settings{{1, false, 0.1}, {3, true, 0.05}, {2, true, 0.2}};
  std::vector<std::vector<float>> weights;
  for (unsigned threads : {1u, 2u, 3u}) {
    vt::ThreadPool pool(threads);
    HeadTrainer<float> trainer(vt::eval::initial_heads<float>(settings, layout, 3, 0), layout, HeadLoss::cross_entropy,
                               20);
    for (std::size_t t = 0; t < 20; ++t) {
      const auto x = random_features(70, layout.width(), t);
      const std::vector<float> single(x.begin(), x.end());
      trainer.step(Matrix<float>(x.shape(), single), random_targets(70, 3, true, t), pool);
    }
    auto& all = weights.emplace_back();
    for (const auto& head : trainer.heads()) {
      all.insert(all.end(), head.weight.begin(), head.weight.end());
      all.insert(all.end(), head.bias.begin(), head.bias.end());
    }
  }
  CHECK(weights[0] == weights[1]);
  CHECK(weights[0] == weights[2]);
}

TEST_CASE("logits of a head") {
  vt::ThreadPool pool(2);
  LinearHead<float> head{{1, true, 0.1}, Matrix<float>({2, 6}), {0.5f, -1}};
  for (std::size_t i = 0; i < 12; ++i) head.weight.data()[i] = static_cast<float>(i);
  Matrix<float> x({1, 9});
  for (std::size_t i = 0; i < 9; ++i) x(0, i) = static_cast<float>(i);
  const auto logits = vt::eval::head_logits(head, small, x, pool);
  CHECK(logits(0, 0) == 100 + 0.5);  // (0..5) . (3..8)
  CHECK(logits(0, 1) == 298 - 1);    // (6..11) . (3..8)
}

TEST_CASE("heads that do not fit are refused") {
  vt::ThreadPool pool(1);
  const LinearHead<float> good{{1, true, 0.1}, Matrix<float>({2, 6}), {0, 0}};
  auto bad = good;
  bad.setting.avgpool = false;
  CHECK_THROWS_AS(HeadTrainer<float>({bad}, small, HeadLoss::bce, 1), vt::ShapeError);
  bad = good;
  bad.setting.lr = std::nan("");
  CHECK_THROWS_AS(HeadTrainer<float>({bad}, small, HeadLoss::bce, 1), vt::ArgumentError);
  CHECK_THROWS_AS(HeadTrainer<float>({}, small, HeadLoss::bce, 1), vt::ArgumentError);
  CHECK_THROWS_AS(HeadTrainer<float>({good}, small, HeadLoss::bce, 0), vt::ArgumentError);
  HeadTrainer<float> trainer({good}, small, HeadLoss::bce, 1);
  CHECK_THROWS_AS(trainer.step(Matrix<float>({2, 8}), Targets({2, 2}), pool), vt::ShapeError);
  CHECK_THROWS_AS(trainer.step(Matrix<float>({2, 9}), Targets({2, 1}), pool), vt::ShapeError);
  CHECK_THROWS_AS(trainer.step(Matrix<float>({0, 9}), Targets({0, 2}), pool), vt::ShapeError);
}

// 16 heads, 35 steps of 32 real images: the loss of every step and the final weights.
template <class S>
void compare_with_golden(const std::string& task) {
  const std::string file = "goldens/evaluation/probe_" + task + ".safetensors";
  NEEDS_SHARED(file);
  const auto golden = test::read_tensors(file);
  const auto about = test::read_json(test::shared("goldens/evaluation/probe.json"))[task];
  const auto set = about["features"].get<std::string>() == "features_brain.safetensors" ? "brain" : "kermany";
  const auto features = test::golden_features(set, about["labels"]);
  const auto outputs = about["classes"].get<std::size_t>();
  const HeadLoss kind = task == "binary"       ? HeadLoss::bce
                        : task == "multiclass" ? HeadLoss::cross_entropy
                                               : HeadLoss::bce_batch_sum;

  const FeatureLayout layout{4, 384};
  std::vector<LinearHead<S>> heads;
  for (std::size_t blocks : {1, 4})
    for (bool avgpool : {false, true})
      for (double lr : {1e-3, 5e-3, 1e-2, 5e-2}) {
        const HeadSetting setting{blocks, avgpool, lr};
        const auto& init = golden.at("init.blocks" + std::to_string(blocks) + ".avgpool" + (avgpool ? "1" : "0"));
        heads.push_back({setting,
                         Matrix<S>({outputs, layout.inputs(setting)}, std::vector<S>(init.begin(), init.end())),
                         std::vector<S>(outputs)});
        REQUIRE(about["heads"][heads.size() - 1]["name"] == name(setting));
      }
  vt::ThreadPool pool(2);
  HeadTrainer<S> trainer(heads, layout, kind, 35);
  const auto& order = golden.at("order");
  std::vector<double> worst(16);
  for (std::size_t t = 0; t < 35; ++t) {
    Matrix<S> x({32, layout.width()});
    Targets y({32, outputs});
    for (std::size_t b = 0; b < 32; ++b) {
      const auto i = static_cast<std::size_t>(order[t * 32 + b]);
      std::copy_n(&features.cls(i, 0, 0), 4 * 384, &x(b, 0));
      std::copy_n(&features.avgpool(i, 0), 384, &x(b, 4 * 384));
      for (auto label : features.dataset.items[i].labels)
        if (outputs > 1)
          y(b, label) = 1;
        else
          y(b, 0) = label == 1;
    }
    const auto loss = trainer.step(x, y, pool);
    for (std::size_t h = 0; h < 16; ++h) {
      const double expected = golden.at("loss")[t * 16 + h];
      worst[h] = std::max(worst[h], std::abs(loss[h] - expected) / std::abs(expected));
    }
  }
  for (std::size_t h = 0; h < 16; ++h) {
    const auto& note = about["heads"][h];
    CAPTURE(task, note["name"].get<std::string>());
    // Where a head amplifies rounding, another order of sums is another float32 run: PyTorch's own error of one run,
    // which the golden notes, is the scale, not a bound.
    const bool exact = sizeof(S) == 8;
    constexpr double runs = 30;
    CHECK(worst[h] < (exact ? 1e-9 : runs * note["float32_loss_error"].get<double>()));
    const auto& weight = golden.at("weight." + std::to_string(h));
    const auto& bias = golden.at("bias." + std::to_string(h));
    const auto& head = trainer.heads()[h];
    double largest = 0, off = 0;
    for (std::size_t i = 0; i < weight.size(); ++i) {
      largest = std::max(largest, std::abs(weight[i]));
      off = std::max(off, std::abs(weight[i] - head.weight.data()[i]));
    }
    for (std::size_t o = 0; o < outputs; ++o) off = std::max(off, std::abs(bias[o] - head.bias[o]));
    // The golden weights are stored as float32.
    CHECK(off / largest < (exact ? 1e-7 : std::max(1e-6, runs * note["float32_weight_error"].get<double>())));
  }
}

TEST_CASE("goldens: the probe's trajectories in double") {
  for (const char* task : {"binary", "multiclass", "multilabel"}) compare_with_golden<double>(task);
}

TEST_CASE("goldens: the probe's trajectories in float") {
  for (const char* task : {"binary", "multiclass", "multilabel"}) compare_with_golden<float>(task);
}
