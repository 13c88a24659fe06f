// The trainer on a tiny model: interrupted and resumed, any thread count, damaged checkpoints, what it refuses.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <memory>
#include <string>

#include <catch2/catch.hpp>

#include <vitals/eval/fine_tune.hpp>
#include <vitals/io/image.hpp>
#include <vitals/models/vit.hpp>
#include <vitals/train/trainable_of.hpp>
#include <vitals/train/trainer.hpp>
#include "paths.hpp"

namespace vt = vitals;
using Catch::Matchers::Contains;

namespace {

inline constexpr vt::ViTConfig tiny{.dim = 32, .depth = 2, .heads = 2, .patch = 7, .grid = 2};

// Pictures of lying and standing stripes.
struct Stripes {
  test::TemporaryFolder folder;
  vt::data::Dataset data;

  explicit Stripes(std::size_t n = 24, vt::data::Task task = vt::data::Task::binary) {
    data.root = folder.path();
    data.classes = task == vt::data::Task::binary ? std::vector<std::string>{"across", "upright"}
                                                  : std::vector<std::string>{"a", "b", "c"};
    data.task = task;
    for (std::size_t i = 0; i < n; ++i) {
      vt::Tensor<std::uint8_t, vt::dyn, vt::dyn, vt::dyn> pixels({20, 16, 1});
      const vt::Rng rng(3, i);
      const std::size_t kind = task == vt::data::Task::binary ? i % 2 : i % 3;
      for (std::size_t y = 0; y < 20; ++y)
        for (std::size_t x = 0; x < 16; ++x)
          pixels(y, x, 0u) = static_cast<std::uint8_t>(((kind == 2 ? x + y
                                                         : kind == 1
                                                             ? x
                                                             : y) % 6 <
                                                                3
                                                            ? 120
                                                            : 20) +
                                                       rng.below_at(y * 16 + x, 60));
      const std::string name = std::to_string(i) + ".png";
      vt::io::write_png(folder / name, pixels);
      using vt::data::Split;
      const Split split = i % 6 < 3 ? Split::train : i % 6 < 4 + (i / 6) % 2 ? Split::val : Split::test;
      data.items.push_back({name, {kind}, split, "", 0});
      if (task == vt::data::Task::multilabel && kind == 0) data.items.back().labels.push_back(2);
    }
  }
};

template <class B>
std::unique_ptr<vt::train::TrainableBackbone> model() {
  using Model = vt::ViT<tiny, B>;
  return std::make_unique<vt::train::TrainableOf<Model>>(std::make_unique<Model>(std::uint64_t{4}));
}

std::vector<float> values(vt::train::TrainableBackbone& model) {
  std::vector<float> all;
  for (const auto& row : model.rows()) {
    std::vector<float> v(row.size());
    row.read(v);
    all.insert(all.end(), v.begin(), v.end());
  }
  return all;
}

vt::eval::FineTuneOptions options(const std::string& method) {
  vt::eval::FineTuneOptions o;
  o.method = vt::eval::method_by_name(method);
  o.lora = {.rank = 2, .targets = {"q", "v", "fc1"}, .dropout = 0.2};
  o.trainer.steps = 9;
  o.trainer.batch = 4;
  o.trainer.accumulate = 2;
  o.trainer.optimizer.lr = 1e-3;
  o.trainer.validate_every = 2;
  o.trainer.checkpoint_every = 2;
  o.trainer.warmup = 0.2;
  o.trainer.max_norm = 1;
  o.trainer.seed = 5;
  o.trainer.rotate = 20;
  o.trainer.drop_path = 0.3;
  return o;
}

vt::eval::FineTune tune(vt::train::TrainableBackbone& m, const Stripes& s, const vt::eval::FineTuneOptions& o) {
  return vt::eval::fine_tune(m, s.data, vt::transforms::paper(14), o);
}

struct Ended {};  // what a killed process is to this test

}  // namespace

TEMPLATE_TEST_CASE("a training that ends anywhere and goes on has the bits of one in one go", "", vt::Cpu<float>,
                   vt::Cpu<vt::bfloat16>) {
  Stripes s;
  for (const std::string method : {"head", "full", "lora", "bitfit"}) {
    CAPTURE(method);
    const auto whole = model<TestType>();
    const auto expected = tune(*whole, s, options(method));
    CHECK(expected.training.steps == 9);
    CHECK(expected.training.evaluations.size() == 5);
    for (const std::uint64_t last : {1, 4, 7}) {
      test::TemporaryFolder checkpoints;
      auto o = options(method);
      o.trainer.checkpoint = checkpoints.path();
      o.trainer.resume = true;
      o.trainer.on_step = [&](const vt::train::StepReport& at) {
        if (at.step == last) throw Ended();
      };
      CHECK_THROWS_AS(tune(*model<TestType>(), s, o), Ended);
      o.trainer.on_step = {};
      const auto again = model<TestType>();
      const auto resumed = tune(*again, s, o);
      CHECK(resumed.training.resumed_from == (last - 1) / 2 * 2);
      CHECK(values(*again) == values(*whole));
      CHECK(std::equal(resumed.prediction.scores.begin(), resumed.prediction.scores.end(),
                       expected.prediction.scores.begin()));
      CHECK(resumed.training.best_step == expected.training.best_step);
      CHECK(resumed.training.last_loss == expected.training.last_loss);
    }
  }
}

TEST_CASE("one, two and three threads train the same bits") {
  Stripes s;
  std::vector<float> first;
  for (unsigned threads : {1u, 2u, 3u}) {
    vt::ThreadPool pool(threads);
    const auto m = model<vt::Cpu<float>>();
    auto o = options("lora");
    o.trainer.executor = &pool;
    tune(*m, s, o);
    if (threads == 1) first = values(*m);
    CHECK(values(*m) == first);
  }
}

TEST_CASE("every kind of task is learnt by heart") {
  for (auto task : {vt::data::Task::binary, vt::data::Task::multiclass, vt::data::Task::multilabel}) {
    Stripes s(12, task);
    for (auto& item : s.data.items) item.split = vt::data::Split::train;
    s.data.items.push_back(s.data.items[0]);
    s.data.items.back().split = vt::data::Split::test;
    const auto m = model<vt::Cpu<float>>();
    auto o = options("full");
    o.trainer.steps = 120;
    o.trainer.accumulate = 1;
    o.trainer.batch = 12;
    o.trainer.augment = false;
    o.trainer.drop_path = 0;
    o.trainer.optimizer.lr = 5e-3;
    const auto result = tune(*m, s, o);
    CHECK(result.training.last_loss < 0.4);
    CHECK(result.prediction.scores.extent(1) == s.data.classes.size());
    CHECK(result.notes.size() == 1);
  }
}

TEST_CASE("a damaged newest checkpoint: the one before is taken and said so; other options are refused by name") {
  Stripes s;
  test::TemporaryFolder checkpoints;
  auto o = options("lora");
  const auto whole = model<vt::Cpu<float>>();
  tune(*whole, s, o);
  o.trainer.checkpoint = checkpoints.path();
  bool stop = false;
  o.trainer.on_step = [&](const vt::train::StepReport& at) { stop = at.step == 5; };
  o.trainer.stop = [&] { return stop; };
  const auto stopped = tune(*model<vt::Cpu<float>>(), s, o);
  CHECK(stopped.training.stopped);
  CHECK(stopped.prediction.items.empty());
  o.trainer.on_step = {};
  o.trainer.stop = {};
  CHECK_THROWS_WITH(tune(*model<vt::Cpu<float>>(), s, o), Contains("there are checkpoints already"));
  o.trainer.resume = true;
  const auto newest = checkpoints / "step-5.safetensors";
  REQUIRE(std::filesystem::exists(newest));
  REQUIRE(std::filesystem::exists(checkpoints / "step-4.safetensors"));
  CHECK(!std::filesystem::exists(checkpoints / "step-2.safetensors"));

  auto other = o;
  other.trainer.optimizer.lr = 2e-3;
  CHECK_THROWS_WITH(tune(*model<vt::Cpu<float>>(), s, other), Contains("made with lr 0.001, now it is 0.002"));
  other = o;
  other.lora.rank = 4;
  CHECK_THROWS_WITH(tune(*model<vt::Cpu<float>>(), s, other), Contains("made with rank 2, now it is 4"));

  test::TemporaryFolder kept;
  std::filesystem::copy(checkpoints.path(), kept.path(), std::filesystem::copy_options::recursive);
  const auto size = std::filesystem::file_size(newest);
  const std::vector<std::function<void()>> damages{
      [&] { std::filesystem::resize_file(newest, size / 2); }, [&] { std::filesystem::resize_file(newest, 5); },
      [&] {  // one bit of the numbers
        std::fstream file(newest, std::ios::in | std::ios::out | std::ios::binary);
        file.seekg(-3, std::ios::end);
        const int byte = file.get();
        file.seekp(-3, std::ios::end);
        file.put(static_cast<char>(byte ^ 1));
      }};
  for (const auto& damage : damages) {
    std::filesystem::copy(kept.path(), checkpoints.path(),
                          std::filesystem::copy_options::recursive | std::filesystem::copy_options::overwrite_existing);
    for (const auto& entry : std::filesystem::directory_iterator(checkpoints.path()))
      if (!std::filesystem::exists(kept / entry.path().filename().string())) std::filesystem::remove(entry.path());
    damage();
    const auto m = model<vt::Cpu<float>>();
    const auto resumed = tune(*m, s, o);
    CHECK(resumed.training.resumed_from == 4);
    REQUIRE(resumed.notes.size() == 1);
    CHECK_THAT(resumed.notes[0], Contains("step-5.safetensors is damaged") && Contains("the one before it"));
    CHECK(values(*m) == values(*whole));
  }
  for (const auto& entry : std::filesystem::directory_iterator(checkpoints.path()))
    std::filesystem::resize_file(entry.path(), 20);
  CHECK_THROWS_WITH(tune(*model<vt::Cpu<float>>(), s, o), Contains("every checkpoint is damaged"));
}

TEST_CASE("what cannot be trained is refused, and a loss that is no number names its batch") {
  Stripes s;
  const auto fails = [&](auto change, const std::string& why) {
    auto o = options("lora");
    change(o);
    CHECK_THROWS_WITH(tune(*model<vt::Cpu<float>>(), s, o), Contains(why));
  };
  fails([](auto& o) { o.trainer.optimizer.lr = std::nan(""); }, "learning rate nan");
  fails([](auto& o) { o.trainer.optimizer.head_lr = 0; }, "learning rate 0");
  fails([](auto& o) { o.lora.targets = {"q", "query"}; }, "query");
  fails([](auto& o) { o.trainer.batch = 0; }, "batch of 0");
  fails([](auto& o) { o.trainer.accumulate = 0; }, "0 passes");
  fails([](auto& o) { o.trainer.warmup = 1; }, "warm-up");
  fails([](auto& o) { o.trainer.drop_path = 1; }, "drop path");
  fails([](auto& o) { o.trainer.rotate = 200; }, "rotation");
  fails(
      [](auto& o) {
        o.trainer.optimizer.kind = vt::train::OptimizerKind::sgd, o.trainer.optimizer.nesterov = true,
        o.trainer.optimizer.momentum = 0;
      },
      "Nesterov");
  fails([](auto& o) { o.trainer.steps = o.trainer.epochs = 0; }, "no step");
  fails([](auto& o) { o.trainer.resume = true; }, "no folder");
  fails([](auto& o) { o.train = {0, 2}; }, "fewer than two classes");
  fails(
      [](auto& o) {
        o.method = vt::eval::Method::full;
        o.trainer.optimizer.lr = 1e30;
        o.trainer.max_norm = 0;
        o.use_val = false;
      },
      ".png");
  {
    const auto m = model<vt::Cpu<float>>();
    for (const auto& row : m->rows())
      if (row.name == "norm.bias") {
        std::vector<float> v(row.size(), std::numeric_limits<float>::quiet_NaN());
        row.write(v);
      }
    CHECK_THROWS_WITH(tune(*m, s, options("head")),
                      Contains("the loss of step 1 is not a number, images ") && Contains(".png"));
  }
  std::ofstream(s.folder / "0.png") << "no picture";
  s.data.items.resize(13);
  fails([](auto& o) { o.trainer.steps = 4; }, "0.png");
}

TEST_CASE("an adapter for another model is refused before anything changes") {
  const auto m = model<vt::Cpu<float>>();
  vt::adapt::Adapter adapter;
  adapter.terms.push_back({"blocks.0.attn.qkv", "", 2, 64, 192, std::vector<float>(128), std::vector<float>(384), 1});
  CHECK_THROWS_WITH(m->apply(adapter), Contains("blocks.0.attn.qkv"));
  adapter.terms[0].module = "blocks.7.attn.qkv";
  CHECK_THROWS_WITH(m->apply(adapter), Contains("blocks.7.attn.qkv"));
  CHECK(m->trainable_count() == m->info().parameters);
}

TEST_CASE("early stop: after `patience` evaluations without a better one") {
  Stripes s;
  const auto m = model<vt::Cpu<float>>();
  m->freeze();
  m->add_head(1, 0);
  auto o = options("head").trainer;
  o.steps = 40;
  o.patience = 3;
  double score = 0;
  std::vector<float> best;
  o.validate = [&](vt::train::TrainableBackbone& now) {
    score += 1;
    if (score == 2) best = values(now);
    return score == 2 ? 100 : score;
  };
  const auto result =
      vt::train::train(*m, s.data, s.data.indices(vt::data::Split::train), vt::transforms::paper(14), o);
  CHECK(result.early);
  CHECK(result.steps == 10);
  CHECK(result.best_step == 4);
  CHECK(values(*m) == best);
}

TEST_CASE("each batch is a function of its number; every epoch has each image once") {
  Stripes s;
  const auto items = s.data.indices(vt::data::Split::train);
  vt::train::Loader loader(s.data, items, vt::transforms::paper(14), {.batch = 4, .seed = 1});
  vt::train::Loader other(s.data, items, vt::transforms::paper(14), {.batch = 4, .seed = 1});
  const auto later = other.batch(4);
  std::vector<std::size_t> seen;
  for (std::uint64_t i = 0; i < 5; ++i) {
    const auto batch = loader.batch(i);
    if (i < 3) seen.insert(seen.end(), batch.items.begin(), batch.items.end());
    if (i != 4) continue;
    CHECK(batch.items == later.items);
    CHECK(std::equal(batch.pixels.begin(), batch.pixels.end(), later.pixels.begin()));
  }
  std::sort(seen.begin(), seen.end());
  CHECK(seen == items);
}

TEST_CASE("a batch that goes through in parts has the loss and the gradient of its pictures' mean") {
  using Model = vt::ViT<tiny, vt::Cpu<float>>;
  vt::Tensor<float, vt::dyn, 3, vt::dyn, vt::dyn> pixels({6, 3, 112, 112});  // 257 tokens each
  const vt::Rng rng(9, 0);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels.data()[i] = static_cast<float>(rng.uniform_at(i)) - 0.5f;
  const std::vector<std::size_t> labels{0, 2, 1, 1, 0, 2};
  const auto gradients = [&](std::ptrdiff_t together, double& loss) {
    vt::train::TrainableOf<Model> backbone(std::make_unique<Model>(4));
    backbone.add_head(3, 5);
    loss = 0;
    for (std::ptrdiff_t first = 0; first < 6; first += together) {
      const double share = static_cast<double>(together) / 6;
      const vt::TensorView<const float, vt::dyn, 3, vt::dyn, vt::dyn> some(pixels.data() + first * 3 * 112 * 112,
                                                                           {static_cast<std::size_t>(together), 3, 112, 112});
      loss += share * backbone.gradient(some, {{labels.begin() + first, labels.begin() + first + together}, {}},
                                        share, 1, false, vt::default_pool(), 0);
    }
    std::vector<float> all;
    for (const auto& row : backbone.model().parameters()) {
      const auto& slot = row.parameter->gradient();
      if (slot.filled) all.insert(all.end(), slot.data(), slot.data() + slot.size);
    }
    return all;
  };
  double loss = 0, mean = 0;
  const auto whole = gradients(6, loss), each = gradients(1, mean);
  REQUIRE(whole.size() == each.size());
  CHECK(loss == Approx(mean).epsilon(1e-6));
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < whole.size(); ++i) {
    difference += std::pow(whole[i] - each[i], 2);
    size += std::pow(each[i], 2);
  }
  CHECK(whole.size() > 20000);
  CHECK(std::sqrt(difference / size) < 1e-5);
}
