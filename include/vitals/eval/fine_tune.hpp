// Fine-tuning as a protocol: a head, and what of the backbone shall train, on train; the best of val; scores of test.
//
//   head    the backbone stays as it is
//   full    everything trains
//   lora    low-rank terms (Hu et al., arXiv 2106.09685)
//   bitfit  biases (Ben Zaken et al., arXiv 2106.10199)
//
// Unlike the linear probe there is no second phase: what val has picked is what is tested.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <vitals/adapt/lora.hpp>
#include <vitals/core/config.hpp>
#include <vitals/core/progress.hpp>
#include <vitals/data/dataset.hpp>
#include <vitals/data/transforms.hpp>
#include <vitals/eval/prediction.hpp>
#include <vitals/train/trainable.hpp>
#include <vitals/train/trainer.hpp>

namespace vitals::inline v0::eval {

enum class Method { head, full, lora, bitfit };
/// "head", "full", "lora", "bitfit"
const char* name(Method method);
/// Throws ArgumentError for another word.
Method method_by_name(const std::string& word);

/// What val is asked for, to keep the best.
enum class Criterion { auroc, accuracy };

struct FineTuneOptions {
  Method method = Method::lora;
  adapt::LoraOptions lora{};        ///< of Method::lora
  train::TrainerOptions trainer{};  ///< its `validate` is set here
  Criterion criterion = Criterion::auroc;
  std::vector<std::size_t> train = {};  ///< these items instead of the split train (few-shot); empty: the split
  bool use_val = true;                  ///< false: the last step counts
  Progress progress{};                  ///< stages "val", "test"
};

struct FineTune {
  Prediction prediction;  ///< of test; name: the method
  train::Training training;
  std::size_t trainable = 0;  ///< numbers of the backbone that trained
  std::size_t head = 0;       ///< numbers of the head
  std::vector<std::string> notes;
};

/// Prepares the model (what trains, a fresh head) and trains it. Where `trainer.stop` ended it, there is no prediction.
/// A class without a training image is noted. Throws DataError (fewer than two classes among the training images, no test image,
/// no class with an AUROC on val), and what train::train and adapt::lora throw.
FineTune fine_tune(train::TrainableBackbone& model, const data::Dataset& dataset,
                   const transforms::Transform& transform, const FineTuneOptions& options);

/// The scores of a trained model, (items, K): softmax for one label of several, else sigmoid; a binary task has two columns.
/// Throws what reading images throws; DataError for scores that are not numbers, naming the image.
Tensor<double, dyn, dyn> predict(train::TrainableBackbone& model, const data::Dataset& dataset,
                                 const std::vector<std::size_t>& items, const transforms::Transform& transform,
                                 std::size_t batch = 8, Executor* executor = nullptr, const Progress& progress = {},
                                 const std::string& stage = "test");

}  // namespace vitals::inline v0::eval

#if VITALS_HEADER_ONLY
#include <vitals/eval/fine_tune.ipp>
#endif
