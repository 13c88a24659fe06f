#include <vitals/eval/linear_probe.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include <vitals/core/error.hpp>
#include <vitals/core/rng.hpp>
#include <vitals/metrics/auroc.hpp>

#include "evaluation.hpp"

namespace vt = vitals;
using vt::data::Split;
using vt::data::Task;
using vt::eval::linear_probe;
using vt::eval::LinearProbeOptions;

namespace {

// Classes are shifts of random features; every fourth item is test, every eighth val.
vt::eval::FeatureSet made_up(Task task, std::size_t n, double shift = 1) {
  constexpr std::size_t dim = 12;
  vt::eval::FeatureSet features;
  auto& dataset = features.dataset;
  dataset.task = task;
  dataset.classes =
      task == Task::binary ? std::vector<std::string>{"healthy", "ill"} : std::vector<std::string>{"a", "b", "c"};
  const std::size_t classes = dataset.classes.size();
  features.cls = vt::Tensor<float, vt::dyn, vt::dyn, vt::dyn>({n, 4, dim});
  features.avgpool = vt::Tensor<float, vt::dyn, vt::dyn>({n, dim});
  const vt::Rng rng(11);
  for (std::size_t i = 0; i < features.cls.size(); ++i) features.cls.data()[i] = static_cast<float>(rng.normal_at(i));
  for (std::size_t i = 0; i < features.avgpool.size(); ++i)
    features.avgpool.data()[i] = static_cast<float>(vt::Rng(12).normal_at(i));
  for (std::size_t i = 0; i < n; ++i) {
    std::vector<std::size_t> labels;
    for (std::size_t c = 0; c < classes; ++c)
      if (task == Task::multilabel ? vt::Rng(13, c).below_at(i, 3) == 0 : vt::Rng(14).below_at(i, classes) == c)
        labels.push_back(c);
    for (auto c : labels)
      features.cls(i, 3, c) += static_cast<float>(shift), features.cls(i, 1, c + 4) += static_cast<float>(shift);
    const Split split = i % 4 == 0 ? Split::test : i % 8 == 1 ? Split::val : Split::train;
    dataset.items.push_back({"image" + std::to_string(i) + ".png", labels, split, ""});
  }
  return features;
}

double macro_auroc(const vt::eval::FeatureSet& features, const vt::eval::Prediction& prediction) {
  vt::Tensor<std::uint8_t, vt::dyn, vt::dyn> targets({prediction.items.size(), features.dataset.classes.size()});
  for (std::size_t r = 0; r < prediction.items.size(); ++r)
    for (auto c : features.dataset.items[prediction.items[r]].labels) targets(r, c) = 1;
  return vt::metrics::auroc_per_class(targets, prediction.scores).macro.value.value();
}

bool mentions(const std::vector<std::string>& notes, const std::string& a, const std::string& b) {
  return std::any_of(notes.begin(), notes.end(), [&](const std::string& note) {
    return note.find(a) != std::string::npos && note.find(b) != std::string::npos;
  });
}

}  // namespace

TEST_CASE("the probe separates what can be separated, for every task") {
  for (auto task : {Task::binary, Task::multiclass, Task::multilabel}) {
    const auto features = made_up(task, 800, 2);
    const auto probe = linear_probe(features, {.epochs = 20});
    CAPTURE(static_cast<int>(task), probe.prediction.name);
    CHECK(macro_auroc(features, probe.prediction) > 0.9);
    CHECK(probe.grid.size() == 16);
    CHECK(probe.notes.empty());
    CHECK(!probe.picked_on_test);
    CHECK(probe.prediction.items.size() == 200);
    CHECK(probe.prediction.name == "linear " + name(probe.head.setting));
    const auto best = std::max_element(probe.grid.begin(), probe.grid.end(), [](const auto& a, const auto& b) {
      return *a.auroc.value < *b.auroc.value;  // the first of equal ones
    });
    CHECK(name(best->setting) == name(probe.head.setting));
    CHECK(name(probe.grid[0].setting) == "blocks=1 avgpool=0 lr=0.001");
    CHECK(name(probe.grid[15].setting) == "blocks=4 avgpool=1 lr=0.05");
  }
}

TEST_CASE("features without information give chance") {
  const auto features = made_up(Task::multiclass, 800, 0);
  CHECK(std::abs(macro_auroc(features, linear_probe(features).prediction) - 0.5) < 0.12);
}

TEST_CASE("the saved head gives the scores of the prediction") {
  const auto features = made_up(Task::binary, 200);
  const auto probe = linear_probe(features, {.epochs = 3});
  test::TemporaryFolder folder;
  vt::eval::save_head(folder / "head.safetensors", probe.head, features.dataset.classes);
  const auto file = vt::io::TensorFile::open(folder / "head.safetensors");
  const auto* weight = file.find("weight");
  const auto* bias = file.find("bias");
  REQUIRE(weight != nullptr);
  REQUIRE(bias != nullptr);
  CHECK(weight->shape == std::vector<std::size_t>{1, probe.head.inputs()});
  CHECK(bias->shape == std::vector<std::size_t>{1});
  CHECK(file.metadata().at("classes") == "healthy|ill");
  CHECK(file.metadata().at("blocks") == std::to_string(probe.head.setting.blocks));
  std::vector<double> w(weight->size()), b(1);
  file.read(*weight, std::span<double>(w));
  file.read(*bias, std::span<double>(b));
  const auto& setting = probe.head.setting;
  for (std::size_t r = 0; r < probe.prediction.items.size(); ++r) {
    const std::size_t i = probe.prediction.items[r];
    double z = b[0];
    for (std::size_t d = 0; d < w.size(); ++d)
      z += w[d] * (d < setting.blocks * 12 ? (&features.cls(i, 4 - setting.blocks, 0))[d]
                                           : features.avgpool(i, d - setting.blocks * 12));
    CHECK(probe.prediction.scores(r, 1) == Approx(1 / (1 + std::exp(-z))).epsilon(1e-12));
    CHECK(probe.prediction.scores(r, 0) == Approx(1 / (1 + std::exp(z))).epsilon(1e-12));
  }
}

TEST_CASE("scores of logits") {
  const vt::Tensor<double, vt::dyn, vt::dyn> logits({1, 3}, std::vector<double>{1000, 999, -1000});
  const auto softmax = vt::eval::scores_of_logits(logits, vt::eval::ScoreKind::softmax);
  CHECK(softmax(0, 0) == Approx(1 / (1 + std::exp(-1.0))));
  CHECK(softmax(0, 2) == 0);
  const auto sigmoid = vt::eval::scores_of_logits(logits, vt::eval::ScoreKind::sigmoid);
  CHECK(sigmoid(0, 0) == 1);
  CHECK(sigmoid(0, 2) == 0);
}

TEST_CASE("paper mode differs where the study does") {
  const auto multiclass = made_up(Task::multiclass, 200);
  const LinearProbeOptions one{.lrs = {0.01}, .blocks = {4}, .avgpool = {1}};
  auto paper = one;
  paper.paper_mode = true;
  const auto ours = linear_probe(multiclass, one), theirs = linear_probe(multiclass, paper);
  CHECK(std::equal(ours.head.weight.begin(), ours.head.weight.end(), theirs.head.weight.begin()));
  for (std::size_t r = 0; r < 50; ++r) {
    const auto& p = ours.prediction.scores;
    const auto& s = theirs.prediction.scores;
    CHECK(p(r, 0) + p(r, 1) + p(r, 2) == Approx(1));
    const auto odds = [&](std::size_t c) { return s(r, c) / (1 - s(r, c)); };  // exp(logit)
    CHECK(p(r, 1) == Approx(odds(1) / (odds(0) + odds(1) + odds(2))));
  }
  // The loss summed over the batch is the mean loss at a rate `batch` times larger: here exactly, the batch being 2^5.
  const auto multilabel = made_up(Task::multilabel, 200);
  auto summed = paper, scaled = one;
  summed.batch = scaled.batch = 32;
  summed.lrs = {0.0009765625};
  scaled.lrs = {0.03125};
  const auto a = linear_probe(multilabel, summed), b = linear_probe(multilabel, scaled);
  for (std::size_t i = 0; i < a.head.weight.size(); ++i)
    CHECK(a.head.weight.data()[i] == Approx(b.head.weight.data()[i]).epsilon(1e-4).margin(1e-6));
}

TEST_CASE("without val: an error that advises, one head trains anyway, paper mode picks on test and says so") {
  auto features = made_up(Task::binary, 200);
  for (auto& item : features.dataset.items)
    if (item.split == Split::val) item.split = Split::train;
  CHECK_THROWS_AS(linear_probe(features), vt::DataError);
  CHECK_THROWS_WITH(linear_probe(features), Catch::Contains("split val") && Catch::Contains("16 heads"));
  const auto one = linear_probe(features, {.lrs = {0.01}, .blocks = {4}, .avgpool = {0}});
  CHECK(one.grid.empty());
  CHECK(one.prediction.name == "linear blocks=4 avgpool=0 lr=0.01");
  const auto paper = linear_probe(features, {.paper_mode = true});
  CHECK(paper.picked_on_test);
  CHECK(mentions(paper.notes, "picked on test", ""));
  double best = 0;
  for (const auto& head : paper.grid) best = std::max(best, head.auroc.value.value());
  CHECK(macro_auroc(features, paper.prediction) == Approx(best));
}

TEST_CASE("the final head trains on train and val unless told otherwise") {
  const auto features = made_up(Task::binary, 200);
  const LinearProbeOptions one{.lrs = {0.01}, .blocks = {1}, .avgpool = {0}};
  auto without = one;
  without.add_val = false;
  auto listed = without;
  std::vector<std::size_t> both;
  for (std::size_t i = 0; i < 200; ++i)
    if (features.dataset.items[i].split != Split::test) both.push_back(i);
  listed.train = both;
  const auto a = linear_probe(features, one), b = linear_probe(features, without), c = linear_probe(features, listed);
  CHECK(!std::equal(a.head.weight.begin(), a.head.weight.end(), b.head.weight.begin()));
  CHECK(std::equal(a.head.weight.begin(), a.head.weight.end(), c.head.weight.begin()));
}

TEST_CASE("a class absent in a split is named and stays out of the pick") {
  auto features = made_up(Task::multilabel, 400);
  for (auto& item : features.dataset.items)
    if (item.split == Split::val) std::erase(item.labels, 1u);
  const auto probe = linear_probe(features);
  CHECK(mentions(probe.notes, "class b on val", "left out"));
  CHECK(macro_auroc(features, probe.prediction) > 0.6);
  const auto paper = linear_probe(features, {.paper_mode = true});
  CHECK(mentions(paper.notes, "class b on val", "AUROC 0"));
  for (const auto& head : paper.grid) CHECK(*head.auroc.value <= 2.0 / 3);

  for (auto& item : features.dataset.items)
    if (item.split == Split::train) std::erase(item.labels, 2u);
  CHECK(mentions(linear_probe(features).notes, "class c", "no training image"));

  for (auto& item : features.dataset.items)
    if (item.split == Split::val) item.labels.clear();
  CHECK_THROWS_AS(linear_probe(features), vt::DataError);
  CHECK_THROWS_WITH(linear_probe(features), Catch::Contains("class a on val") && Catch::Contains("class c on val"));
}

TEST_CASE("binary with one class on val cannot pick") {
  auto features = made_up(Task::binary, 200);
  for (auto& item : features.dataset.items)
    if (item.split == Split::val) item.labels = {0};
  CHECK_THROWS_WITH(linear_probe(features), Catch::Contains("class ill on val"));
}

TEST_CASE("heads that diverge are named; when all do, it is an error") {
  auto features = made_up(Task::multilabel, 200);
  for (float& v : features.cls) v *= 1e4f;
  const auto probe = linear_probe(features, {.lrs = {1e-2, 1e38}});
  CHECK(mentions(probe.notes, "lr=1e+38", "diverged"));
  CHECK(probe.head.setting.lr == 1e-2);
  CHECK_THROWS_AS(linear_probe(features, {.lrs = {1e38, 2e38}}), vt::DataError);
  CHECK_THROWS_WITH(linear_probe(features, {.lrs = {1e38}, .blocks = {1}, .avgpool = {0}}),
                    Catch::Contains("diverged"));
}

TEST_CASE("the same bits for any number of threads, other bits for another seed") {
  const auto features = made_up(Task::multiclass, 300);
  std::vector<vt::eval::LinearProbe> probes;
  for (unsigned threads : {1u, 2u, 3u}) {
    vt::ThreadPool pool(threads);
    probes.push_back(linear_probe(features, {.epochs = 3, .executor = &pool}));
  }
  for (const auto& probe : probes) {
    CHECK(probe.prediction.name == probes[0].prediction.name);
    CHECK(std::equal(probe.prediction.scores.begin(), probe.prediction.scores.end(),
                     probes[0].prediction.scores.begin()));
  }
  const auto other = linear_probe(features, {.epochs = 3, .seed = 1});
  CHECK(
      !std::equal(other.prediction.scores.begin(), other.prediction.scores.end(), probes[0].prediction.scores.begin()));
}

TEST_CASE("features of augmented images take the place of the stored ones in training") {
  const auto features = made_up(Task::binary, 160);
  LinearProbeOptions options{.epochs = 2, .batch = 16, .blocks = {1, 3}};
  const auto stored = linear_probe(features, options);
  std::vector<std::size_t> steps;
  options.augmented = [&](std::span<const std::size_t> items, std::size_t step, std::span<float> x) {
    steps.push_back(step);
    const std::size_t width = x.size() / items.size(), blocks = width / 12 - 1;
    for (std::size_t r = 0; r < items.size(); ++r) {
      std::copy_n(&features.cls(items[r], 4 - blocks, 0), blocks * 12, &x[r * width]);
      std::copy_n(&features.avgpool(items[r], 0), 12, &x[r * width + blocks * 12]);
    }
  };
  const auto same = linear_probe(features, options);
  CHECK(std::equal(stored.prediction.scores.begin(), stored.prediction.scores.end(), same.prediction.scores.begin()));
  for (std::size_t i = 0; i < steps.size(); ++i) CHECK(steps[i] == i);
  CHECK(steps.size() == 2 * (7 + 8));  // 100 of train; 120 of train and val
}

TEST_CASE("the probe refuses what makes no sense") {
  auto features = made_up(Task::binary, 100);
  CHECK_THROWS_AS(linear_probe(features, {.lrs = {}}), vt::ArgumentError);
  CHECK_THROWS_AS(linear_probe(features, {.lrs = {-1}}), vt::ArgumentError);
  CHECK_THROWS_AS(linear_probe(features, {.lrs = {std::nan("")}}), vt::ArgumentError);
  CHECK_THROWS_AS(linear_probe(features, {.epochs = 0}), vt::ArgumentError);
  CHECK_THROWS_AS(linear_probe(features, {.batch = 0}), vt::ArgumentError);
  CHECK_THROWS_WITH(linear_probe(features, {.blocks = {1, 5}}), Catch::Contains("last 4"));
  features.avgpool(6, 3) = std::numeric_limits<float>::infinity();
  CHECK_THROWS_WITH(linear_probe(features), Catch::Contains("image6.png"));
  features = made_up(Task::binary, 100);
  features.dataset.items[9].labels = {0, 1};
  CHECK_THROWS_WITH(linear_probe(features), Catch::Contains("image9.png"));
  features = made_up(Task::binary, 100);
  for (auto& item : features.dataset.items)
    if (item.split == Split::test) item.split = Split::val;
  CHECK_THROWS_WITH(linear_probe(features), Catch::Contains("split test"));
}

TEST_CASE("ten epochs of 16 heads on 800 images take a moment") {
  vt::eval::FeatureSet features = made_up(Task::multiclass, 1200);
  features.cls = vt::Tensor<float, vt::dyn, vt::dyn, vt::dyn>({1200, 4, 384});
  features.avgpool = vt::Tensor<float, vt::dyn, vt::dyn>({1200, 384});
  const auto start = std::chrono::steady_clock::now();
  linear_probe(features);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  WARN("linear probe, 750 + 150 images, 3 classes: " << seconds << " s");
  CHECK(seconds < 20);  // about 0.5; sanitizers and busy machines are slower
}

TEST_CASE("goldens: the probe on real features reaches what PyTorch does") {
  NEEDS_SHARED("goldens/evaluation/probe.json");
  for (const auto& [set, labels, low] :
       {std::tuple{"kermany", "labels", 0.84}, {"brain", "labels", 0.85}, {"kermany", "multilabel", 0.82}}) {
    auto features = test::golden_features(set, labels);
    for (std::size_t i = 3; i < 200; i += 5) features.dataset.items[i].split = Split::val;
    const auto probe = linear_probe(features, {.epochs = 20, .batch = 32});
    CAPTURE(set, labels, probe.prediction.name);
    CHECK(macro_auroc(features, probe.prediction) > low);
  }
}
