// Segmentation as the radiology study (arXiv 2312.02366) does it: a decoder on the patch tokens of a frozen backbone.
//
//   A  a decoder for each learning rate of the grid trains on train; after each epoch it is asked for the masks of val; the rate
//      whose best epoch has the highest Dice (global, without background) wins
//   B  (only with `retrain`) a fresh decoder with the winner's rate trains on train + val; its last step counts
//
// then the masks of test: the class with the largest logit at the model's size, and brought back to the stored size by
// nearest-exact. ceil(n / batch) steps make an epoch, batches are cut from a stream of shuffled epochs (linear_heads.hpp), the
// rate falls along half a cosine. The loss over pixels is Dice by default, as in the study.
//
// The backbone is any Backbone, an adapted one too. Its tokens are computed once and kept, unless images are augmented anew for
// each batch. The same seed gives the same bits for any number of threads, and whether a training was interrupted or not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <vitals/core/config.hpp>
#include <vitals/core/parallel.hpp>
#include <vitals/core/progress.hpp>
#include <vitals/core/tensor.hpp>
#include <vitals/data/segmentation_dataset.hpp>
#include <vitals/data/transforms.hpp>
#include <vitals/eval/masks.hpp>
#include <vitals/heads/decoder.hpp>
#include <vitals/losses/segmentation_kind.hpp>
#include <vitals/models/backbone.hpp>
#include <vitals/nn/norm_mode.hpp>
#include <vitals/train/trainable_decoder.hpp>

namespace vitals::inline v0::eval {

/// The masks of one slice of test.
struct SlicePrediction {
  std::size_t slice = 0;                         ///< number in SegmentationDataset::slices
  Tensor<std::uint8_t, dyn, dyn> at_model;       ///< predicted, at the model's size
  Tensor<std::uint8_t, dyn, dyn> true_at_model;  ///< the mask, brought to the model's size by nearest-exact
  Tensor<std::uint8_t, dyn, dyn> stored;         ///< predicted, at the size of the slice as stored
};

struct SegmentationOptions {
  heads::DecoderKind decoder = heads::DecoderKind::unet;
  losses::SegmentationLoss loss = losses::SegmentationLoss::dice;
  std::vector<double> lrs = {1e-4, 5e-4, 1e-3, 5e-3, 1e-2, 5e-2, 1e-1};
  std::size_t epochs = 10;
  std::size_t batch = 8;                                       ///< or all training slices where there are fewer
  train::OptimizerKind optimizer = train::OptimizerKind::sgd;  ///< SGD with momentum 0.9, or AdamW
  double momentum = 0.9, weight_decay = 0;
  std::string dtype = "float32";              ///< of the decoder: "float32" or "bfloat16"
  nn::NormMode norm = nn::NormMode::running;  ///< in evaluation; NormMode::train is the study's
  PairedAugmentation augment = {};            ///< of training slices; empty: none
  bool retrain = false;                       ///< phase B
  std::vector<std::size_t> train = {};        ///< these slices instead of the split train (few-shot); empty: the split
  std::uint64_t seed = 0;                     ///< of initial values, batches and augmentation

  std::filesystem::path cache{};           ///< folder of tokens on disk; empty: none
  std::string weights_sha256{};            ///< part of the cache's key, where there is a file of weights
  std::string backbone_dtype = "float32";  ///< what the backbone computes in; part of the cache's key
  std::size_t kept_bytes = std::size_t{4}
                           << 30;  ///< tokens beyond this are computed anew for each batch instead of kept
  std::size_t feature_batch = 8;   ///< slices in flight through the backbone

  std::filesystem::path checkpoint{};   ///< folder; empty: none
  std::uint64_t checkpoint_every = 50;  ///< steps
  bool resume = false;                  ///< go on from what the folder holds

  bool keep_predictions = true;                                    ///< false: only `on_prediction` sees them
  std::function<void(const SlicePrediction&)> on_prediction = {};  ///< in the order of the test slices
  Progress progress = {};           ///< stages "features", "training" (steps of the whole grid), "test"
  std::function<bool()> stop = {};  ///< asked after each step; true: save and return
  Executor* executor = nullptr;     ///< nullptr: default_pool()
};

/// One training of a decoder.
struct SegmentationTraining {
  struct Evaluation {
    std::uint64_t step = 0;
    double dice = 0;  ///< of val, global over the foreground classes
    double loss = 0;  ///< mean over the steps since the evaluation before
  };
  double lr = 0;
  std::vector<Evaluation> curve;  ///< empty without val
  double dice = 0;                ///< the best of the curve
  std::uint64_t best_step = 0;    ///< whose parameters are kept; the last where there is no val
  std::uint64_t steps = 0;        ///< done
  double last_loss = 0;           ///< mean since the last evaluation but one
  double seconds_per_step = 0;    ///< median, without evaluations
  bool diverged = false;          ///< its loss became infinite or NaN; it is out of the choice
};

struct Segmentation {
  std::string name;                                  ///< "unet lr=0.01"
  std::vector<SegmentationTraining> grid;            ///< in the order of the rates
  double lr = 0;                                     ///< the winner's
  double val_dice = 0;                               ///< the winner's in A; 0 without val
  SegmentationTraining retrained;                    ///< B; steps == 0 where there was none
  std::shared_ptr<train::TrainableDecoder> decoder;  ///< as tested
  std::size_t parameters = 0;                        ///< of the decoder
  std::vector<std::size_t> test;                     ///< slices, in order
  std::vector<SlicePrediction> predictions;          ///< of these
  bool stopped = false;                              ///< `stop` said so: there are no predictions
  std::size_t computed = 0;  ///< slices that went through the backbone and were not taken from the cache
  struct {
    double features = 0, training = 0, test = 0;  ///< seconds
  } time;
  std::vector<std::string> notes;  ///< what a reader must know
};

/// Runs the protocol. A grid of one rate needs no val.
/// Throws ArgumentError (an empty grid, a rate that is no positive number, epochs or batch 0, a checkpoint folder in use without
/// `resume`), DataError (no training or test slice, no val to choose a rate by, a loss that is not a number at every rate: names the
/// step and the slices; tokens that are not finite: names the slice), ShapeError (a size that the patch does not divide) and what
/// reading slices throws.
Segmentation segment(const Backbone& backbone, const data::SegmentationDataset& dataset,
                     const transforms::Transform& transform, const SegmentationOptions& options = {});

/// A backbone with a trained decoder. Both must outlive it.
class Segmenter {
 public:
  Segmenter(const Backbone& backbone, train::TrainableDecoder& decoder, nn::NormMode norm = nn::NormMode::running,
            Executor& executor = default_pool())
      : backbone_(backbone), decoder_(decoder), norm_(norm), executor_(executor) {}
  /// pixels (B, 3, H, W) of the decoder's size, normalised -> logits (B, H, W, K). Throws ShapeError.
  Tensor<float, dyn, dyn, dyn, dyn> logits(TensorView<const float, dyn, 3, dyn, dyn> pixels) const;
  /// The mask of a picture at its own size: transform, largest logit, nearest-exact. Throws what the transform throws.
  Tensor<std::uint8_t, dyn, dyn> mask(const io::Image& image, const transforms::Transform& transform) const;

 private:
  /// What the decoder reads of pixels of its size; the blocks stand in `out`.
  train::DecoderInput input(TensorView<const float, dyn, 3, dyn, dyn> pixels, Features& out) const;

  const Backbone& backbone_;
  train::TrainableDecoder& decoder_;
  nn::NormMode norm_;
  Executor& executor_;
};

}  // namespace vitals::inline v0::eval

#if VITALS_HEADER_ONLY
#include <vitals/eval/segmentation.ipp>
#endif
