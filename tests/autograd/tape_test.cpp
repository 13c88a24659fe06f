// The tape as a whole: gradients of small models against finite differences in double, the same bits with checkpoints and
// with any number of threads, and nothing recorded for what is frozen.
#include <algorithm>
#include <set>

#include <catch2/catch.hpp>

#include "goldens.hpp"
#include "training.hpp"

namespace vt = vitals;
using vt::dyn;

namespace {

inline constexpr vt::ViTConfig plain{.dim = 24, .depth = 2, .heads = 3, .patch = 4, .grid = 3};
inline constexpr vt::ViTConfig gated{.dim = 16,
                                     .depth = 2,
                                     .heads = 2,
                                     .patch = 4,
                                     .grid = 2,
                                     .registers = 2,
                                     .mlp = vt::Mlp::swiglu,
                                     .positions = vt::Positions::antialias};

const std::vector<std::size_t> labels{0, 2, 1};

template <vt::ViTConfig Config, class B>
struct Classifier {
  vt::ViT<Config, B> backbone;
  vt::nn::Linear<Config.dim, 3, B> head;

  explicit Classifier(std::uint64_t seed) { test::randomize(table(), seed); }
  std::vector<vt::nn::NamedParameter<B>> table() {
    auto all = backbone.parameters();
    for (const auto& row : vt::nn::parameters<B>(head)) all.push_back({"head." + row.name, row.parameter});
    return all;
  }
  /// Of the CLS token, or of every patch where the model has registers, so that both ways are taken.
  auto loss(vt::Tape<B>& tape, vt::TensorView<const float, dyn, 3, dyn, dyn> pixels) {
    if constexpr (Config.registers == 0) {
      return vt::losses::cross_entropy(head(backbone.cls(tape, pixels)), labels);
    } else {
      const auto patches = backbone(tape, pixels).patches;
      std::vector<std::size_t> each(patches.rows());
      for (std::size_t i = 0; i < each.size(); ++i) each[i] = (i * 7 + i / 5) % 3;
      return vt::losses::cross_entropy(head(patches), each);
    }
  }
};

template <class B>
auto all_gradients(const std::vector<vt::nn::NamedParameter<B>>& table) {
  std::vector<std::vector<typename B::Scalar>> out;
  for (const auto& row : table) {
    out.push_back(test::gradient(*row.parameter));
    row.parameter->gradient().clear();
  }
  return out;
}

enum class Trains { all, with_low_rank, biases };

// The derivative along a random direction of each parameter, computed twice.
template <vt::ViTConfig Config>
void check_finite_differences(Trains what, std::size_t h, std::size_t w, const vt::TapeOptions& options = {}) {
  using B = vt::Cpu<double>;
  Classifier<Config, B> model(3);
  auto table = model.table();
  std::vector<std::shared_ptr<vt::nn::LowRank<B>>> terms;
  if (what == Trains::biases) {
    for (auto& row : table) row.parameter->set_trainable(row.name.ends_with("bias"));
    std::erase_if(table, [](const auto& row) { return !row.parameter->trainable(); });
  }
  if (what == Trains::with_low_rank)
    for (auto& row : model.table())
      if (row.parameter->shape().size() == 2 && row.name.starts_with("blocks")) {
        const auto shape = row.parameter->shape();
        const std::size_t third = row.name.find("qkv") != row.name.npos ? shape[0] / 3 : 0;
        const auto add = [&](std::size_t first, std::size_t rank, double scale, double dropout) {
          auto term = std::make_shared<vt::nn::LowRank<B>>("", first, shape[0] - first, shape[1], rank);
          term->scale = scale;
          term->dropout = dropout;
          test::randomize<B>({{"a", &term->a}, {"b", &term->b}}, 9 + rank);
          row.parameter->low_rank().push_back(term);
          table.push_back({row.name + ".a" + std::to_string(rank), &term->a});
          table.push_back({row.name + ".b" + std::to_string(rank), &term->b});
          terms.push_back(term);
        };
        add(third, 3, 0.7, row.name.ends_with("proj.weight") ? 0.3 : 0);
        if (third) add(0, 2, 0.7, 0);                             // these two go as one
        if (row.name.ends_with("fc1.weight")) add(1, 2, 1.3, 0);  // these do not
      }
  const auto pixels = test::pixels(3, h, w, 5);
  {
    vt::Tape<B> tape(vt::default_pool(), options);
    tape.backward(model.loss(tape, pixels));
  }
  const auto gradients = all_gradients(table);
  std::uint64_t stream = 0;
  for (std::size_t i = 0; i < table.size(); ++i) {
    auto& parameter = *table[i].parameter;
    INFO(table[i].name);
    if (table[i].name == "mask_token") {
      CHECK(gradients[i].empty());
      continue;
    }
    REQUIRE(gradients[i].size() == parameter.size());
    vt::Rng rng(11, stream++);
    std::vector<double> direction(parameter.size());
    double expected = 0, size = 0;
    for (std::size_t j = 0; j < direction.size(); ++j) {
      direction[j] = rng.normal();
      expected += direction[j] * gradients[i][j];
      size += gradients[i][j] * gradients[i][j];
    }
    const auto loss_at = [&](double step) {
      const auto move = [&](double by) {
        parameter.update(vt::default_pool(), [&](double* v, std::size_t begin, std::size_t n) {
          for (std::size_t j = 0; j < n; ++j) v[j] += by * direction[begin + j];
        });
      };
      move(step);
      vt::Tape<B> tape(vt::default_pool(), options);
      const double value = model.loss(tape, pixels).data()[0];
      move(-step);
      return value;
    };
    const double e = 3e-4;  // fourth order: the error is of e^4
    const double found = (8 * (loss_at(e) - loss_at(-e)) - (loss_at(2 * e) - loss_at(-2 * e))) / (12 * e);
    CHECK(std::abs(found - expected) <= 1e-6 * std::sqrt(size));
  }
}

}  // namespace

TEST_CASE("gradients equal finite differences") {
  check_finite_differences<plain>(Trains::all, 12, 12);
  check_finite_differences<plain>(Trains::with_low_rank, 8, 16);
  check_finite_differences<plain>(Trains::biases, 12, 12);
  check_finite_differences<gated>(Trains::all, 12, 8);
  check_finite_differences<gated>(Trains::with_low_rank, 8, 8);
  check_finite_differences<plain>(Trains::with_low_rank, 8, 8, {.seed = 3, .drop_path = 0.4});
  check_finite_differences<plain>(Trains::biases, 8, 8, {.checkpoint = true, .seed = 3, .drop_path = 0.4});
  check_finite_differences<gated>(Trains::all, 8, 8, {.checkpoint = true, .seed = 4, .drop_path = 0.4});
}

TEMPLATE_TEST_CASE("checkpoints and threads do not change a bit", "", vt::Cpu<float>, vt::Cpu<vt::bfloat16>) {
  using B = TestType;
  Classifier<plain, B> model(4);
  Classifier<gated, B> other(5);
  const auto pixels = test::pixels(3, 12, 12, 6);
  const auto run = [&](auto& classifier, unsigned threads, bool checkpoint) {
    vt::ThreadPool pool(threads);
    vt::Tape<B> tape(pool, {.checkpoint = checkpoint, .seed = 2, .drop_path = 0.5});
    tape.backward(classifier.loss(tape, pixels));
    CHECK(tape.recorded() == 0);
    return all_gradients(classifier.table());
  };
  const auto reference = run(model, 1, false);
  CHECK(run(model, 2, false) == reference);
  CHECK(run(model, 3, true) == reference);
  CHECK(run(model, 1, true) == reference);
  const auto second = run(other, 1, false);
  CHECK(run(other, 3, false) == second);
  CHECK(run(other, 2, true) == second);
}

TEST_CASE("drop path leaves out the share it says, never at the first block, and says what it does to a value") {
  double sum = 0;
  std::size_t left_out = 0;
  constexpr std::size_t n = 20000;
  for (const double k : vt::ops::detail::kept_paths<double>(1, {5, 1}, 0.3, n)) {
    sum += k;
    left_out += k == 0;
  }
  CHECK(static_cast<double>(left_out) / n == Approx(0.3).margin(0.01));
  CHECK(sum / n == Approx(1).margin(0.02));  // the branch counts the same on average
  CHECK(vt::ops::detail::kept_paths<double>(1, {5, 1}, 0.3, 50) !=
        vt::ops::detail::kept_paths<double>(1, {4, 1}, 0.3, 50));

  using B = vt::Cpu<double>;
  vt::Tape<B> tape(vt::default_pool(), {.seed = 1, .drop_path = 0.5});
  const auto ones = [&](auto r) {  // a branch that is 1 everywhere
    auto y = tape.make<dyn, dyn, 2>(r.shape());
    for (std::size_t i = 0; i < y.size(); ++i) y.data()[i] = r.data()[i] + 1;
    return y;
  };
  auto x = tape.make<dyn, dyn, 2>({8, 1, 2});
  std::fill_n(x.data(), x.size(), 3.0);
  const auto first = vt::ops::residual_branch(tape, x, {0, 0.0}, ones),
             last = vt::ops::residual_branch(tape, x, {1, 1.0}, ones);
  const auto k = vt::ops::detail::kept_paths<double>(1, {1, 1}, 0.5, 8);
  CHECK(std::set<double>(k.begin(), k.end()) == std::set<double>{0, 2});
  for (std::size_t b = 0; b < 8; ++b) {
    CHECK(first.data()[2 * b] == 4);
    CHECK(last.data()[2 * b + 1] == 3 + k[b]);
  }
  tape.options.drop_path = 1;
  CHECK_THROWS_AS(vt::ops::residual_branch(tape, x, {1, 1.0}, ones), vt::ArgumentError);
}

TEST_CASE("float and bfloat16 follow double") {
  Classifier<plain, vt::Cpu<double>> exact(8);
  Classifier<plain, vt::Cpu<float>> single(8);
  Classifier<plain, vt::Cpu<vt::bfloat16>> half(8);
  const auto pixels = test::pixels(3, 12, 12, 6);
  const auto run = [&](auto& model) {
    using B = typename std::remove_reference_t<decltype(model.backbone)>::Backend;
    vt::Tape<B> tape;
    tape.backward(model.loss(tape, pixels));
    return all_gradients(model.table());
  };
  const auto reference = run(exact);
  const auto close = run(single), near = run(half);
  const auto table = exact.table();
  for (std::size_t i = 0; i < table.size(); ++i) {
    if (reference[i].empty()) continue;
    INFO(table[i].name);
    CHECK(test::distance(close[i], reference[i]) < 1e-5);
    CHECK(test::distance(near[i], reference[i]) < 0.1);
  }
}

TEST_CASE("gradients add up over passes, and a scale is applied") {
  using B = vt::Cpu<float>;
  Classifier<plain, B> model(4);
  const auto pixels = test::pixels(3, 12, 12, 6);
  vt::Tape<B> tape;
  tape.backward(model.loss(tape, pixels));
  const auto once = all_gradients(model.table());
  for (int i = 0; i < 2; ++i) tape.backward(model.loss(tape, pixels), 0.5);
  const auto twice = all_gradients(model.table());
  for (std::size_t i = 0; i < once.size(); ++i)
    if (!once[i].empty()) CHECK(test::distance(twice[i], once[i]) < 1e-6);
}

TEMPLATE_TEST_CASE("what a tape keeps of a frozen weight follows the weight and its layer scale", "", vt::Cpu<float>,
                   vt::Cpu<vt::bfloat16>, vt::Cpu<double>) {
  using B = TestType;
  Classifier<plain, B> model(4);
  const auto pixels = test::pixels(3, 12, 12, 6);
  const auto train = [&](auto&& which) {
    for (const auto& row : model.table()) row.parameter->set_trainable(which(row.name));
  };
  const auto biases = [](const std::string& name) { return name.ends_with(".bias"); };
  vt::Tape<B> tape;
  const auto same_as_afresh = [&] {
    vt::Tape<B> fresh;
    fresh.backward(model.loss(fresh, pixels));
    const auto expected = all_gradients(model.table());
    for (int i = 0; i < 3; ++i) {
      tape.backward(model.loss(tape, pixels));
      CHECK(all_gradients(model.table()) == expected);
    }
  };
  train(biases);
  same_as_afresh();
  for (const auto& row : model.table())
    if (row.name == "blocks.1.mlp.fc1.weight" || row.name == "blocks.1.ls2.gamma")
      row.parameter->update(vt::default_pool(), [](auto* v, std::size_t, std::size_t n) {
        for (std::size_t i = 0; i < n; ++i) v[i] *= 2;
      });
  same_as_afresh();
  train([](const std::string& name) { return name != "mask_token"; });
  same_as_afresh();
  train(biases);
  same_as_afresh();
}

TEST_CASE("what is frozen records nothing") {
  using B = vt::Cpu<float>;
  Classifier<plain, B> model(4);
  const auto pixels = test::pixels(3, 12, 12, 6);
  for (const auto& row : model.table()) row.parameter->set_trainable(row.name.starts_with("head."));
  vt::Tape<B> tape;
  auto loss = model.loss(tape, pixels);
  CHECK(tape.recorded() == 2);  // the head and the loss
  tape.backward(loss);
  for (const auto& row : model.table()) CHECK(row.parameter->gradient().filled == row.name.starts_with("head."));

  for (const auto& row : model.table())
    row.parameter->set_trainable(row.name == "blocks.1.mlp.fc2.bias" || row.name == "mask_token");
  model.loss(tape, pixels);
  CHECK(tape.recorded() == 4);  // fc2, the norm, head, loss
  tape.clear();

  for (const auto& row : model.table()) row.parameter->set_trainable(false);
  auto nothing = model.loss(tape, pixels);
  CHECK(tape.recorded() == 0);
  CHECK_THROWS_AS(tape.backward(nothing), vt::ArgumentError);
}

TEST_CASE("a tape and Eval compute the same") {
  using B = vt::Cpu<float>;
  Classifier<gated, B> model(4);
  const auto pixels = test::pixels(2, 8, 12, 6);
  const auto features = model.backbone(pixels);
  vt::Tape<B> tape;
  const auto recorded = model.backbone(tape, pixels);
  CHECK(std::equal(features.cls.begin(), features.cls.end(), recorded.cls.data()));
  CHECK(std::equal(features.patches.begin(), features.patches.end(), recorded.patches.data()));
  CHECK(test::distance(model.backbone.cls(tape, pixels), features.cls) < 1e-6);  // the last block for CLS alone
}

TEST_CASE("mistakes on a tape are named") {
  using B = vt::Cpu<float>;
  vt::Tape<B> tape;
  auto logits = test::variable<dyn, dyn, 3>(tape, {2, 1, 3}, std::vector<float>(6));
  const std::vector<std::size_t> few{0}, wrong{0, 3};
  CHECK_THROWS_AS(vt::losses::cross_entropy(logits, few), vt::ShapeError);
  CHECK_THROWS_WITH(vt::losses::cross_entropy(logits, wrong), Catch::Contains("label 3, row 1"));
  CHECK_THROWS_AS(tape.backward(logits), vt::ShapeError);
}

TEST_CASE("a pool hands out what is free and about as large, the smallest first") {
  vt::Pool<vt::Cpu<float>> pool;
  auto large = pool.take(1000), fitting = pool.take(110), small = pool.take(90);
  const float *of_large = large.data(), *of_fitting = fitting.data();
  pool.give(std::move(large)), pool.give(std::move(fitting)), pool.give(std::move(small));
  const auto first = pool.take(100), second = pool.take(100);
  CHECK(first.data() == of_fitting);  // a tenth too large; 1000 would be too large, 90 is too small
  CHECK(second.size() == 100);
  CHECK(pool.take(900).data() == of_large);
}
