// The options of fine-tuning, shared by fine_tune and few_shot, and what a run of it shows while it works.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include <vitals/eval/fine_tune.hpp>

#include "command_line.hpp"
#include "model.hpp"
#include "run.hpp"

namespace support {

struct FineTuneOptions {
  /// `few_shot`: without --epochs, --batch and --augment, which are the program's own, and without checkpoints.
  explicit FineTuneOptions(CommandLine& line, bool few_shot = false);
  FineTuneOptions(const FineTuneOptions&) = delete;

  std::string optimizer = "adamw", augment = "paper", criterion = "auroc", bias = "lora_only";
  std::size_t rank = 48, epochs = 10, steps = 0, batch = 8, accumulate = 1, patience = 0, validate_every = 0,
              checkpoint_every = 50;
  double alpha = 16, dropout = 0.1, lr = 0, head_lr = 0, weight_decay = 0, layer_decay = 1, warmup = 0.1, max_norm = 1,
         rotate = 0, drop_path = 0;
  std::vector<std::string> targets{"qkv", "fc1", "fc2"};
  bool rslora = false, nesterov = false, recompute = false, resume = false;
  std::filesystem::path checkpoint;

  /// Whether the model needs float32 copies for bfloat16.
  static Run::Training training(const std::string& method) {
    return method == "full" ? Run::Training::with_masters : Run::Training::yes;
  }
  /// What the library takes, with progress and Ctrl-C. Throws UsageError.
  vitals::eval::FineTuneOptions of(Run& run, const ModelOptions& model, const std::string& method) const;
  /// Trains on these images alone, with the seed of their draw; the scores of test. Val is looked at ten times, unless
  /// --validate-every says otherwise: an epoch of a few images is one step. Throws vitals::Error after Ctrl-C.
  vitals::eval::Prediction few_shot(Run& run, const ModelOptions& model, const std::string& method,
                                    const std::vector<std::size_t>& items, std::size_t seed) const;
  void add_conditions(Run& run, const vitals::eval::FineTuneOptions& options) const;
};

/// Throws vitals::Error where Ctrl-C has ended the training; says where to go on.
void check_finished(const vitals::train::Training& training, const std::filesystem::path& checkpoint);

}  // namespace support
