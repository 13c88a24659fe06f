// TrainableOf<Model>: a typed model behind the interface TrainableBackbone.
//
//   vt::train::TrainableOf<vt::ViT<tiny, vt::Cpu<float>>> model(std::make_unique<vt::ViT<tiny, vt::Cpu<float>>>(seed));
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <vitals/adapt/freeze.hpp>
#include <vitals/adapt/lora.hpp>
#include <vitals/adapt/peft.hpp>
#include <vitals/autograd/tape.hpp>
#include <vitals/core/error.hpp>
#include <vitals/io/safetensors.hpp>
#include <vitals/losses/cross_entropy.hpp>
#include <vitals/models/vit.hpp>
#include <vitals/train/optimizer.hpp>
#include <vitals/train/runtime_head.hpp>
#include <vitals/train/schedule.hpp>
#include <vitals/train/trainable.hpp>

namespace vitals::inline v0::train {

template <class Model>
class TrainableOf final : public TrainableBackbone {
 public:
  using B = typename Model::Backend;

  explicit TrainableOf(std::unique_ptr<Model> model, Executor& executor = default_pool())
      : model_(std::move(model)), executor_(executor) {}
  Model& model() { return *model_; }

  const BackboneInfo& info() const override { return model_->info(); }
  Features features(TensorView<const float, dyn, 3, dyn, dyn> pixels, const FeatureRequest& request) const override {
    return model_->features(pixels, request);
  }

  void freeze() override { adapt::freeze(*model_); }
  void unfreeze() override { adapt::unfreeze(*model_); }
  void bitfit() override { adapt::bitfit(*model_); }
  void lora(const adapt::LoraOptions& options) override { adapt::lora(*model_, options, executor_); }
  void apply(const adapt::Adapter& adapter) override { adapt::apply(*model_, adapter, executor_); }
  adapt::Adapter adapter() override { return adapt::adapter_of(*model_); }
  void merge() override { adapt::merge(*model_, executor_); }
  void add_head(std::size_t outputs, std::uint64_t seed) override {
    if (outputs == 0) throw ArgumentError("[add_head] a head without outputs");
    head_ = std::make_unique<RuntimeHead<B>>(outputs, model_->info().dim, seed, executor_);
  }

  std::vector<TrainableRow> rows() override {
    std::vector<TrainableRow> out;
    for (const auto& row : all_rows()) {
      auto* p = row.parameter;
      out.push_back({row.name,
                     {p->shape().begin(), p->shape().end()},
                     [p](std::span<float> to) { p->copy_to(to); },
                     [p, &executor = executor_](std::span<const float> from) {
                       p->keep_master();  // what trains must not be rounded
                       p->assign(executor, from);
                     }});
    }
    return out;
  }
  std::size_t trainable_count() override { return adapt::trainable_count(*model_); }

  std::unique_ptr<Optimizer> optimizer(const OptimizerOptions& options, Executor& executor) override {
    for (double rate : {options.lr, options.head_lr})
      if (!(rate > 0) || !std::isfinite(rate))
        throw ArgumentError("[optimizer] learning rate " + std::to_string(rate), "", "use a number above 0");
    auto groups = layer_groups<B>(trainable(*model_), model_->info().depth, options.layer_decay, true);
    if (head_) {
      auto rows = head_->rows();
      groups.push_back({{rows[0]}, options.head_lr / options.lr, -1});
      groups.push_back({{rows[1]}, options.head_lr / options.lr, 0});
    }
    if (options.kind == OptimizerKind::sgd)
      return std::make_unique<Sgd<B>>(std::move(groups),
                                      SgdOptions{.lr = options.lr,
                                                 .momentum = options.momentum,
                                                 .weight_decay = options.weight_decay,
                                                 .nesterov = options.nesterov},
                                      executor);
    return std::make_unique<AdamW<B>>(std::move(groups),
                                      AdamWOptions{.lr = options.lr, .weight_decay = options.weight_decay}, executor);
  }

  double gradient(TensorView<const float, dyn, 3, dyn, dyn> pixels, const Targets& targets, double scale,
                  std::uint64_t seed, bool recompute, Executor& executor, double drop_path) override {
    check_head();
    if (!tape_ || &tape_->executor != &executor) tape_ = std::make_unique<Tape<B>>(executor);
    tape_->clear();
    const std::size_t batch = pixels.extent(0), size = batch ? pixels.size() / batch : 0;
    const std::size_t values = batch ? targets.values.size() / batch : 0;
    if (targets.labels.empty() ? targets.values.size() != values * batch : targets.labels.size() != batch)
      throw ShapeError("[TrainableBackbone] targets of another number of images than the batch has");
    // Before the first part leaves gradients.
    for (std::size_t i = 0; i < targets.labels.size(); ++i)
      if (targets.labels[i] >= head_->bias.size())
        throw DataError("[TrainableBackbone] label " + std::to_string(targets.labels[i]), "row " + std::to_string(i),
                        "labels run from 0 to " + std::to_string(head_->bias.size() - 1));
    const std::size_t together = images_together(pixels);
    double total = 0;
    for (std::size_t first = 0; first < batch; first += together) {
      const std::size_t count = std::min(together, batch - first);
      // Dropout and drop path draw other numbers for every part of the batch.
      tape_->options = {.checkpoint = recompute, .seed = seed + first * 0x9e3779b97f4a7c15ull, .drop_path = drop_path};
      const TensorView<const float, dyn, 3, dyn, dyn> some(pixels.data() + first * size,
                                                           {count, 3, pixels.extent(2), pixels.extent(3)});
      const auto logits = (*head_)(model_->cls(*tape_, some));
      const auto part = [&](const auto& all, std::size_t each) {
        return std::span(all).subspan(first * each, count * each);
      };
      const auto loss = targets.labels.empty() ? losses::binary_cross_entropy(logits, part(targets.values, values))
                                               : losses::cross_entropy(logits, part(targets.labels, 1));
      float value = 0;
      B::download(loss.data(), 1, &value);
      const double share = static_cast<double>(count) / static_cast<double>(batch);
      tape_->backward(loss, scale * share);
      total += share * static_cast<double>(value);
    }
    return total;
  }

  Tensor<double, dyn, dyn> logits(TensorView<const float, dyn, 3, dyn, dyn> pixels, Executor& executor) override {
    check_head();
    const auto cls = model_->features(pixels, {.patches = false, .executor = &executor}).cls;
    const Head w = head();
    const std::size_t n = cls.extent(0), dim = cls.extent(1), outputs = w.bias.size();
    Tensor<double, dyn, dyn> out({n, outputs});
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t k = 0; k < outputs; ++k) {
        double sum = static_cast<double>(w.bias[k]);
        for (std::size_t d = 0; d < dim; ++d)
          sum += static_cast<double>(cls(i, d)) * static_cast<double>(w.weight(k, d));
        out(i, k) = sum;
      }
    return out;
  }

  void save_weights(const std::filesystem::path& file, const std::map<std::string, std::string>& metadata) override {
    merge();
    std::vector<std::vector<float>> values;
    std::vector<io::NamedTensor> tensors;
    for (const auto& row : model_->parameters()) {
      auto& v = values.emplace_back(row.parameter->size());
      row.parameter->copy_to(v);
      tensors.emplace_back(row.name,
                           std::vector<std::size_t>(row.parameter->shape().begin(), row.parameter->shape().end()),
                           std::span<const float>(v));
    }
    io::write_safetensors(file, tensors, metadata);
  }

  Head head() override {
    check_head();
    const std::size_t outputs = head_->bias.size();
    Head out{Tensor<float, dyn, dyn>({outputs, model_->info().dim}), std::vector<float>(outputs)};
    head_->weight.copy_to(out.weight.span());
    head_->bias.copy_to(out.bias);
    return out;
  }

 private:
  // A batch goes forward and back a few images at a time, and the gradients add up: memory is that of a few images, and
  // what an operation leaves is still in the caches when the next one reads it. Fewer would read every weight, and write
  // every matrix's gradient, more often: 3 % of a step for three images of 224 instead of four in bfloat16, but up to 2 % for two in
  // float32, where arithmetic takes longer; so there what a wide model keeps for its way back, some ten numbers for each of a
  // token's, decides.
  std::size_t images_together(TensorView<const float, dyn, 3, dyn, dyn> pixels) const {
    const auto& info = model_->info();
    const std::size_t tokens = 1 + info.registers + pixels.extent(2) / info.patch * (pixels.extent(3) / info.patch);
    std::size_t most = std::max<std::size_t>(1, 1040 / tokens);
    if (backend::Gradients<B>::exact_weights) {
      const std::size_t kept = 10 * info.dim * info.depth * tokens * sizeof(typename B::Scalar);
      most = std::min(most, std::max<std::size_t>(2, 200 * 1024 * 1024 / kept));
    }
    const std::size_t batch = pixels.extent(0), parts = std::max<std::size_t>(1, (batch + most - 1) / most);
    return (batch + parts - 1) / parts;  // parts of nearly the same size
  }
  void check_head() const {
    if (!head_) throw ArgumentError("[TrainableBackbone] there is no head", "", "call add_head first");
  }
  std::vector<nn::NamedParameter<B>> all_rows() {
    auto rows = trainable(*model_);
    if (head_)
      for (auto& row : head_->rows()) rows.push_back(std::move(row));
    return rows;
  }

  std::unique_ptr<Model> model_;
  Executor& executor_;
  std::unique_ptr<RuntimeHead<B>> head_;
  std::unique_ptr<Tape<B>> tape_;  // through all steps, for its memory
};

}  // namespace vitals::inline v0::train
