// TrainableBackbone: a backbone with a head of run-time width and a way back, without its type. The trainer, protocols and
// programs see this interface, so they are compiled once and not once for every preset.
//
//   auto model = vt::train::load_trainable({.preset = "dinov2_vits14", .weights = "dinov2_vits14_pretrain.pth"});   // trainable_presets.hpp
//   model->lora({.rank = 8, .targets = {"q", "v"}});
//   model->add_head(3, seed);
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <vitals/adapt/lora.hpp>
#include <vitals/adapt/peft.hpp>
#include <vitals/core/config.hpp>
#include <vitals/core/parallel.hpp>
#include <vitals/core/tensor.hpp>
#include <vitals/models/backbone.hpp>
#include <vitals/train/optimizer.hpp>

namespace vitals::inline v0::train {

/// What a batch should be told to be: one label an image (softmax cross entropy), or 0 / 1 for each output (binary cross
/// entropy with logits, mean over images and outputs).
struct Targets {
  std::vector<std::size_t> labels;  ///< (B), or empty
  std::vector<float> values;        ///< (B, K), or empty
};

enum class OptimizerKind { sgd, adamw };
const char* name(OptimizerKind kind);

struct OptimizerOptions {
  OptimizerKind kind = OptimizerKind::adamw;
  double lr = 1e-4;         ///< of the backbone's parameters
  double head_lr = 1e-3;    ///< of the head's
  double momentum = 0.9;    ///< SGD
  bool nesterov = false;    ///< SGD
  double weight_decay = 0;  ///< of matrices; biases, norms and LayerScale have none
  double layer_decay = 1;   ///< each block's rate over that of the block after it
};

/// A parameter that trains, by name and through functions on its row-major values.
struct TrainableRow {
  std::string name;  ///< "blocks.0.attn.qkv.lora_A.q", "head.weight"
  std::vector<std::size_t> shape;
  std::function<void(std::span<float>)> read;
  std::function<void(std::span<const float>)> write;

  std::size_t size() const {
    std::size_t n = 1;
    for (auto s : shape) n *= s;
    return n;
  }
};

class TrainableBackbone : public Backbone {
 public:
  // --- what trains ----------------------------------------------------------------------------------------------------
  virtual void freeze() = 0;
  virtual void unfreeze() = 0;
  virtual void bitfit() = 0;
  /// Throws what adapt::lora throws.
  virtual void lora(const adapt::LoraOptions& options) = 0;
  /// Gives the backbone the terms of an adapter (adapt::apply). Throws what that throws.
  virtual void apply(const adapt::Adapter& adapter) = 0;
  /// Throws ArgumentError where there are no terms.
  virtual adapt::Adapter adapter() = 0;
  /// Adds low-rank terms into the weights, where they stay at rest.
  virtual void merge() = 0;
  /// A linear head on CLS, `outputs` wide: weights N(0, 0.01), biases 0. Replaces the one before.
  virtual void add_head(std::size_t outputs, std::uint64_t seed) = 0;
  /// Whatever trains, the backbone's rows first. Functions are valid as long as the model and its terms.
  virtual std::vector<TrainableRow> rows() = 0;
  /// How many numbers of the backbone train; the head's come on top.
  virtual std::size_t trainable_count() = 0;
  /// Of what trains now. Throws ArgumentError for rates that are no positive numbers.
  virtual std::unique_ptr<Optimizer> optimizer(const OptimizerOptions& options, Executor& executor) = 0;

  // --- a step ---------------------------------------------------------------------------------------------------------
  /// The loss of head(CLS of pixels) against the targets; `scale` times its gradients are added to those of what trains. `seed`
  /// of dropout and drop path. recompute: keep each block's input only and run it again on the way back. drop_path: TapeOptions'.
  /// Throws ArgumentError without a head, and what the losses throw.
  virtual double gradient(TensorView<const float, dyn, 3, dyn, dyn> pixels, const Targets& targets, double scale,
                          std::uint64_t seed, bool recompute, Executor& executor, double drop_path = 0) = 0;
  /// (B, K), without a tape.
  virtual Tensor<double, dyn, dyn> logits(TensorView<const float, dyn, 3, dyn, dyn> pixels, Executor& executor) = 0;

  // --- what is kept ---------------------------------------------------------------------------------------------------
  /// Every parameter of the backbone, under its published name, as .safetensors in float32. Terms are merged first. Throws
  /// IoError.
  virtual void save_weights(const std::filesystem::path& file, const std::map<std::string, std::string>& metadata) = 0;
  struct Head {
    Tensor<float, dyn, dyn> weight;  ///< (K, D)
    std::vector<float> bias;         ///< (K)
  };
  virtual Head head() = 0;
};

}  // namespace vitals::inline v0::train

#if VITALS_HEADER_ONLY
#include <vitals/train/trainable.ipp>
#endif
