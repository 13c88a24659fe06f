// Implementation of segmentation.hpp.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include <vitals/core/error.hpp>
#include <vitals/core/number_text.hpp>
#include <vitals/core/sha256.hpp>
#include <vitals/eval/linear_heads.hpp>
#include <vitals/eval/segmentation.hpp>
#include <vitals/eval/token_store.hpp>
#include <vitals/metrics/overlap.hpp>
#include <vitals/train/checkpoint.hpp>
#include <vitals/train/position.hpp>
#include <vitals/train/schedule.hpp>

namespace vitals::inline v0::eval {

VITALS_INLINE train::DecoderInput Segmenter::input(TensorView<const float, dyn, 3, dyn, dyn> pixels,
                                                   Features& out) const {
  const auto& shape = decoder_.shape();
  if (pixels.extent(2) != shape.size[0] || pixels.extent(3) != shape.size[1])
    throw ShapeError("[Segmenter] pixels " + to_string(pixels.shape()) + " for a decoder of " + to_string(shape.size));
  out = backbone_.features(pixels, {.blocks = heads::blocks_of(shape.kind), .executor = &executor_});
  const std::size_t patch = backbone_.info().patch;
  train::DecoderInput input;
  for (const auto& block : out.block_patches) input.blocks.push_back(block);
  input.height = shape.size[0] / patch;
  input.width = shape.size[1] / patch;
  return input;
}

VITALS_INLINE Tensor<float, dyn, dyn, dyn, dyn> Segmenter::logits(
    TensorView<const float, dyn, 3, dyn, dyn> pixels) const {
  Features out;
  return decoder_.logits(input(pixels, out), norm_, executor_);
}

VITALS_INLINE Tensor<std::uint8_t, dyn, dyn> Segmenter::mask(const io::Image& image,
                                                             const transforms::Transform& transform) const {
  Features out;
  const auto pixels = transform(image);
  const auto found = decoder_.predict(input(pixels, out), norm_, executor_);  // (1, H, W)
  const Tensor<std::uint8_t, dyn, dyn> small({found.extent(1), found.extent(2)}, found.span());
  return resize_mask(small, {image.height(), image.width()});
}

namespace detail {

/// A decoder in training, at one rate.
struct DecoderRun {
  std::unique_ptr<train::TrainableDecoder> decoder;
  std::unique_ptr<train::Optimizer> optimizer;
  train::Position at;
  train::Conditions conditions;
  std::filesystem::path folder;  // of checkpoints; empty: none
  SegmentationTraining out;
  std::vector<double> seconds;
  std::string failure;  // where it diverged
};

class SegmentationProtocol {
 public:
  SegmentationProtocol(const Backbone& backbone, const data::SegmentationDataset& dataset,
                       const transforms::Transform& transform, const SegmentationOptions& options)
      : backbone_(backbone),
        dataset_(dataset),
        transform_(transform),
        options_(options),
        executor_(options.executor ? *options.executor : default_pool()),
        train_(options.train.empty() ? dataset.indices(data::Split::train) : options.train),
        val_(dataset.indices(data::Split::val)),
        store_((check(), backbone), dataset, transform,
               TokenOptions{heads::blocks_of(options.decoder), options.dtype == "bfloat16", options.augment,
                            options.cache, options.weights_sha256, options.backbone_dtype, options.kept_bytes,
                            options.feature_batch, options.progress},
               executor_) {
    result_.test = dataset.indices(data::Split::test);
    if (train_.empty()) throw DataError("[segment] no slice to train on", dataset.source.string());
    if (result_.test.empty()) throw DataError("[segment] no slice is in the split test", dataset.source.string());
    if (val_.empty() && options.lrs.size() > 1)
      throw DataError("[segment] no val to choose one of " + std::to_string(options.lrs.size()) + " rates by",
                      dataset.source.string(), "put slices into val, or give one rate");
    for (auto i : train_)
      if (i >= dataset.slices.size())
        throw ArgumentError("[segment] slice " + std::to_string(i) + " of " + std::to_string(dataset.slices.size()));
  }

  Segmentation run() {
    const auto start = now();
    keep();
    result_.time.features = since(start);
    const auto training = now();
    const std::size_t rates = options_.lrs.size();
    std::vector<std::vector<float>> best_values;
    std::string failures;
    // Where images are augmented, the backbone is what costs: every rate sees the same batch. Else one after the other, which takes
    // less memory. The bits are the same.
    const std::size_t together = options_.augment ? rates : 1;
    for (std::size_t first = 0; first < rates && !result_.stopped; first += together) {
      std::vector<DecoderRun> runs;
      for (std::size_t i = first; i < std::min(rates, first + together); ++i)
        runs.push_back(begin(options_.lrs[i], options_.seed, "lr-" + shortest_text(options_.lrs[i]), train_));
      train(runs, train_, val_);
      for (auto& run : runs) {
        finish(run);
        if (run.out.diverged) {
          failures += (failures.empty() ? "" : "; ") + run.failure;
          result_.notes.push_back("rate " + shortest_text(run.out.lr) + ": " + run.failure);
        } else if (!result_.stopped && (best_values.empty() || run.out.dice > result_.val_dice)) {
          result_.lr = run.out.lr;
          result_.val_dice = run.out.dice;
          best_values = values_of(run);
        }
        result_.parameters = run.decoder->parameters();
        result_.grid.push_back(std::move(run.out));
      }
    }
    if (result_.stopped) return std::move(result_);
    if (best_values.empty())
      throw DataError("[segment] training diverged at every rate: " + failures, "", "take smaller rates");
    result_.decoder = make(options_.seed);
    if (options_.retrain) {
      auto both = train_;
      both.insert(both.end(), val_.begin(), val_.end());
      std::vector<DecoderRun> runs;
      runs.push_back(begin(result_.lr, options_.seed + 1, "final", both));
      train(runs, both, {});
      finish(runs[0]);
      result_.retrained = std::move(runs[0].out);
      if (result_.stopped) return std::move(result_);
      if (result_.retrained.diverged)
        throw DataError("[segment] training on train and val diverged: " + runs[0].failure, "", "take a smaller rate");
      best_values = values_of(runs[0]);
    }
    const auto rows = result_.decoder->rows();
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i].write(best_values[i]);
    result_.name = std::string(heads::name(options_.decoder)) + " lr=" + shortest_text(result_.lr);
    result_.time.training = since(training);
    const auto testing = now();
    test();
    result_.time.test = since(testing);
    result_.computed = store_.computed();
    if (store_.unreadable())
      result_.notes.push_back(std::to_string(store_.unreadable()) + " damaged files of the cache were left out");
    return std::move(result_);
  }

 private:
  using Clock = std::chrono::steady_clock;
  static Clock::time_point now() { return Clock::now(); }
  static double since(Clock::time_point start) { return std::chrono::duration<double>(now() - start).count(); }

  void check() const {
    if (options_.lrs.empty()) throw ArgumentError("[segment] no learning rate");
    for (double lr : options_.lrs)
      if (!(lr > 0) || !std::isfinite(lr))
        throw ArgumentError("[segment] learning rate " + shortest_text(lr), "", "use a number above 0");
    if (options_.epochs == 0 || options_.batch == 0 || options_.feature_batch == 0)
      throw ArgumentError("[segment] 0 epochs, or a batch of 0 slices");
    if (options_.resume && options_.checkpoint.empty())
      throw ArgumentError("[segment] to resume from no folder", "", "name the folder of checkpoints");
  }

  void keep() {
    const auto note = [&](const char* which) {
      result_.notes.push_back(std::string("the tokens of ") + which + " do not fit into " +
                              std::to_string(options_.kept_bytes >> 20) + " MiB: they are computed anew when needed");
    };
    if (!store_.keep(val_)) note("val");
    if (!options_.augment && !store_.keep(train_)) note("train");
    store_.keep(result_.test);  // needed once: what does not fit is computed then
  }

  std::unique_ptr<train::TrainableDecoder> make(std::uint64_t seed) const {
    return train::make_decoder({options_.decoder,
                                backbone_.info().dim,
                                dataset_.classes.size(),
                                {transform_.size().height, transform_.size().width}},
                               seed, options_.dtype, executor_);
  }

  std::uint64_t steps_of(std::size_t items) const {
    const std::size_t batch = std::min(options_.batch, items);
    return (items + batch - 1) / batch * options_.epochs;
  }

  DecoderRun begin(double lr, std::uint64_t seed, const std::string& folder, const std::vector<std::size_t>& items) {
    DecoderRun run;
    run.out.lr = lr;
    run.decoder = make(seed);
    run.optimizer = run.decoder->optimizer({.kind = options_.optimizer,
                                            .head_lr = lr,
                                            .momentum = options_.momentum,
                                            .weight_decay = options_.weight_decay},
                                           executor_);
    if (options_.checkpoint.empty()) return run;
    run.folder = options_.checkpoint / folder;
    const auto text = [](double x) { return shortest_text(x); };
    Sha256 sum;
    for (auto i : items) sum.update(std::to_string(i) + "\n");
    run.conditions = {
        {"decoder", heads::name(options_.decoder)},
        {"loss", losses::name(options_.loss)},
        {"lr", text(lr)},
        {"optimizer", train::name(options_.optimizer)},
        {"momentum", text(options_.momentum)},
        {"weight-decay", text(options_.weight_decay)},
        {"batch", std::to_string(options_.batch)},
        {"epochs", std::to_string(options_.epochs)},
        {"dtype", options_.dtype},
        {"norm", options_.norm == nn::NormMode::train ? "batch" : "running"},
        {"augment", options_.augment ? "yes" : "no"},
        {"seed", std::to_string(seed)},
        {"transform", transform_.name()},
        {"size", std::to_string(transform_.size().height) + "x" + std::to_string(transform_.size().width)},
        {"data", dataset_.sha256},
        {"slices", sum.hex()},
        {"model", backbone_.info().preset},
        {"weights", options_.weights_sha256},
        {"backbone-dtype", options_.backbone_dtype}};
    if (!options_.resume) {
      if (train::has_checkpoint(run.folder))
        throw ArgumentError("[segment] there are checkpoints already", run.folder.string(),
                            "resume, or give another folder");
      return run;
    }
    train::load_checkpoint(run.folder, run.conditions, run.decoder->rows(), *run.optimizer, run.at, result_.notes);
    return run;
  }

  // Trains decoders on the same batches, each from where it stands.
  void train(std::vector<DecoderRun>& runs, const std::vector<std::size_t>& items,
             const std::vector<std::size_t>& val) {
    const std::size_t batch = std::min(options_.batch, items.size());
    const std::uint64_t steps = steps_of(items.size()), epoch = (items.size() + batch - 1) / batch;
    const auto order = batch_order(items.size(), batch, steps, options_.seed);
    for (std::uint64_t step = 0; step < steps && !result_.stopped; ++step) {
      const auto due = [&](const DecoderRun& run) { return !run.out.diverged && run.at.step == step; };
      if (std::none_of(runs.begin(), runs.end(), due)) {
        steps_done_ += runs.size();
        continue;
      }
      std::vector<std::size_t> slices(batch);
      std::vector<Rng> draw;
      for (std::size_t i = 0; i < batch; ++i) {
        slices[i] = items[order(step, i)];
        draw.emplace_back(options_.seed, 0x61756700000000 + step * batch + i);  // "aug"
      }
      const auto tokens = store_.batch(slices, options_.augment ? &draw : nullptr);
      for (auto& run : runs) {
        ++steps_done_;
        if (!due(run)) continue;
        one_step(run, tokens, slices, steps);
        if (run.out.diverged) continue;
        if (!val.empty() && (run.at.step % epoch == 0 || run.at.step == steps)) evaluate(run, val);
      }
      if (options_.progress) options_.progress("training", steps_done_, total_steps());
      if (options_.stop && options_.stop() && !(step + 1 == steps && steps_done_ == total_steps()))
        result_.stopped = true;
      for (auto& run : runs) {
        const bool save = run.at.step % std::max<std::uint64_t>(1, options_.checkpoint_every) == 0;
        if (!run.folder.empty() && run.at.step == step + 1 && (save || result_.stopped || run.at.step == steps))
          train::save_checkpoint(run.folder, run.conditions, run.decoder->rows(), *run.optimizer, run.at);
      }
    }
  }

  std::uint64_t total_steps() const {
    std::uint64_t all = steps_of(train_.size()) * options_.lrs.size();
    if (options_.retrain) all += steps_of(train_.size() + val_.size());
    return all;
  }

  void one_step(DecoderRun& run, const TokenBatch& tokens, const std::vector<std::size_t>& slices,
                std::uint64_t steps) {
    const auto start = now();
    const double loss = run.decoder->gradient(tokens.input(), tokens.masks, options_.loss, executor_);
    run.optimizer->set_lr(train::CosineSchedule{run.out.lr, steps}.at(run.at.step));
    if (!std::isfinite(loss) || !std::isfinite(run.optimizer->gradient_norm())) {
      run.optimizer->discard_gradients();
      run.out.diverged = true;
      run.failure = std::string("the ") + (std::isfinite(loss) ? "norm of the gradients" : "loss") + " of step " +
                    std::to_string(run.at.step + 1) + " is not a number, slices ";
      for (std::size_t i = 0; i < slices.size() && run.failure.size() < 600; ++i)
        run.failure += (i ? ", " : "") + dataset_.where(slices[i]);
      return;
    }
    run.optimizer->step();
    ++run.at.step;
    run.at.loss_sum += loss;
    ++run.at.loss_count;
    run.seconds.push_back(since(start));
  }

  void evaluate(DecoderRun& run, const std::vector<std::size_t>& val) {
    metrics::Confusion counts(dataset_.classes.size());
    for (std::size_t first = 0; first < val.size(); first += options_.batch) {
      const std::span<const std::size_t> some(val.data() + first, std::min(options_.batch, val.size() - first));
      const auto tokens = store_.batch(some);
      const auto found = run.decoder->predict(tokens.input(), options_.norm, executor_);
      counts += metrics::label_counts(found.span(), tokens.masks.span(), dataset_.classes.size(), &executor_);
    }
    const auto dice = metrics::dice(counts).macro;
    if (!dice)
      throw DataError("[segment] the masks of val hold background alone: there is no Dice to choose by",
                      dataset_.source.string(),
                      "put slices with something in them into val, or give one rate and no val");
    train::detail::add_evaluation(run.at, *dice, run.decoder->rows());
  }

  void finish(DecoderRun& run) {
    auto& out = run.out;
    for (const auto& e : run.at.evaluations) out.curve.push_back({e.step, e.score, e.loss});
    out.steps = run.at.step;
    out.best_step = run.at.best_step ? run.at.best_step : run.at.step;
    out.dice = run.at.evaluations.empty() ? 0 : train::detail::best_score(run.at);
    out.last_loss = train::detail::last_loss(run.at);
    out.seconds_per_step = train::detail::median(run.seconds);
  }
  static std::vector<std::vector<float>> values_of(DecoderRun& run) {
    if (!run.at.best.empty()) return std::move(run.at.best);
    std::vector<std::vector<float>> values;
    for (const auto& row : run.decoder->rows()) {
      values.emplace_back(row.size());
      row.read(values.back());
    }
    return values;
  }

  void test() {
    const auto& test = result_.test;
    for (std::size_t first = 0; first < test.size(); first += options_.batch) {
      const std::span<const std::size_t> some(test.data() + first, std::min(options_.batch, test.size() - first));
      const auto tokens = store_.batch(some);
      const auto found = result_.decoder->predict(tokens.input(), options_.norm, executor_);
      const std::size_t pixels = transform_.size().height * transform_.size().width;
      for (std::size_t i = 0; i < some.size(); ++i) {
        SlicePrediction p;
        p.slice = some[i];
        p.at_model = Tensor<std::uint8_t, dyn, dyn>({transform_.size().height, transform_.size().width},
                                                    {found.data() + i * pixels, pixels});
        p.true_at_model = Tensor<std::uint8_t, dyn, dyn>({transform_.size().height, transform_.size().width},
                                                         {tokens.masks.data() + i * pixels, pixels});
        p.stored = resize_mask(p.at_model, store_.stored_size(some[i]));
        if (options_.on_prediction) options_.on_prediction(p);
        if (options_.keep_predictions) result_.predictions.push_back(std::move(p));
      }
      if (options_.progress) options_.progress("test", first + some.size(), test.size());
    }
  }

  const Backbone& backbone_;
  const data::SegmentationDataset& dataset_;
  transforms::Transform transform_;
  const SegmentationOptions& options_;
  Executor& executor_;
  std::vector<std::size_t> train_, val_;
  TokenStore store_;
  std::uint64_t steps_done_ = 0;
  Segmentation result_;
};

}  // namespace detail

VITALS_INLINE Segmentation segment(const Backbone& backbone, const data::SegmentationDataset& dataset,
                                   const transforms::Transform& transform, const SegmentationOptions& options) {
  return detail::SegmentationProtocol(backbone, dataset, transform, options).run();
}

}  // namespace vitals::inline v0::eval
