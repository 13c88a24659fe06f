// Implementation of trainer.hpp.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <utility>

#include <vitals/core/error.hpp>
#include <vitals/core/number_text.hpp>
#include <vitals/core/rng.hpp>
#include <vitals/train/position.hpp>
#include <vitals/train/schedule.hpp>
#include <vitals/train/trainer.hpp>

namespace vitals::inline v0::train {

VITALS_INLINE std::size_t outputs_of(const data::Dataset& dataset) {
  return dataset.task == data::Task::binary ? 1 : dataset.classes.size();
}

VITALS_INLINE Targets targets_of(const data::Dataset& dataset, const std::vector<std::size_t>& items) {
  Targets out;
  const std::size_t outputs = outputs_of(dataset);
  for (std::size_t i : items) {
    const auto& labels = dataset.items[i].labels;
    if (dataset.task != data::Task::multilabel && labels.size() != 1)
      throw DataError("[train] " + std::to_string(labels.size()) + " labels where there must be one", dataset.where(i));
    if (dataset.task == data::Task::multiclass) {
      out.labels.push_back(labels[0]);
    } else if (dataset.task == data::Task::binary) {
      out.values.push_back(labels[0] == 1 ? 1.0f : 0.0f);
    } else {
      for (std::size_t k = 0; k < outputs; ++k)
        out.values.push_back(std::binary_search(labels.begin(), labels.end(), k) ? 1.0f : 0.0f);
    }
  }
  return out;
}

namespace detail {

// One training: its place, and what a step, an evaluation and a checkpoint are.
class Trainer {
 public:
  Trainer(TrainableBackbone& model, const data::Dataset& dataset, const std::vector<std::size_t>& items,
          const transforms::Transform& transform, const TrainerOptions& options)
      : model_(model),
        dataset_(dataset),
        options_(options),
        executor_(options.executor ? *options.executor : default_pool()),
        loader_(dataset, items, transform,
                {.batch = options.batch,
                 .augment = options.augment,
                 .degrees = options.rotate,
                 .seed = options.seed,
                 .executor = &executor_}) {
    if (options.accumulate == 0) throw ArgumentError("[train] gradients of 0 passes make no step");
    if (!(options.warmup >= 0 && options.warmup < 1))
      throw ArgumentError("[train] a warm-up of " + std::to_string(options.warmup) + " of the steps", "",
                          "use a share from 0 up to 1");
    if (!(options.drop_path >= 0 && options.drop_path < 1))
      throw ArgumentError("[train] a drop path of " + std::to_string(options.drop_path), "",
                          "use a share from 0 up to 1");
    const std::uint64_t epoch = (loader_.batches_per_epoch() + options.accumulate - 1) / options.accumulate;
    steps_ = options.steps ? options.steps : epoch * options.epochs;
    if (steps_ == 0) throw ArgumentError("[train] no step to make", "", "ask for one epoch or more");
    validate_every_ = options.validate_every ? options.validate_every : epoch;
    optimizer_ = model.optimizer(options.optimizer, executor_);
    schedule_ = {.lr = options.optimizer.lr,
                 .steps = steps_,
                 .warmup = static_cast<std::uint64_t>(options.warmup * static_cast<double>(steps_))};
    set_conditions(transform);
  }

  Training run() {
    begin();
    while (at_.step < steps_ && !result_.stopped && !result_.early) {
      step();
      if (options_.validate && (at_.step % validate_every_ == 0 || at_.step == steps_)) evaluate();
      result_.stopped = at_.step < steps_ && !result_.early && options_.stop && options_.stop();
      const bool due = options_.checkpoint_every && at_.step % options_.checkpoint_every == 0;
      if (!options_.checkpoint.empty() && (due || result_.stopped || result_.early || at_.step == steps_))
        save_checkpoint(options_.checkpoint, conditions_, model_, *optimizer_, at_);
    }
    return finish();
  }

 private:
  void set_conditions(const transforms::Transform& transform) {
    conditions_ = options_.conditions;
    const auto& o = options_.optimizer;
    const auto number = [&](const char* name, double value) { conditions_[name] = shortest_text(value); };
    conditions_["optimizer"] = name(o.kind);
    conditions_["transform"] = transform.name();
    conditions_["size"] = std::to_string(transform.size().height) + "x" + std::to_string(transform.size().width);
    number("lr", o.lr);
    number("head-lr", o.head_lr);
    number("momentum", o.momentum);
    number("weight-decay", o.weight_decay);
    number("layer-decay", o.layer_decay);
    number("warmup", options_.warmup);
    number("max-norm", options_.max_norm);
    number("steps", static_cast<double>(steps_));
    number("batch", static_cast<double>(options_.batch));
    number("accumulate", static_cast<double>(options_.accumulate));
    number("augment", options_.augment);
    number("rotate", options_.rotate);
    number("drop-path", options_.drop_path);
    number("nesterov", o.nesterov);
    number("seed", static_cast<double>(options_.seed));
    number("validate-every", static_cast<double>(validate_every_));
    number("patience", static_cast<double>(options_.patience));
    number("validation", options_.validate ? 1 : 0);
  }

  void begin() {
    if (options_.checkpoint.empty()) {
      if (options_.resume)
        throw ArgumentError("[train] to resume from no folder", "", "name the folder of checkpoints");
      return;
    }
    if (!options_.resume) {
      if (has_checkpoint(options_.checkpoint))
        throw ArgumentError("[train] there are checkpoints already", options_.checkpoint.string(),
                            "resume, or give another folder");
      return;
    }
    if (load_checkpoint(options_.checkpoint, conditions_, model_, *optimizer_, at_, result_.notes))
      result_.resumed_from = at_.step;
    result_.early = patience_is_over();
  }

  std::string batch_text(std::uint64_t first) {
    std::string text;
    for (std::uint64_t pass = 0; pass < options_.accumulate; ++pass)
      for (std::size_t i : loader_.items(first + pass))
        if (text.size() < 600) text += (text.empty() ? "" : ", ") + dataset_.items[i].path;
    return text;
  }

  void step() {
    const auto start = std::chrono::steady_clock::now();
    const double lr = schedule_.at(at_.step);
    optimizer_->set_lr(lr);
    double loss = 0;
    const std::uint64_t first = at_.step * options_.accumulate;
    for (std::uint64_t pass = first; pass < first + options_.accumulate; ++pass) {
      const auto batch = loader_.batch(pass);
      loss += model_.gradient(
                  batch.pixels, targets_of(dataset_, batch.items), 1.0 / static_cast<double>(options_.accumulate),
                  Rng(options_.seed, 0x64726F70).bits_at(pass), options_.recompute, executor_, options_.drop_path) /
              static_cast<double>(options_.accumulate);
      if (!std::isfinite(loss)) not_a_number("loss", first);
    }
    if (!std::isfinite(optimizer_->step(options_.max_norm))) not_a_number("norm of the gradients", first);
    ++at_.step;
    at_.loss_sum += loss;
    ++at_.loss_count;
    seconds_.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    if (options_.on_step) options_.on_step({at_.step, steps_, loss, lr});
  }

  [[noreturn]] void not_a_number(const char* what, std::uint64_t first) {
    optimizer_->discard_gradients();
    throw DataError(
        "[train] the " + std::string(what) + " of step " + std::to_string(at_.step + 1) + " is not a number",
        "images " + batch_text(first), "take a smaller rate, or look at these images");
  }

  void evaluate() {
    add_evaluation(at_, options_.validate(model_), model_.rows());
    result_.early = patience_is_over();
  }
  bool patience_is_over() const {
    if (options_.patience == 0) return false;
    const auto since = std::count_if(at_.evaluations.begin(), at_.evaluations.end(),
                                     [&](const auto& e) { return e.step > at_.best_step; });
    return static_cast<std::size_t>(since) >= options_.patience;
  }

  Training finish() {
    result_.steps = at_.step;
    result_.evaluations = at_.evaluations;
    result_.last_loss = last_loss(at_);
    result_.seconds_per_step = median(seconds_);
    if (!result_.stopped && !at_.best.empty()) {
      result_.best_step = at_.best_step;
      const auto rows = model_.rows();
      for (std::size_t i = 0; i < rows.size(); ++i) rows[i].write(at_.best[i]);
    }
    return std::move(result_);
  }

  TrainableBackbone& model_;
  const data::Dataset& dataset_;
  const TrainerOptions& options_;
  Executor& executor_;
  Loader loader_;
  std::unique_ptr<Optimizer> optimizer_;
  CosineSchedule schedule_;
  Conditions conditions_;
  std::uint64_t steps_ = 0, validate_every_ = 0;
  Position at_;
  Training result_;
  std::vector<double> seconds_;
};

}  // namespace detail

VITALS_INLINE Training train(TrainableBackbone& model, const data::Dataset& dataset,
                             const std::vector<std::size_t>& items, const transforms::Transform& transform,
                             const TrainerOptions& options) {
  return detail::Trainer(model, dataset, items, transform, options).run();
}

}  // namespace vitals::inline v0::train
