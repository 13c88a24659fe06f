#include "probe.hpp"

#include <algorithm>

#include <vitals/core/error.hpp>
#include <vitals/eval/augmented.hpp>

namespace vt = vitals;

namespace support {

ProbeOptions::ProbeOptions(CommandLine& line, std::size_t default_epochs) : epochs(default_epochs) {
  line.option("--epochs", epochs, "passes over the training images");
  line.option("--batch", batch, "images of a training step, or all where there are fewer");
  line.option("--lrs", lrs, "learning rates of the grid");
  line.option("--blocks", blocks, "how many last blocks' CLS tokens enter a head, of the grid");
  line.option("--avgpool", avgpool, "0 without, 1 with the mean patch token, of the grid");
  line.choice(
      "--augment", augment, {"paper", "none"},
      "paper: every step sees new random crops and flips, which costs a forward pass each; none: each feature once");
  line.flag("--paper-mode", paper_mode,
            "the study's quirks: loss summed over the batch, absent classes count as AUROC 0 ...");
}

vt::eval::LinearProbeOptions ProbeOptions::of(Run& run, const ModelOptions& model) const {
  if (epochs == 0) throw UsageError("--epochs: at least one");
  if (batch == 0) throw UsageError("--batch: at least one image");
  const std::size_t depth = run.model().backbone->info().depth, stored = std::min<std::size_t>(4, depth);
  for (std::size_t b : blocks)
    if (b == 0 || b > stored)
      throw UsageError("--blocks: " + std::to_string(b) + " is not from 1 to " + std::to_string(stored));
  vt::eval::LinearProbeOptions options;
  options.epochs = epochs;
  options.batch = batch;
  options.lrs = lrs;
  options.blocks = blocks;
  options.avgpool.clear();
  for (std::size_t a : avgpool) {
    if (a > 1) throw UsageError("--avgpool: " + std::to_string(a) + " is neither 0 nor 1");
    options.avgpool.push_back(static_cast<int>(a));
  }
  for (double lr : lrs)
    if (!(lr > 0)) throw UsageError("--lrs: a learning rate must be above 0");
  options.seed = model.seed;
  options.paper_mode = paper_mode;
  options.progress = run.bar().sink();
  if (augment == "paper")
    options.augmented = vt::eval::augmented_features(*run.model().backbone, run.dataset(), model.transform(),
                                                     {.batch = model.batch, .seed = model.seed});
  return options;
}

void ProbeOptions::add_conditions(Run& run) const {
  run.condition("epochs", epochs);
  run.condition("batch", batch);
  run.condition("lrs", lrs);
  run.condition("blocks", blocks);
  run.condition("avgpool", avgpool);
  run.condition("augment", augment);
  run.condition("paper_mode", paper_mode);
}

}  // namespace support
