// Implementation of fine_tune.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <utility>

#include <vitals/core/error.hpp>
#include <vitals/core/number_text.hpp>
#include <vitals/core/sha256.hpp>
#include <vitals/eval/fine_tune.hpp>
#include <vitals/eval/linear_probe.hpp>
#include <vitals/metrics/auroc.hpp>
#include <vitals/train/loader.hpp>

namespace vitals::inline v0::eval {

VITALS_INLINE const char* name(Method method) {
  constexpr const char* names[] = {"head", "full", "lora", "bitfit"};
  return names[static_cast<std::size_t>(method)];
}

VITALS_INLINE Method method_by_name(const std::string& word) {
  for (Method method : {Method::head, Method::full, Method::lora, Method::bitfit})
    if (word == name(method)) return method;
  throw ArgumentError("no way of training is called '" + word + "'", "", "use head, full, lora or bitfit");
}

VITALS_INLINE Tensor<double, dyn, dyn> predict(train::TrainableBackbone& model, const data::Dataset& dataset,
                                               const std::vector<std::size_t>& items,
                                               const transforms::Transform& transform, std::size_t batch,
                                               Executor* executor, const Progress& progress, const std::string& stage) {
  Executor& used = executor ? *executor : default_pool();
  const std::size_t outputs = train::outputs_of(dataset);
  Tensor<double, dyn, dyn> logits({items.size(), outputs});
  for (std::size_t first = 0; first < items.size(); first += batch) {
    const std::size_t n = std::min(batch, items.size() - first);
    const std::vector<std::size_t> some(items.begin() + static_cast<long>(first),
                                        items.begin() + static_cast<long>(first + n));
    const auto part = model.logits(train::pixels_of(dataset, some, transform, used), used);
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t k = 0; k < outputs; ++k) {
        if (!std::isfinite(part(i, k)))
          throw DataError("[predict] the score is not a number", dataset.where(some[i]),
                          "training diverged: take a smaller rate");
        logits(first + i, k) = part(i, k);
      }
    if (progress) progress(stage, first + n, items.size());
  }
  return scores_of_logits(logits, dataset.task == data::Task::multiclass ? ScoreKind::softmax : ScoreKind::sigmoid);
}

namespace detail {

VITALS_INLINE double score_on_val(const data::Dataset& dataset, const std::vector<std::size_t>& items,
                                  const Tensor<double, dyn, dyn>& scores, Criterion criterion) {
  const auto targets = dataset.targets(items);
  if (criterion == Criterion::auroc) {
    const auto macro = metrics::auroc_per_class(targets, scores).macro;
    if (!macro)
      throw DataError("[fine_tune] val has no AUROC to pick the best by: " + macro.undefined, dataset.source.string(),
                      "put images of every class into val, or go by accuracy, or without val");
    return *macro;
  }
  std::size_t right = 0, all = 0;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (dataset.task == data::Task::multilabel) {
      for (std::size_t k = 0; k < scores.extent(1); ++k, ++all) right += (scores(i, k) >= 0.5) == (targets(i, k) == 1);
    } else {
      std::size_t best = 0;
      for (std::size_t k = 1; k < scores.extent(1); ++k)
        if (scores(i, k) > scores(i, best)) best = k;
      right += targets(i, best);
      ++all;
    }
  }
  return static_cast<double>(right) / static_cast<double>(all);
}

}  // namespace detail

VITALS_INLINE FineTune fine_tune(train::TrainableBackbone& model, const data::Dataset& dataset,
                                 const transforms::Transform& transform, const FineTuneOptions& options) {
  FineTune out;
  const auto test = dataset.indices(data::Split::test), val = dataset.indices(data::Split::val);
  const auto items = options.train.empty() ? dataset.indices(data::Split::train) : options.train;
  if (test.empty()) throw DataError("[fine_tune] no image is in the split test", dataset.source.string());
  detail::check_training_items(dataset, items, "fine_tune");
  std::vector<std::size_t> images(dataset.classes.size());
  for (auto i : items)
    for (auto label : dataset.items[i].labels) ++images[label];
  if (dataset.task != data::Task::multilabel &&
      std::count_if(images.begin(), images.end(), [](auto n) { return n > 0; }) < 2)
    throw DataError("[fine_tune] the training images are of fewer than two classes", dataset.source.string(),
                    "put images of every class into train");
  for (std::size_t k = 0; k < images.size(); ++k)
    if (images[k] == 0) out.notes.push_back("class " + dataset.classes[k] + " has no training image");

  if (options.method == Method::lora)
    model.lora(options.lora);
  else if (options.method == Method::full)
    model.unfreeze();
  else if (options.method == Method::bitfit)
    model.bitfit();
  else
    model.freeze();
  model.add_head(train::outputs_of(dataset), options.trainer.seed);
  out.trainable = model.trainable_count();
  out.head = train::outputs_of(dataset) * (model.info().dim + 1);

  train::TrainerOptions trainer = options.trainer;
  trainer.conditions["method"] = name(options.method);
  if (options.method == Method::lora) {
    const auto& lora = options.lora;
    std::string targets;
    for (const auto& target : lora.targets) targets += (targets.empty() ? "" : ",") + target;
    trainer.conditions["targets"] = targets;
    trainer.conditions["rank"] = std::to_string(lora.rank);
    trainer.conditions["alpha"] = shortest_text(lora.alpha);
    trainer.conditions["dropout"] = shortest_text(lora.dropout);
    trainer.conditions["rslora"] = lora.rslora ? "1" : "0";
    trainer.conditions["bias"] = adapt::name(lora.bias);
  }
  trainer.conditions["criterion"] = options.criterion == Criterion::auroc ? "auroc" : "accuracy";
  Sha256 sum;
  for (auto i : items) sum.update(dataset.items[i].path).update("\n");
  trainer.conditions["training images"] = sum.hex();
  trainer.validate = {};
  if (options.use_val && !val.empty())
    trainer.validate = [&](train::TrainableBackbone& now) {
      return detail::score_on_val(
          dataset, val, predict(now, dataset, val, transform, trainer.batch, trainer.executor, options.progress, "val"),
          options.criterion);
    };
  else
    out.notes.push_back("no val: the parameters of the last step are those that are tested");
  out.training = train::train(model, dataset, items, transform, trainer);
  out.notes.insert(out.notes.end(), out.training.notes.begin(), out.training.notes.end());
  if (out.training.stopped) return out;
  out.prediction = {name(options.method), test,
                    predict(model, dataset, test, transform, trainer.batch, trainer.executor, options.progress)};
  return out;
}

}  // namespace vitals::inline v0::eval
