// Optimisers: from the gradients that a tape has left in the parameters to their next values. PyTorch's formulas, to the
// letter; learning rates and the like are computed in double.
//
//   vt::train::AdamW optimizer(vt::trainable(model, head), {.lr = 1e-3});
//   ... tape.backward(loss);        // once or several times: gradients add up
//   optimizer.step();               // moves the parameters and empties their gradients
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <vitals/backend/gradients.hpp>
#include <vitals/core/error.hpp>
#include <vitals/core/parallel.hpp>
#include <vitals/io/safetensors.hpp>
#include <vitals/io/tensor_file.hpp>
#include <vitals/nn/module.hpp>

namespace vitals::inline v0::train {

/// Parameters that share their settings.
template <class B>
struct ParameterGroup {
  std::vector<nn::NamedParameter<B>> parameters;
  double lr_scale = 1;       ///< times the optimiser's lr
  double weight_decay = -1;  ///< negative: the optimiser's
};

struct SgdOptions {
  double lr = 1e-2;
  double momentum = 0;
  double weight_decay = 0;
  bool nesterov = false;
};

struct AdamWOptions {
  double lr = 1e-3;
  double beta1 = 0.9, beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.01;
};

/// What everything above knows of an optimiser, whatever the backend.
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  /// Moves every parameter that has a gradient and empties the gradients. max_norm > 0: gradients are first scaled by
  /// min(1, max_norm / (norm + 1e-6)), norm over all of them (torch.nn.utils.clip_grad_norm_). Gives that norm, 0 where
  /// max_norm is 0. Where it is not finite no parameter is moved; gradients are emptied all the same.
  virtual double step(double max_norm = 0) = 0;
  /// Empties the gradients.
  virtual void discard_gradients() = 0;
  /// The norm of all gradients together.
  virtual double gradient_norm() const = 0;
  /// The rate of the next step, before a group's factor. Throws ArgumentError where it is negative or not a number.
  void set_lr(double lr) {
    if (!(lr >= 0) || !std::isfinite(lr))
      throw ArgumentError("[Optimizer] learning rate " + std::to_string(lr), "", "use a number from 0 on");
    lr_ = lr;
  }
  double lr() const { return lr_; }
  /// How many steps were made.
  std::uint64_t steps() const { return steps_; }

  /// What must be saved so that training goes on with the same bits: tensors named "optimizer.WHAT.PARAMETER". They point into
  /// the optimiser.
  virtual std::vector<io::NamedTensor> state() const = 0;
  /// Takes what state() gave from a file. Throws DataError where a tensor is missing or of another size.
  virtual void load_state(const io::TensorFile& file) = 0;

 protected:
  double lr_ = 0;
  std::uint64_t steps_ = 0;
};

/// The bookkeeping that optimisers share: groups, per-parameter state of `Buffers` numbers for each number.
template <class B, std::size_t Buffers>
class OptimizerOf : public Optimizer {
 public:
  double gradient_norm() const override {
    double squares = 0;
    for (const auto& item : items_)
      if (const auto& slot = item.row.parameter->gradient(); slot.filled)
        squares += backend::Gradients<B>::sum_of_squares(executor_, slot.data(), slot.size);
    return std::sqrt(squares);
  }
  void discard_gradients() override {
    for (const auto& item : items_) item.row.parameter->gradient().clear();
  }
  double step(double max_norm = 0) override {
    double norm = 0, scale = 1;
    if (max_norm > 0) {
      norm = gradient_norm();
      scale = std::min(1.0, max_norm / (norm + 1e-6));
    }
    if (std::isfinite(norm)) {
      for (auto& item : items_)
        if (item.row.parameter->gradient().filled) move(item, scale);
      ++steps_;
    }
    discard_gradients();
    return norm;
  }
  std::vector<io::NamedTensor> state() const override {
    std::vector<io::NamedTensor> out;
    counts_.clear();
    for (const auto& item : items_) counts_.push_back(item.steps);
    counts_.push_back(steps_);
    out.emplace_back("optimizer.steps", std::vector<std::size_t>{counts_.size()},
                     std::span<const std::uint64_t>(counts_));
    for (const auto& item : items_)
      for (std::size_t b = 0; b < Buffers; ++b)
        if (item.state[b].size())
          out.emplace_back(tensor_name(item, b), std::vector<std::size_t>{item.state[b].size()},
                           std::span<const Scalar>(item.state[b].data(), item.state[b].size()));
    return out;
  }
  void load_state(const io::TensorFile& file) override {
    const auto read = [&](const std::string& name, std::size_t size) {
      const auto* entry = file.find(name);
      if (!entry || entry->size() != size)
        throw DataError(std::string(entry ? "a tensor of another size '" : "no tensor '") + name + "'",
                        file.path().string(), "the state belongs to other parameters or another optimiser");
      return entry;
    };
    std::vector<double> counts(items_.size() + 1);
    file.read(*read("optimizer.steps", counts.size()), std::span<double>(counts));
    for (std::size_t i = 0; i < items_.size(); ++i) {
      auto& item = items_[i];
      item.steps = static_cast<std::uint64_t>(counts[i]);
      for (std::size_t b = 0; b < Buffers; ++b) {
        if (!file.find(tensor_name(item, b)) && item.steps == 0) continue;
        const auto* entry = read(tensor_name(item, b), item.row.parameter->size());
        item.state[b] = typename B::Buffer(entry->size());
        file.read(*entry, std::span<Scalar>(item.state[b].data(), entry->size()));
      }
    }
    steps_ = static_cast<std::uint64_t>(counts.back());
  }

 protected:
  using Scalar = typename B::Scalar;
  struct Item {
    nn::NamedParameter<B> row;
    double lr_scale, weight_decay;
    std::uint64_t steps = 0;  // that moved this parameter
    std::array<typename B::Buffer, Buffers> state = {};
  };

  OptimizerOf(std::vector<ParameterGroup<B>> groups, double lr, double weight_decay, Executor& executor)
      : executor_(executor) {
    set_lr(lr);
    for (auto& group : groups)
      for (auto& row : group.parameters)
        items_.push_back({std::move(row), group.lr_scale, group.weight_decay < 0 ? weight_decay : group.weight_decay});
    if (items_.empty()) throw ArgumentError("[Optimizer] no parameter to train", "", "are all of them frozen?");
  }
  /// Moves one parameter.
  virtual void move(Item& item, double gradient_scale) = 0;
  /// The item's b-th state, zeros at first.
  Scalar* state_of(Item& item, std::size_t b) {
    auto& buffer = item.state[b];
    if (!buffer.size()) {
      buffer = typename B::Buffer(item.row.parameter->size());
      std::fill_n(buffer.data(), buffer.size(), Scalar(0));
    }
    return buffer.data();
  }
  static std::string tensor_name(const Item& item, std::size_t b) {
    return "optimizer." + std::to_string(b) + "." + item.row.name;
  }

  Executor& executor_;
  std::vector<Item> items_;
  mutable std::vector<std::uint64_t> counts_;  // what state() points to
};

/// Stochastic gradient descent with momentum (Sutskever et al., ICML 2013), as torch.optim.SGD.
template <class B>
class Sgd final : public OptimizerOf<B, 1> {
 public:
  explicit Sgd(std::vector<ParameterGroup<B>> groups, const SgdOptions& options = {},
               Executor& executor = default_pool())
      : OptimizerOf<B, 1>(std::move(groups), options.lr, options.weight_decay, executor), options_(options) {
    if (options.nesterov && options.momentum <= 0)
      throw ArgumentError("[Sgd] Nesterov's step needs a momentum", "", "set momentum");
  }
  explicit Sgd(std::vector<nn::NamedParameter<B>> parameters, const SgdOptions& options = {},
               Executor& executor = default_pool())
      : Sgd(std::vector<ParameterGroup<B>>{{std::move(parameters)}}, options, executor) {}

 private:
  using typename OptimizerOf<B, 1>::Item;
  using typename OptimizerOf<B, 1>::Scalar;
  void move(Item& item, double gradient_scale) override {
    backend::SgdStep<Scalar> step{static_cast<Scalar>(this->lr_ * item.lr_scale),
                                  static_cast<Scalar>(options_.momentum),
                                  static_cast<Scalar>(item.weight_decay),
                                  static_cast<Scalar>(gradient_scale),
                                  options_.nesterov,
                                  item.steps == 0};
    Scalar* momentum = options_.momentum > 0 ? this->state_of(item, 0) : nullptr;
    const Scalar* gradient = item.row.parameter->gradient().data();
    item.row.parameter->update(this->executor_, [&](Scalar* w, std::size_t begin, std::size_t n) {
      backend::Gradients<B>::sgd(w, gradient + begin, momentum ? momentum + begin : nullptr, n, step);
    });
    ++item.steps;
  }
  SgdOptions options_;
};

/// Adam with decoupled weight decay, as torch.optim.AdamW.
template <class B>
class AdamW final : public OptimizerOf<B, 2> {
 public:
  explicit AdamW(std::vector<ParameterGroup<B>> groups, const AdamWOptions& options = {},
                 Executor& executor = default_pool())
      : OptimizerOf<B, 2>(std::move(groups), options.lr, options.weight_decay, executor), options_(options) {}
  explicit AdamW(std::vector<nn::NamedParameter<B>> parameters, const AdamWOptions& options = {},
                 Executor& executor = default_pool())
      : AdamW(std::vector<ParameterGroup<B>>{{std::move(parameters)}}, options, executor) {}

 private:
  using typename OptimizerOf<B, 2>::Item;
  using typename OptimizerOf<B, 2>::Scalar;
  void move(Item& item, double gradient_scale) override {
    ++item.steps;
    const double lr = this->lr_ * item.lr_scale, count = static_cast<double>(item.steps);
    const auto number = [](double x) { return static_cast<Scalar>(x); };
    const backend::AdamWStep<Scalar> step{number(options_.beta1),
                                          number(1 - options_.beta1),
                                          number(options_.beta2),
                                          number(1 - options_.beta2),
                                          number(1 - lr * item.weight_decay),
                                          number(lr / (1 - std::pow(options_.beta1, count))),
                                          number(1 / std::sqrt(1 - std::pow(options_.beta2, count))),
                                          number(options_.eps),
                                          number(gradient_scale)};
    Scalar *mean = this->state_of(item, 0), *square = this->state_of(item, 1);
    const Scalar* gradient = item.row.parameter->gradient().data();
    item.row.parameter->update(this->executor_, [&](Scalar* w, std::size_t begin, std::size_t n) {
      backend::Gradients<B>::adamw(w, gradient + begin, mean + begin, square + begin, n, step);
    });
  }
  AdamWOptions options_;
};

}  // namespace vitals::inline v0::train
