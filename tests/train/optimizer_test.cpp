// Optimisers and schedules on small numbers worked out by hand or by the formula in double.
#include <cmath>

#include <catch2/catch.hpp>

#include "paths.hpp"
#include "training.hpp"

namespace vt = vitals;

namespace {

template <class B>
struct Two {  // a matrix and a bias
  vt::nn::Linear<5, 70, B> layer{7};
  std::vector<vt::nn::NamedParameter<B>> rows = vt::trainable(layer);

  void fill(double base) {
    for (const auto& row : rows)
      row.parameter->gradient().add([&](auto* to, bool) {
        for (std::size_t i = 0; i < row.parameter->size(); ++i)
          to[i] = static_cast<typename B::Scalar>(base * std::sin(static_cast<double>(i + 1)));
      });
  }
};

double sine(std::size_t i) { return std::sin(static_cast<double>(i + 1)); }

}  // namespace

TEMPLATE_TEST_CASE("SGD moves as its formula says", "", float, double) {
  using B = vt::Cpu<TestType>;
  for (bool nesterov : {false, true}) {
    Two<B> two;
    vt::train::Sgd optimizer(two.rows, {.lr = 0.1, .momentum = 0.9, .weight_decay = 0.01, .nesterov = nesterov});
    auto w = test::values(*two.rows[0].parameter);
    std::vector<double> expected(w.begin(), w.end()), m(w.size());
    for (int step = 0; step < 3; ++step) {
      two.fill(1 + step);
      CHECK(optimizer.step() == 0);
      CHECK(!two.rows[0].parameter->gradient().filled);
      for (std::size_t i = 0; i < m.size(); ++i) {
        const double g = (1 + step) * sine(i) + 0.01 * expected[i];
        m[i] = step ? 0.9 * m[i] + g : g;
        expected[i] -= 0.1 * (nesterov ? g + 0.9 * m[i] : m[i]);
      }
    }
    const auto got = test::values(*two.rows[0].parameter);
    for (std::size_t i = 0; i < got.size(); ++i) CHECK(static_cast<double>(got[i]) == Approx(expected[i]).margin(1e-6));
  }
}

TEMPLATE_TEST_CASE("AdamW moves as its formula says", "", float, double, vt::bfloat16) {
  using B = vt::Cpu<TestType>;
  Two<B> two;
  const vt::train::AdamWOptions o{.lr = 0.01, .weight_decay = 0.1};
  vt::train::AdamW optimizer(two.rows, o);
  const auto w = test::values(*two.rows[0].parameter);
  std::vector<double> expected(w.begin(), w.end()), m(w.size()), v(w.size());
  for (int step = 1; step <= 3; ++step) {
    two.fill(step);
    optimizer.step();
    for (std::size_t i = 0; i < m.size(); ++i) {
      const double g = step * sine(i);
      m[i] = o.beta1 * m[i] + (1 - o.beta1) * g;
      v[i] = o.beta2 * v[i] + (1 - o.beta2) * g * g;
      expected[i] *= 1 - o.lr * o.weight_decay;
      expected[i] -=
          o.lr * (m[i] / (1 - std::pow(o.beta1, step))) / (std::sqrt(v[i] / (1 - std::pow(o.beta2, step))) + o.eps);
    }
  }
  const auto got = test::values(*two.rows[0].parameter);
  for (std::size_t i = 0; i < got.size(); ++i) CHECK(static_cast<double>(got[i]) == Approx(expected[i]).margin(1e-6));
}

TEST_CASE("gradients are clipped by their common norm") {
  using B = vt::Cpu<float>;
  Two<B> two, other;
  two.fill(3);
  other.fill(3);
  double squares = 0;
  for (const auto& row : two.rows)
    for (std::size_t i = 0; i < row.parameter->size(); ++i) squares += 9 * sine(i) * sine(i);
  const double norm = std::sqrt(squares);
  vt::train::Sgd clipped(two.rows, {.lr = 1}), plain(other.rows, {.lr = 1});
  CHECK(plain.gradient_norm() == Approx(norm));
  CHECK(clipped.step(0.5) == Approx(norm));
  plain.set_lr(0.5 / (norm + 1e-6));
  plain.step();
  const auto a = test::values(*two.rows[0].parameter), b = test::values(*other.rows[0].parameter);
  for (std::size_t i = 0; i < a.size(); ++i) CHECK(a[i] == Approx(b[i]).margin(1e-6));

  const auto before = test::values(*two.rows[0].parameter);
  two.fill(std::nan(""));
  CHECK(std::isnan(clipped.step(0.5)));
  CHECK(test::values(*two.rows[0].parameter) == before);
  CHECK(!two.rows[0].parameter->gradient().filled);
}

TEST_CASE("an optimiser goes on from its saved state with the same bits") {
  using B = vt::Cpu<float>;
  test::TemporaryFolder folder;
  const auto run = [&](bool interrupted) {
    Two<B> two;
    auto optimizer = std::make_unique<vt::train::AdamW<B>>(two.rows);
    for (int step = 0; step < 6; ++step) {
      if (interrupted && step == 3) {
        vt::io::write_safetensors(folder / "state.safetensors", optimizer->state());
        optimizer = std::make_unique<vt::train::AdamW<B>>(two.rows);
        optimizer->load_state(vt::io::TensorFile::open(folder / "state.safetensors"));
        CHECK(optimizer->steps() == 3);
      }
      two.fill(step % 2 ? 1 : -2);
      optimizer->step();
    }
    return test::values(*two.rows[0].parameter);
  };
  CHECK(run(true) == run(false));
  Two<B> two;
  vt::train::Sgd<B> other(std::vector<vt::nn::NamedParameter<B>>{two.rows[0]}, {.momentum = 0.9});
  CHECK_THROWS_AS(other.load_state(vt::io::TensorFile::open(folder / "state.safetensors")), vt::DataError);
}

TEST_CASE("rates over time") {
  const vt::train::CosineSchedule plain{.lr = 2, .steps = 20};
  for (std::uint64_t i = 0; i <= 20; ++i)
    CHECK(plain.at(i) == Approx(1 + std::cos(M_PI * double(i) / 20)).margin(1e-12));
  const vt::train::CosineSchedule warm{.lr = 1, .steps = 14, .warmup = 4, .min_lr = 0.1};
  CHECK(warm.at(0) == 0.25);
  CHECK(warm.at(3) == 1);
  CHECK(warm.at(4) == 1);
  CHECK(warm.at(9) == Approx(0.55));
  CHECK(warm.at(14) == Approx(0.1));
  CHECK(warm.at(99) == Approx(0.1));
}

TEST_CASE("rates over depth") {
  static constexpr vt::ViTConfig config{.dim = 8, .depth = 3, .heads = 1, .patch = 2, .grid = 2};
  vt::ViT<config, vt::Cpu<float>> model(1);
  vt::nn::Linear<8, 2, vt::Cpu<float>> head(2);
  const auto rows = vt::trainable(model, head);
  const auto groups = vt::train::layer_groups(rows, 3, 0.5, true);
  std::size_t count = 0;
  for (const auto& group : groups)
    for (const auto& row : group.parameters) {
      ++count;
      const bool vector = row.parameter->shape().size() == 1;
      CHECK(group.weight_decay == (vector ? 0 : -1));
      if (row.name == "pos_embed") CHECK(group.lr_scale == 0.0625);
      if (row.name == "blocks.0.mlp.fc1.weight") CHECK(group.lr_scale == 0.125);
      if (row.name == "blocks.2.norm1.bias") CHECK(group.lr_scale == 0.5);
      if (row.name == "norm.weight" || row.name == "head.weight") CHECK(group.lr_scale == 1);
    }
  CHECK(count == rows.size());
  CHECK_THROWS_AS(vt::train::layer_groups(rows, 3, 0.0), vt::ArgumentError);

  vt::train::Sgd optimizer(groups, {.lr = 1});
  for (const auto& row : rows)
    row.parameter->gradient().add([&](float* to, bool) { std::fill_n(to, row.parameter->size(), 1.0f); });
  const auto before = test::values(*rows[1].parameter);  // pos_embed
  optimizer.step();
  CHECK(test::values(*rows[1].parameter)[3] == Approx(before[3] - 0.0625f));
}

TEST_CASE("rates that are none are refused") {
  using B = vt::Cpu<float>;
  Two<B> two;
  vt::train::Sgd optimizer(two.rows);
  CHECK_THROWS_AS(optimizer.set_lr(std::nan("")), vt::ArgumentError);
  CHECK_THROWS_AS(optimizer.set_lr(-1), vt::ArgumentError);
  CHECK_THROWS_AS(vt::train::Sgd(two.rows, {.nesterov = true}), vt::ArgumentError);
  CHECK_THROWS_AS(vt::train::Sgd(std::vector<vt::nn::NamedParameter<B>>{}), vt::ArgumentError);
}
