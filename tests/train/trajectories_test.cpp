// Twenty steps of training a tiny ViT beside PyTorch's, for every way of adapting it: losses, gradients of the first step and
// weights after the last.
#include <catch2/catch.hpp>

#include "goldens.hpp"
#include "paths.hpp"
#include "training.hpp"

namespace vt = vitals;
using vt::dyn;

namespace {

inline constexpr vt::ViTConfig config{.dim = 64, .depth = 2, .heads = 2, .patch = 14, .grid = 3};

template <class B>
struct Run {
  using Scalar = typename B::Scalar;

  vt::io::TensorFile start = vt::io::TensorFile::open(test::shared("goldens/train/start.safetensors"));
  vt::ViT<config, B> backbone;
  vt::nn::Linear<64, 3, B> head;
  std::vector<std::vector<Scalar>> first_gradients;
  std::vector<double> losses;

  Run() {
    for (const auto& row : backbone.parameters()) row.parameter->keep_master();
    vt::load_into(backbone.parameters(), vt::Checkpoint::open(test::shared("goldens/train/backbone.safetensors")));
    test::set(head.weight, read(start, "head.weight"));
    test::set(head.bias, read(start, "head.bias"));
  }
  static std::vector<Scalar> read(const vt::io::TensorFile& file, const std::string& name) {
    const auto* entry = file.find(name);
    if (!entry) throw vt::DataError("no tensor " + name);
    std::vector<Scalar> values(entry->size());
    file.read(*entry, std::span<Scalar>(values));
    return values;
  }
  void train(vt::train::Optimizer& optimizer, bool cosine, bool checkpoint = false) {
    const auto pixels = test::tensor<5>(start, "pixels");  // (5, 4, 3, 42, 42)
    const auto labels = test::tensor<2, double>(start, "labels");
    const auto rows = vt::trainable(backbone, head);
    const vt::train::CosineSchedule schedule{.lr = 0.02, .steps = 20};
    vt::Tape<B> tape(vt::default_pool(), {.checkpoint = checkpoint});
    for (std::size_t step = 0; step < 20; ++step) {
      const auto batch = pixels[step % 5];
      std::vector<std::size_t> targets;
      for (std::size_t i = 0; i < 4; ++i) targets.push_back(static_cast<std::size_t>(labels(step % 5, i)));
      const vt::TensorView<const float, dyn, 3, dyn, dyn> images(batch.data(), {4, 3, 42, 42});
      auto loss = vt::losses::cross_entropy(head(backbone.cls(tape, images)), targets);
      losses.push_back(static_cast<double>(loss.data()[0]));
      tape.backward(loss);
      if (step == 0)
        for (const auto& row : rows) first_gradients.push_back(test::gradient(*row.parameter));
      if (cosine) optimizer.set_lr(schedule.at(step));
      optimizer.step();
    }
  }
  // Every tensor of the golden that trained; rows D to 2D of qkv.bias, which softmax does not see, are left out.
  void check(const std::string& name, double loss_tolerance, double weight_tolerance, double gradient_tolerance) {
    const auto golden = vt::io::TensorFile::open(test::shared("goldens/train/" + name + ".safetensors"));
    CHECK(test::distance(losses, read_double(golden, "loss")) < loss_tolerance);
    const auto rows = vt::trainable(backbone, head);
    std::size_t compared = 0, trained = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      INFO(name << " " << rows[i].name);
      const auto without_keys = [&](std::vector<Scalar> v) {
        if (rows[i].name.ends_with("qkv.bias")) std::fill(v.begin() + 64, v.begin() + 128, Scalar(0));
        return v;
      };
      if (golden.find("grad0/" + rows[i].name)) {
        const auto got = without_keys(first_gradients[i]),
                   expected = without_keys(read(golden, "grad0/" + rows[i].name));
        if (rows[i].name.find("lora_A") != rows[i].name.npos)  // B is zero at first, so this is too
          CHECK((got == expected && std::count(got.begin(), got.end(), Scalar(0)) == std::ptrdiff_t(got.size())));
        else
          CHECK(test::distance(got, expected) < gradient_tolerance);
      }
      trained += !first_gradients[i].empty();
      if (!golden.find(rows[i].name)) continue;
      compared += !first_gradients[i].empty();
      const auto expected = without_keys(read(golden, rows[i].name));
      const auto got = without_keys(test::values(*rows[i].parameter));
      double worst = 0;
      for (std::size_t j = 0; j < got.size(); ++j)
        worst = std::max(worst, static_cast<double>(std::abs(got[j] - expected[j])));
      CHECK(worst < weight_tolerance);
    }
    CHECK(compared + (name.starts_with("full") ? 1 : 0) == trained);  // patch_embed.proj.weight is left out of the file
  }
  static std::vector<double> read_double(const vt::io::TensorFile& file, const std::string& name) {
    std::vector<double> values(file.find(name)->size());
    file.read(*file.find(name), std::span<double>(values));
    return values;
  }
};

template <class B>
void set_terms(vt::ViT<config, B>& backbone, const std::string& name) {
  const auto golden = vt::io::TensorFile::open(test::shared("goldens/train/" + name + ".safetensors"));
  for (const auto& row : vt::trainable(backbone)) test::set(*row.parameter, Run<B>::read(golden, "start/" + row.name));
}

template <class B>
void run_all(double loss, double weights, double gradients) {
  SECTION("head, SGD") {
    Run<B> run;
    vt::adapt::freeze(run.backbone);
    vt::train::Sgd optimizer(vt::trainable(run.backbone, run.head), {.momentum = 0.9});
    run.train(optimizer, true);
    run.check("head_sgd", loss, weights, gradients);
  }
  SECTION("everything, SGD") {
    Run<B> run;
    vt::train::Sgd optimizer(vt::trainable(run.backbone, run.head), {.momentum = 0.9});
    run.train(optimizer, true);
    run.check("full_sgd", loss, weights, gradients);
  }
  SECTION("everything, AdamW") {
    Run<B> run;
    vt::train::AdamW optimizer(vt::trainable(run.backbone, run.head), {.lr = 1e-3});
    run.train(optimizer, false, true);
    run.check("full_adamw", loss, weights, gradients);
  }
  SECTION("BitFit, AdamW") {
    Run<B> run;
    vt::adapt::bitfit(run.backbone);
    vt::train::AdamW optimizer(vt::trainable(run.backbone, run.head), {.lr = 1e-3});
    run.train(optimizer, false);
    run.check("bitfit_adamw", loss, weights, gradients);
  }
  SECTION("LoRA on qkv, fc1, fc2, AdamW") {
    Run<B> run;
    vt::adapt::lora(run.backbone, {.rank = 4, .alpha = 8, .targets = {"qkv", "fc1", "fc2"}});
    set_terms(run.backbone, "lora_adamw");
    vt::train::AdamW optimizer(vt::trainable(run.backbone, run.head), {.lr = 1e-3});
    run.train(optimizer, false);
    run.check("lora_adamw", loss, weights, gradients);
  }
  SECTION("LoRA on q and v, AdamW") {
    Run<B> run;
    vt::adapt::lora(run.backbone, {.rank = 4, .alpha = 8, .targets = {"q", "v"}});
    set_terms(run.backbone, "lora_qv_adamw");
    vt::train::AdamW optimizer(vt::trainable(run.backbone, run.head), {.lr = 1e-3});
    run.train(optimizer, false);
    run.check("lora_qv_adamw", loss, weights, gradients);
  }
}

}  // namespace

TEST_CASE("training follows PyTorch, in double") {
  NEEDS_SHARED("goldens/train");
  run_all<vt::Cpu<double>>(1e-9, 1e-6, 1e-6);  // the file holds weights as float
}

TEST_CASE("training follows PyTorch, in float") {
  NEEDS_SHARED("goldens/train");
  run_all<vt::Cpu<float>>(1e-5, 1e-4, 2e-5);
}

TEST_CASE("training follows PyTorch, in bfloat16") {
  NEEDS_SHARED("goldens/train");
  run_all<vt::Cpu<vt::bfloat16>>(0.05, 0.02, 0.2);
}
