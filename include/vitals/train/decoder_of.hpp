// DecoderOf<Head>: a decoder of heads/ behind the interface TrainableDecoder.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <vitals/autograd/recording.hpp>
#include <vitals/core/error.hpp>
#include <vitals/losses/segmentation.hpp>
#include <vitals/nn/module.hpp>
#include <vitals/train/optimizer.hpp>
#include <vitals/train/trainable_decoder.hpp>

namespace vitals::inline v0::train {

/// Head: heads::LinearSegmenter<B> or heads::UnetDecoder<B>.
template <class Head, class B>
class DecoderOf final : public TrainableDecoder {
 public:
  DecoderOf(const heads::DecoderShape& shape, std::uint64_t seed, Executor& executor)
      : head_(shape, seed, executor), executor_(executor) {}

  const heads::DecoderShape& shape() const override { return head_.shape; }
  const char* dtype() const override { return std::is_same_v<B, Cpu<bfloat16>> ? "bfloat16" : "float32"; }
  std::size_t parameters() const override { return nn::count(trained()); }

  std::vector<TrainableRow> rows() override {
    std::vector<TrainableRow> out;
    for (const bool trains : {true, false})
      for (const auto& row : nn::parameters<B>(head_))
        if (auto* p = row.parameter; p->trainable() == trains)
          out.push_back({row.name,
                         {p->shape().begin(), p->shape().end()},
                         [p](std::span<float> to) { p->copy_to(to); },
                         [p, &executor = executor_](std::span<const float> from) { p->assign(executor, from); }});
    return out;
  }

  std::unique_ptr<Optimizer> optimizer(const OptimizerOptions& options, Executor& executor) override {
    if (!(options.head_lr > 0) || !std::isfinite(options.head_lr))
      throw ArgumentError("[optimizer] learning rate " + std::to_string(options.head_lr), "", "use a number above 0");
    if (options.kind == OptimizerKind::sgd)
      return std::make_unique<Sgd<B>>(
          trained(),
          SgdOptions{.lr = options.head_lr, .momentum = options.momentum, .weight_decay = options.weight_decay},
          executor);
    return std::make_unique<AdamW<B>>(
        trained(), AdamWOptions{.lr = options.head_lr, .weight_decay = options.weight_decay}, executor);
  }

  double gradient(const DecoderInput& input, TensorView<const std::uint8_t, dyn, dyn, dyn> masks,
                  losses::SegmentationLoss kind, Executor& executor) override {
    auto& tape = fresh(executor);
    const auto loss = losses::segmentation(head_(tape, maps(tape, input), nn::NormMode::train), masks, kind);
    float value = 0;
    B::download(loss.data(), 1, &value);
    if (std::isfinite(value))
      tape.backward(loss);
    else
      tape.clear();
    return static_cast<double>(value);
  }

  Tensor<float, dyn, dyn, dyn, dyn> logits(const DecoderInput& input, nn::NormMode mode, Executor& executor) override {
    auto& tape = fresh(executor);
    const auto y = forward(tape, input, mode);
    Tensor<float, dyn, dyn, dyn, dyn> out(y.shape());
    B::download(y.data(), y.size(), out.data());
    return out;
  }

  Tensor<std::uint8_t, dyn, dyn, dyn> predict(const DecoderInput& input, nn::NormMode mode,
                                              Executor& executor) override {
    auto& tape = fresh(executor);
    const auto y = forward(tape, input, mode);
    const std::size_t n = y.extent(3);
    Tensor<std::uint8_t, dyn, dyn, dyn> out({y.extent(0), y.extent(1), y.extent(2)});
    parallel_for(executor, out.size(), 4096, [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i) {
        const auto* z = y.data() + i * n;
        out.data()[i] = static_cast<std::uint8_t>(std::max_element(z, z + n) - z);
      }
    });
    return out;
  }

 private:
  std::vector<nn::NamedParameter<B>> trained() const {
    std::vector<nn::NamedParameter<B>> out;
    for (auto& row : nn::parameters<B>(head_))
      if (row.parameter->trainable()) out.push_back(std::move(row));
    return out;
  }
  Tape<B>& fresh(Executor& executor) {
    if (!tape_ || &tape_->executor != &executor) tape_ = std::make_unique<Tape<B>>(executor);
    tape_->clear();
    return *tape_;
  }
  Map<B> forward(Tape<B>& tape, const DecoderInput& input, nn::NormMode mode) {
    return tape.without_recording([&] { return head_(tape, maps(tape, input), mode); });
  }
  /// Tokens (B, N, D) are maps (B, h, w, D) as they stand.
  std::vector<Map<B>> maps(Tape<B>& tape, const DecoderInput& input) {
    const auto& shape = head_.shape;
    if (input.blocks.size() != heads::blocks_of(shape.kind))
      throw ShapeError("[decoder] tokens of " + std::to_string(input.blocks.size()) + " blocks", name(shape.kind),
                       "it reads the last " + std::to_string(heads::blocks_of(shape.kind)));
    std::vector<Map<B>> out;
    for (const auto& block : input.blocks) {
      if (block.extent(1) != input.height * input.width || block.extent(2) != shape.dim ||
          block.extent(0) != input.blocks[0].extent(0))
        throw ShapeError("[decoder] tokens " + to_string(block.shape()) + " as a map of " +
                         std::to_string(input.height) + " x " + std::to_string(input.width) + " x " +
                         std::to_string(shape.dim));
      out.push_back(tape.template input<dyn, dyn, dyn, dyn>(TensorView<const float, dyn, dyn, dyn, dyn>(
          block.data(), {block.extent(0), input.height, input.width, shape.dim})));
    }
    return out;
  }

  mutable Head head_;  // its table is of pointers that may write
  Executor& executor_;
  std::unique_ptr<Tape<B>> tape_;  // through all steps, for its memory
};

}  // namespace vitals::inline v0::train
