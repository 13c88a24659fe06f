// The trainer: batches, gradients, steps, a schedule, early stop, checkpoints. It knows no metric: the caller says how good the
// model is (`validate`), and is told how it goes (`on_step`). A training that was interrupted and goes on ends with the
// same bits as one that was not, with any number of threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <vitals/core/config.hpp>
#include <vitals/core/parallel.hpp>
#include <vitals/data/dataset.hpp>
#include <vitals/data/transforms.hpp>
#include <vitals/train/checkpoint.hpp>
#include <vitals/train/loader.hpp>
#include <vitals/train/trainable.hpp>

namespace vitals::inline v0::train {

/// How far a training is.
struct StepReport {
  std::uint64_t step = 0, steps = 0;  ///< done, in all
  double loss = 0;                    ///< of this step
  double lr = 0;                      ///< of this step
};

struct TrainerOptions {
  std::uint64_t epochs = 10;
  std::uint64_t steps = 0;     ///< so many steps instead of epochs
  std::size_t batch = 8;       ///< images of one pass
  std::size_t accumulate = 1;  ///< passes whose gradients make one step
  OptimizerOptions optimizer{};
  double warmup = 0;    ///< share of the steps in which the rate grows; then half a cosine down to 0
  double max_norm = 0;  ///< gradients are scaled down to this norm; 0: never
  bool augment = true;
  double rotate = 0;       ///< augmented images are turned by up to so many degrees either way
  double drop_path = 0;    ///< how often the last block is left out of an image (stochastic depth); less before it
  bool recompute = false;  ///< less memory, a third more time
  std::uint64_t seed = 0;  ///< of order, crops and dropout
  std::uint64_t validate_every = 0;  ///< steps; 0: each epoch
  std::size_t patience = 0;          ///< stop after so many evaluations without a better one; 0: never

  std::filesystem::path checkpoint{};   ///< folder; empty: none
  std::uint64_t checkpoint_every = 50;  ///< steps
  bool resume = false;                  ///< go on from the folder's newest checkpoint, where there is one
  Conditions conditions{};              ///< what else makes trainings different: model, weights, data, method ...

  std::function<double(TrainableBackbone&)> validate = {};  ///< larger is better; empty: the last step counts
  std::function<void(const StepReport&)> on_step = {};
  std::function<bool()> stop = {};  ///< asked after each step; true: save and return
  Executor* executor = nullptr;     ///< nullptr: default_pool()
};

struct Training {
  std::uint64_t steps = 0;         ///< done
  std::uint64_t resumed_from = 0;  ///< step of the checkpoint that was taken
  bool stopped = false;            ///< `stop` said so
  bool early = false;              ///< no better evaluation for `patience`
  std::vector<Position::Evaluation> evaluations;
  std::uint64_t best_step = 0;  ///< whose parameters the model has now; 0: those of the last
  double last_loss = 0;         ///< mean since the evaluation before the last
  double seconds_per_step = 0;  ///< median of this run, without evaluations and checkpoints
  std::vector<std::string> notes;
};

/// Trains what trains in the model, head included, on these items. With `validate` the model ends with the parameters of the
/// best evaluation. A binary task has one output, the logit of the second class.
/// Throws ArgumentError (rates, batch, accumulate, warmup or drop_path outside [0, 1), rotate, a checkpoint folder in use without `resume`), DataError
/// (no items, a loss or a norm that is not a number: names the step and the images; what load_checkpoint throws).
Training train(TrainableBackbone& model, const data::Dataset& dataset, const std::vector<std::size_t>& items,
               const transforms::Transform& transform, const TrainerOptions& options);

/// How wide a head has to be.
std::size_t outputs_of(const data::Dataset& dataset);
/// What the losses want to know of these items.
Targets targets_of(const data::Dataset& dataset, const std::vector<std::size_t>& items);

}  // namespace vitals::inline v0::train

#if VITALS_HEADER_ONLY
#include <vitals/train/trainer.ipp>
#endif
