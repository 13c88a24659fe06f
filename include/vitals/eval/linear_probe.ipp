// Implementation of linear_probe.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include <vitals/core/error.hpp>
#include <vitals/core/number_text.hpp>
#include <vitals/eval/linear_probe.hpp>
#include <vitals/eval/logistic.hpp>
#include <vitals/io/safetensors.hpp>
#include <vitals/metrics/auroc.hpp>

namespace vitals::inline v0::eval {

namespace detail {

// One run of the probe: the data, how the task is trained and scored, and its two phases.
class Probe {
 public:
  Probe(const FeatureSet& features, const LinearProbeOptions& options)
      : features_(features),
        options_(options),
        executor_(options.executor ? *options.executor : default_pool()),
        stored_(features.cls.extent(1)),
        dim_(features.cls.extent(2)) {
    check_options();
    check_data();
    const auto task = features.dataset.task;
    outputs_ = task == data::Task::binary ? 1 : features.dataset.classes.size();
    loss_ = task == data::Task::multiclass                          ? HeadLoss::cross_entropy
            : task == data::Task::multilabel && options_.paper_mode ? HeadLoss::bce_batch_sum
                                                                    : HeadLoss::bce;
    kind_ = task == data::Task::multiclass && !options_.paper_mode ? ScoreKind::softmax : ScoreKind::sigmoid;
  }

  LinearProbe run() {
    std::vector<HeadSetting> grid;
    for (auto blocks : options_.blocks)
      for (auto avgpool : options_.avgpool)
        for (auto lr : options_.lrs) grid.push_back({blocks, avgpool != 0, lr});
    LinearProbe result;
    note_absent_classes(result);
    if (grid.size() > 1 && val_.empty()) {
      if (!options_.paper_mode)
        throw DataError(
            "[linear probe] no image of the split val to pick one of " + std::to_string(grid.size()) + " heads on",
            features_.dataset.source.string(),
            "give some training images the split val, or ask for one head: one rate, one blocks, one avgpool");
      const auto heads = train(grid, train_, options_.seed, "linear probe: grid");
      const std::size_t best = pick(heads, test_, "test", result);
      result.picked_on_test = true;
      result.notes.push_back("paper mode without val: the head was picked on test, so its result is too good");
      return finish(heads[best], std::move(result));
    }
    std::size_t best = 0;
    if (grid.size() > 1) best = pick(train(grid, train_, options_.seed, "linear probe: grid"), val_, "val", result);
    auto items = train_;
    if (options_.add_val) items.insert(items.end(), val_.begin(), val_.end());
    std::sort(items.begin(), items.end());
    // A head of its own: other initial weights and batches than in the grid.
    const std::uint64_t seed = options_.seed + 0x9E3779B97F4A7C15u;
    return finish(train({grid[best]}, items, seed, "linear probe: final")[0], std::move(result));
  }

 private:
  void check_options() const {
    if (options_.lrs.empty() || options_.blocks.empty() || options_.avgpool.empty())
      throw ArgumentError("[linear probe] an empty grid", "", "name at least one rate, one blocks and one avgpool");
    if (options_.epochs == 0 || options_.batch == 0)
      throw ArgumentError("[linear probe] epochs and batch must be 1 or more");
    for (double lr : options_.lrs)
      if (!(lr > 0) || !std::isfinite(lr))
        throw ArgumentError("[linear probe] learning rate " + shortest_text(lr), "", "take a number above 0");
    for (auto blocks : options_.blocks)
      if (blocks == 0 || blocks > stored_)
        throw ArgumentError("[linear probe] blocks = " + std::to_string(blocks), "",
                            "the features hold the last " + std::to_string(stored_));
  }

  void check_data() {
    const auto& dataset = features_.dataset;
    const std::size_t n = dataset.items.size();
    if (features_.cls.extent(0) != n || features_.avgpool.extent(0) != n || features_.avgpool.extent(1) != dim_)
      throw ShapeError("[linear probe] features " + to_string(features_.cls.shape()) + " and " +
                       to_string(features_.avgpool.shape()) + " of " + std::to_string(n) + " items");
    train_ = options_.train ? *options_.train : dataset.indices(data::Split::train);
    check_training_items(dataset, train_, "linear probe");
    val_ = dataset.indices(data::Split::val);
    test_ = dataset.indices(data::Split::test);
    for (auto [items, split] : {std::pair{&train_, "train"}, {&test_, "test"}})
      if (items->empty())
        throw DataError(std::string("[linear probe] no image of the split ") + split, dataset.source.string());
    for (const auto* items : {&train_, &val_, &test_})
      for (auto i : *items) {
        const auto finite = [](float v) { return std::isfinite(v); };
        const float* cls = features_.cls.data() + i * stored_ * dim_;
        const float* avgpool = features_.avgpool.data() + i * dim_;
        if (!std::all_of(cls, cls + stored_ * dim_, finite) || !std::all_of(avgpool, avgpool + dim_, finite))
          throw DataError("[linear probe] a feature that is not finite", dataset.items[i].path,
                          "check the image and the weights");
        if (dataset.task != data::Task::multilabel && dataset.items[i].labels.size() != 1)
          throw DataError("[linear probe] " + std::to_string(dataset.items[i].labels.size()) + " labels",
                          dataset.items[i].path, "a binary or multiclass task has one an image");
      }
  }

  void note_absent_classes(LinearProbe& result) const {
    const auto& dataset = features_.dataset;
    for (std::size_t c = 0; c < dataset.classes.size(); ++c)
      if (std::none_of(train_.begin(), train_.end(), [&](auto i) {
            const auto& labels = dataset.items[i].labels;
            return std::find(labels.begin(), labels.end(), c) != labels.end();
          }))
        result.notes.push_back("class " + dataset.classes[c] + " has no training image");
  }

  // Rows of features of these items: the last layout.blocks CLS, then the mean patch token.
  void gather(const FeatureLayout& layout, std::span<const std::size_t> items, float* x) const {
    for (std::size_t r = 0; r < items.size(); ++r, x += layout.width()) {
      const float* cls = features_.cls.data() + ((items[r] + 1) * stored_ - layout.blocks) * dim_;
      std::copy_n(cls, layout.blocks * dim_, x);
      std::copy_n(features_.avgpool.data() + items[r] * dim_, dim_, x + layout.blocks * dim_);
    }
  }

  FeatureLayout layout_of(const std::vector<HeadSetting>& settings) const {
    FeatureLayout layout{1, dim_};
    for (const auto& setting : settings) layout.blocks = std::max(layout.blocks, setting.blocks);
    return layout;
  }

  std::vector<LinearHead<float>> train(const std::vector<HeadSetting>& settings, const std::vector<std::size_t>& items,
                                       std::uint64_t seed, const char* stage) {
    const auto layout = layout_of(settings);
    const std::size_t batch = std::min(options_.batch, items.size());
    const std::size_t steps = (items.size() + batch - 1) / batch * options_.epochs;
    const auto order = batch_order(items.size(), batch, steps, seed);
    const bool one_logit = outputs_ == 1;
    HeadTrainer<float> trainer(initial_heads<float>(settings, layout, outputs_, seed), layout, loss_, steps);
    Tensor<float, dyn, dyn> x({batch, layout.width()});
    Tensor<std::uint8_t, dyn, dyn> targets({batch, outputs_});
    std::vector<std::size_t> chosen(batch);
    for (std::size_t step = 0; step < steps; ++step) {
      std::fill(targets.begin(), targets.end(), std::uint8_t{0});
      for (std::size_t b = 0; b < batch; ++b) {
        chosen[b] = items[order(step, b)];
        for (auto label : features_.dataset.items[chosen[b]].labels)
          if (!one_logit)
            targets(b, label) = 1;
          else if (label == 1)
            targets(b, 0) = 1;
      }
      if (options_.augmented)
        options_.augmented(chosen, steps_done_, x.span());
      else
        gather(layout, chosen, x.data());
      ++steps_done_;
      trainer.step(x, targets, executor_);
      if (options_.progress) options_.progress(stage, step + 1, steps);
    }
    return trainer.heads();
  }

  Tensor<double, dyn, dyn> scores(const LinearHead<float>& head, const std::vector<std::size_t>& items) const {
    const auto layout = layout_of({head.setting});
    Tensor<double, dyn, dyn> logits({items.size(), outputs_});
    constexpr std::size_t piece = 4096;
    for (std::size_t first = 0; first < items.size(); first += piece) {
      const std::size_t count = std::min(piece, items.size() - first);
      Tensor<float, dyn, dyn> x({count, layout.width()});
      gather(layout, {items.data() + first, count}, x.data());
      const auto part = head_logits<float>(head, layout, x, executor_);
      std::copy(part.begin(), part.end(), logits.data() + first * outputs_);
    }
    return scores_of_logits(logits, kind_);
  }

  // The number of the head with the highest macro AUROC, the first of equal ones.
  std::size_t pick(const std::vector<LinearHead<float>>& heads, const std::vector<std::size_t>& items,
                   const char* split, LinearProbe& result) const {
    const auto& dataset = features_.dataset;
    const auto targets = dataset.targets(items);
    std::optional<std::size_t> best;
    for (std::size_t h = 0; h < heads.size(); ++h) {
      const auto scored = scores(heads[h], items);
      auto auroc = metrics::auroc_per_class(targets, scored);
      if (dataset.task == data::Task::binary) auroc.per_class.erase(auroc.per_class.begin());  // of the one logit
      auto macro = options_.paper_mode ? metrics::macro_study(auroc.per_class) : metrics::macro(auroc.per_class);
      const bool diverged = !std::all_of(scored.begin(), scored.end(), [](double s) { return std::isfinite(s); });
      if (diverged) {
        macro = metrics::Score::none(std::string(metrics::nan_score));
        result.notes.push_back(name(heads[h].setting) + " diverged: its scores are not numbers");
      } else if (!best) {
        note_undefined(auroc.per_class, split, result);
      }
      result.grid.push_back({heads[h].setting, macro});
      if (macro && (!best || *macro.value > *result.grid[*best].auroc.value)) best = h;
    }
    if (!best) {
      std::string why;
      for (const auto& note : result.notes) why += (why.empty() ? "" : "; ") + note;
      throw DataError(
          std::string("[linear probe] no head has an AUROC on ") + split + " to be picked by", why,
          std::string("put images of every class into ") + split + ", or take smaller rates where heads diverged");
    }
    return *best;
  }

  void note_undefined(const std::vector<metrics::Score>& per_class, const char* split, LinearProbe& result) const {
    const auto& classes = features_.dataset.classes;
    for (std::size_t c = 0; c < per_class.size(); ++c)
      if (!per_class[c]) {
        const auto& label = classes[c + classes.size() - per_class.size()];
        const auto note = "class " + label + " on " + split + ": " + per_class[c].undefined +
                          (options_.paper_mode ? ", counted as AUROC 0 in the pick" : ", left out of the pick");
        if (std::find(result.notes.begin(), result.notes.end(), note) == result.notes.end())
          result.notes.push_back(note);
      }
  }

  LinearProbe finish(const LinearHead<float>& head, LinearProbe result) const {
    result.prediction = {"linear " + name(head.setting), test_, scores(head, test_)};
    const auto& scored = result.prediction.scores;
    if (!std::all_of(scored.begin(), scored.end(), [](double s) { return std::isfinite(s); }))
      throw DataError("[linear probe] training diverged: scores are not numbers", name(head.setting),
                      "take a smaller rate");
    result.head = head;
    return result;
  }

  const FeatureSet& features_;
  const LinearProbeOptions& options_;
  Executor& executor_;
  std::size_t stored_, dim_, outputs_ = 1, steps_done_ = 0;
  HeadLoss loss_ = HeadLoss::bce;
  ScoreKind kind_ = ScoreKind::sigmoid;
  std::vector<std::size_t> train_, val_, test_;
};

}  // namespace detail

VITALS_INLINE Tensor<double, dyn, dyn> scores_of_logits(TensorView<const double, dyn, dyn> logits, ScoreKind kind) {
  const std::size_t m = logits.extent(0), outputs = logits.extent(1);
  if (outputs == 0) throw ShapeError("[scores] logits " + to_string(logits.shape()));
  Tensor<double, dyn, dyn> scores({m, outputs == 1 ? 2 : outputs});
  for (std::size_t r = 0; r < m; ++r) {
    if (outputs == 1) {
      scores(r, 0) = detail::sigmoid(-logits(r, 0));
      scores(r, 1) = detail::sigmoid(logits(r, 0));
    } else if (kind == ScoreKind::sigmoid) {
      for (std::size_t o = 0; o < outputs; ++o) scores(r, o) = detail::sigmoid(logits(r, o));
    } else {
      double most = logits(r, 0), sum = 0;
      for (std::size_t o = 1; o < outputs; ++o) most = std::max(most, logits(r, o));
      for (std::size_t o = 0; o < outputs; ++o) sum += scores(r, o) = std::exp(logits(r, o) - most);
      for (std::size_t o = 0; o < outputs; ++o) scores(r, o) /= sum;
    }
  }
  return scores;
}

VITALS_INLINE LinearProbe linear_probe(const FeatureSet& features, const LinearProbeOptions& options) {
  return detail::Probe(features, options).run();
}

VITALS_INLINE void save_head(const std::filesystem::path& file, const LinearHead<float>& head,
                             const std::vector<std::string>& classes) {
  const std::vector<io::NamedTensor> tensors{{"weight", {head.outputs(), head.inputs()}, head.weight.span()},
                                             {"bias", {head.outputs()}, std::span<const float>(head.bias)}};
  std::string names;
  for (const auto& name : classes) names += (names.empty() ? "" : "|") + name;
  io::write_safetensors(file, tensors,
                        {{"classes", names},
                         {"blocks", std::to_string(head.setting.blocks)},
                         {"avgpool", head.setting.avgpool ? "1" : "0"},
                         {"lr", shortest_text(head.setting.lr)}});
}

}  // namespace vitals::inline v0::eval
