#include "fine_tuning.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>
#include <utility>

#include <vitals/core/error.hpp>

namespace vt = vitals;

namespace support {

namespace {

double resident_mib() {
  double pages = 0, total = 0;
  if (std::FILE* file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%lf %lf", &total, &pages) != 2) pages = 0;
    std::fclose(file);
  }
  return pages * 4096 / (1024 * 1024);
}

}  // namespace

FineTuneOptions::FineTuneOptions(CommandLine& line, bool few_shot) {
  line.option("--rank", rank, "of the low-rank terms (lora)");
  line.option("--alpha", alpha, "their scale is alpha / rank (lora)");
  line.option("--dropout", dropout, "of their input (lora)");
  line.option("--targets", targets, "layers that get a term; q, k, v: those parts of the fused qkv (lora)");
  line.flag("--rslora", rslora, "scale by alpha / sqrt(rank) (lora)");
  line.choice("--bias", bias, {"none", "all", "lora_only"}, "which biases train beside the terms (lora)");
  line.choice("--optimizer", optimizer, {"sgd", "adamw"}, "sgd has momentum 0.9");
  line.flag("--nesterov", nesterov, "sgd looks ahead along its momentum");
  line.option("--lr", lr,
              "rate of the backbone; 0: full 2e-5, lora 5e-4, bitfit 1e-3 with adamw, the study's 1e-5 with sgd");
  line.option("--head-lr", head_lr, "rate of the head; 0: 1e-3 with adamw, 1e-2 with sgd");
  line.option("--steps", steps, "so many steps instead of --epochs");
  line.option("--accumulate", accumulate, "passes that make one step");
  line.option("--warmup", warmup, "share of the steps in which the rate grows");
  line.option("--weight-decay", weight_decay, "of matrices");
  line.option("--layer-decay", layer_decay, "rate of a block over that of the next");
  line.option("--max-norm", max_norm, "gradients are scaled down to this norm; 0: never");
  line.option("--rotate", rotate, "augmented images are turned by up to so many degrees either way");
  line.option("--drop-path", drop_path, "how often the last block is left out of an image; less before it");
  line.choice("--criterion", criterion, {"auroc", "accuracy"}, "what val is asked for, to keep the best");
  line.option("--validate-every", validate_every, "steps between looks at val; 0: each epoch");
  line.option("--patience", patience, "stop after so many looks at val without a better one; 0: never");
  line.flag("--recompute", recompute, "less memory: blocks are run again on the way back");
  if (few_shot) return;
  line.option("--epochs", epochs, "passes over the training images");
  line.option("--batch", batch, "images of one pass");
  line.choice("--augment", augment, {"paper", "none"}, "paper: random crops and flips");
  line.option("--checkpoint", checkpoint, "folder that keeps the state, to go on after an interruption");
  line.option("--checkpoint-every", checkpoint_every, "steps between checkpoints");
  line.flag("--resume", resume, "go on from the newest checkpoint, where there is one");
}

vt::eval::FineTuneOptions FineTuneOptions::of(Run& run, const ModelOptions& model, const std::string& method) const {
  if (resume && checkpoint.empty()) throw UsageError("--resume: name the folder, --checkpoint DIR");
  for (const auto& [flag, rate] : {std::pair{"--lr", lr}, std::pair{"--head-lr", head_lr}})
    if (!(rate >= 0) || !std::isfinite(rate))
      throw UsageError(std::string(flag) + ": a learning rate is a number above 0 (0: the method's own)");
  if (batch == 0 || accumulate == 0) throw UsageError("--batch, --accumulate: at least one");
  vt::eval::FineTuneOptions o;
  o.method = vt::eval::method_by_name(method);
  o.lora = {.rank = rank,
            .alpha = alpha,
            .targets = targets,
            .dropout = dropout,
            .rslora = rslora,
            .bias = vt::adapt::lora_bias_by_name(bias),
            .seed = model.seed};
  o.criterion = criterion == "auroc" ? vt::eval::Criterion::auroc : vt::eval::Criterion::accuracy;
  o.progress = run.bar().sink();
  auto& t = o.trainer;
  const bool sgd = optimizer == "sgd";
  t.epochs = epochs;
  t.steps = steps;
  t.batch = batch;
  t.accumulate = accumulate;
  t.optimizer.kind = sgd ? vt::train::OptimizerKind::sgd : vt::train::OptimizerKind::adamw;
  t.optimizer.lr = lr > 0 ? lr : sgd ? 1e-5 : method == "full" ? 2e-5 : method == "bitfit" ? 1e-3 : 5e-4;
  t.optimizer.head_lr = head_lr > 0 ? head_lr : sgd ? 1e-2 : 1e-3;
  t.optimizer.nesterov = nesterov;
  t.optimizer.weight_decay = weight_decay;
  t.optimizer.layer_decay = layer_decay;
  t.warmup = warmup;
  t.max_norm = max_norm;
  t.augment = augment == "paper";
  t.rotate = rotate;
  t.drop_path = drop_path;
  t.recompute = recompute;
  t.seed = model.seed;
  t.validate_every = validate_every;
  t.patience = patience;
  t.checkpoint = checkpoint;
  t.checkpoint_every = checkpoint_every;
  t.resume = resume;
  t.conditions = {{"model", model.model},
                  {"weights", run.model().weights_sha256},
                  {"adapter", run.model().adapter_sha256},
                  {"dtype", model.dtype},
                  {"positions", vt::name(run.model().backbone->info().positions)},
                  {"data", run.dataset().sha256}};
  t.on_step = [&bar = run.bar(), sink = run.bar().sink()](const vt::train::StepReport& at) {
    char text[96];
    std::snprintf(text, sizeof text, "loss %.4f, lr %.2g, %.0f MiB", at.loss, at.lr, resident_mib());
    bar.detail(text);
    sink("train", at.step, at.steps);
    bar.detail("");
  };
  t.stop = stop_on_signal();
  return o;
}

vt::eval::Prediction FineTuneOptions::few_shot(Run& run, const ModelOptions& model, const std::string& method,
                                               const std::vector<std::size_t>& items, std::size_t seed) const {
  auto options = of(run, model, method);
  options.train = items;
  options.lora.seed = options.trainer.seed = seed;
  auto& t = options.trainer;
  const std::size_t images = std::min(t.batch, items.size()) * t.accumulate;
  const auto all = t.steps ? t.steps : (items.size() + images - 1) / images * t.epochs;
  if (t.validate_every == 0) t.validate_every = std::max<std::uint64_t>(1, all / 10);
  auto result = vt::eval::fine_tune(run.trainable(), run.dataset(), model.transform(), options);
  check_finished(result.training, {});
  return std::move(result.prediction);
}

void FineTuneOptions::add_conditions(Run& run, const vt::eval::FineTuneOptions& options) const {
  const auto& t = options.trainer;
  run.condition("method", std::string(vt::eval::name(options.method)));
  if (options.method == vt::eval::Method::lora) {
    run.condition("targets", targets);
    run.condition("rank", rank);
    run.condition("alpha", alpha);
    run.condition("dropout", dropout);
    run.condition("rslora", rslora);
    run.condition("bias", bias);
  }
  run.condition("optimizer", optimizer);
  run.condition("nesterov", nesterov);
  run.condition("lr", t.optimizer.lr);
  run.condition("head_lr", t.optimizer.head_lr);
  run.condition("epochs", epochs);
  run.condition("steps", steps);
  run.condition("batch", batch);
  run.condition("accumulate", accumulate);
  run.condition("warmup", warmup);
  run.condition("weight_decay", weight_decay);
  run.condition("layer_decay", layer_decay);
  run.condition("max_norm", max_norm);
  run.condition("augment", augment);
  run.condition("rotate", rotate);
  run.condition("drop_path", drop_path);
  run.condition("criterion", criterion);
  run.condition("patience", patience);
  run.condition("recompute", recompute);
}

void check_finished(const vt::train::Training& training, const std::filesystem::path& checkpoint) {
  if (!training.stopped) return;
  if (checkpoint.empty())
    throw vt::Error("interrupted after step " + std::to_string(training.steps), "",
                    "nothing is kept; with --checkpoint DIR the next run can go on");
  throw vt::Error("interrupted after step " + std::to_string(training.steps) + ", which is saved", checkpoint.string(),
                  "go on with --resume");
}

}  // namespace support
