// The linear probe of the radiology study (arXiv 2312.02366): how well does a linear layer on frozen features separate
// the classes?
//
//   A  all heads of the grid blocks x avgpool x lr train at once on train; the one with the highest macro AUROC on val wins
//   B  a fresh head with the winner's setting trains on train + val and is tested on test
//
// Binary tasks have one logit; the loss is binary cross entropy (binary, multilabel) or softmax cross entropy (one of
// several classes). ceil(n / batch) epochs steps, see linear_heads.hpp.
//
// "Paper mode" is the study's own: the multilabel loss is summed over the batch; scores are sigmoid(logit) for every
// task; a class without positives counts as AUROC 0 in the pick; without val the winner is picked on test. The default:
// mean loss; softmax scores where there is one label of several; undefined classes stay out; no val is an error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <vitals/core/config.hpp>
#include <vitals/core/parallel.hpp>
#include <vitals/core/progress.hpp>
#include <vitals/core/tensor.hpp>
#include <vitals/eval/features.hpp>
#include <vitals/eval/linear_heads.hpp>
#include <vitals/eval/prediction.hpp>
#include <vitals/metrics/score.hpp>

namespace vitals::inline v0::eval {

/// Gives the features of a training batch instead of the stored ones (images augmented anew at every step): fills
/// x (items, (blocks + 1) D), laid out as FeatureLayout says, for these items of the data set. `blocks`, from x.size(),
/// is the largest of the grid in A and the winner's in B; `step` goes on counting from A to B.
using BatchFeatures = std::function<void(std::span<const std::size_t> items, std::size_t step, std::span<float> x)>;

struct LinearProbeOptions {
  std::size_t epochs = 10;
  std::size_t batch = 128;  ///< or all training images where there are fewer
  std::vector<double> lrs = {1e-3, 5e-3, 1e-2, 5e-2};
  std::vector<std::size_t> blocks = {1, 4};
  std::vector<int> avgpool = {0, 1};  ///< 0 without, 1 with the mean patch token
  std::uint64_t seed = 0;             ///< of initial weights and batches
  bool paper_mode = false;
  std::optional<std::vector<std::size_t>> train = {};  ///< these items instead of the split train (few-shot)
  bool add_val = true;                                 ///< B trains on train + val; false: on train alone (few-shot)
  BatchFeatures augmented = {};                        ///< empty: the stored features
  Progress progress = {};                              ///< stages "linear probe: grid", "linear probe: final", in steps
  Executor* executor = nullptr;                        ///< nullptr: default_pool()
};

/// A head of the grid and its macro AUROC on val.
struct GridScore {
  HeadSetting setting;
  metrics::Score auroc = metrics::Score::none("not computed");
};

struct LinearProbe {
  Prediction prediction;        ///< of test; name "linear blocks=4 avgpool=1 lr=0.01"
  LinearHead<float> head;       ///< as trained in B; a binary task has one output, the logit of the second class
  std::vector<GridScore> grid;  ///< in the order blocks, avgpool, lr; empty where there was only one head to choose
  bool picked_on_test = false;  ///< paper mode without val
  std::vector<std::string>
      notes;  ///< what a reader must know: classes absent or left out of the pick, heads that diverged
};

/// Runs A and B. A grid of one head needs no val and skips A.
/// Throws ArgumentError (an empty grid, blocks above those stored, epochs or batch 0, a rate that is not a positive
/// number, a test item to train on), DataError (no training or test image, no val image to pick on, no class has an
/// AUROC on val, heads that diverged, a feature that is not finite or an image without its one label: names the image).
LinearProbe linear_probe(const FeatureSet& features, const LinearProbeOptions& options = {});

/// Class scores (m, K) from logits (m, outputs): one logit becomes (1 - p, p), p = sigmoid(logit); several become
/// softmax, or each its sigmoid.
enum class ScoreKind { sigmoid, softmax };
Tensor<double, dyn, dyn> scores_of_logits(TensorView<const double, dyn, dyn> logits, ScoreKind kind);

/// Writes `weight` (outputs, in) and `bias` (outputs) as safetensors, with the setting and the classes in the metadata.
/// Throws IoError.
void save_head(const std::filesystem::path& file, const LinearHead<float>& head,
               const std::vector<std::string>& classes);

}  // namespace vitals::inline v0::eval

#if VITALS_HEADER_ONLY
#include <vitals/eval/linear_probe.ipp>
#endif
