// The training half of the worker: a backbone with a head, its optimiser, and steps on one batch.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <vitals/core/error.hpp>
#include <vitals/core/parallel.hpp>
#include <vitals/core/tensor.hpp>
#include <vitals/io/tensor_file.hpp>
#include <vitals/train/optimizer.hpp>
#include <vitals/train/trainable.hpp>
#include <vitals/train/trainable_presets.hpp>

namespace compare {

/// One of full, lora (rank 8 on q and v, alpha 16), bitfit, head; AdamW with PyTorch's defaults.
class Training {
 public:
  static constexpr double rate = 1e-4;

  /// `start` holds the first values of the head and of the low-rank terms, under the names of TrainableBackbone::rows.
  Training(const std::string& method, const std::string& preset, const std::string& precision,
           const std::filesystem::path& weights, const std::filesystem::path& start, vitals::Executor& executor)
      : executor_(executor) {
    namespace train = vitals::train;
    const train::TrainableOptions options{
        .preset = preset, .weights = weights, .masters = method == "full", .executor = &executor};
    if (precision == "float32")
      model_ = train::load_trainable<vitals::Cpu<float>>(options);
    else if (precision == "bfloat16")
      model_ = train::load_trainable<vitals::Cpu<vitals::bfloat16>>(options);
    else
      throw vitals::ArgumentError("[worker] nothing trains in '" + precision + "'");
    if (method == "lora")
      model_->lora({.rank = 8, .alpha = 16, .targets = {"q", "v"}});
    else if (method == "bitfit")
      model_->bitfit();
    else if (method == "head")
      model_->freeze();
    else if (method != "full")
      throw vitals::ArgumentError("[worker] no method '" + method + "'");
    const auto file = vitals::io::TensorFile::open(start);
    model_->add_head(file.find("head.bias") ? file.find("head.bias")->size() : 1, 0);
    for (const auto& row : model_->rows())
      if (const auto* entry = file.find(row.name)) {
        std::vector<float> values(row.size());
        file.read(*entry, values);
        row.write(values);
      }
    optimizer_ = model_->optimizer({.lr = rate, .head_lr = rate, .weight_decay = 0.01}, executor_);
  }

  struct Step {
    double seconds, loss;
  };
  Step step(const vitals::Tensor<float, vitals::dyn, 3, vitals::dyn, vitals::dyn>& pixels) {
    vitals::train::Targets targets;
    for (std::size_t i = 0; i < pixels.extent(0); ++i) targets.labels.push_back(i % model_->head().bias.size());
    const auto begin = std::chrono::steady_clock::now();
    const double loss = model_->gradient(pixels, targets, 1, steps_++, false, executor_);
    optimizer_->step();
    return {std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(), loss};
  }
  std::size_t trainable() const { return model_->trainable_count(); }

 private:
  vitals::Executor& executor_;
  std::unique_ptr<vitals::train::TrainableBackbone> model_;
  std::unique_ptr<vitals::train::Optimizer> optimizer_;
  std::size_t steps_ = 0;
};

}  // namespace compare
