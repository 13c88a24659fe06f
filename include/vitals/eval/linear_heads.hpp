// Many linear heads trained at once on frozen features, as DINOv2's linear evaluation does: each has its own learning
// rate and its own choice of input, all see the same batches. SGD with momentum 0.9, no weight decay, the rate of step
// t of T is lr (1 + cos(pi t / T)) / 2.
//
// The input of a head: CLS of the last `blocks` blocks, shallow to deep, then, with avgpool, the mean patch token of
// the last block. A row of features holds all of it, so a head's input is one contiguous slice of the row:
//   [CLS of block -n ... CLS of block -2, CLS of block -1, mean patch token]
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <vitals/core/config.hpp>
#include <vitals/core/parallel.hpp>
#include <vitals/core/tensor.hpp>

namespace vitals::inline v0::eval {

/// What one head of the grid is.
struct HeadSetting {
  std::size_t blocks = 1;  ///< how many last blocks' CLS enter
  bool avgpool = false;    ///< the mean patch token enters too
  double lr = 0.01;
};
/// "blocks=4 avgpool=1 lr=0.01"
std::string name(const HeadSetting& setting);

/// The loss of a batch of B images and K outputs.
enum class HeadLoss {
  bce,            ///< binary cross entropy with logits, mean over B and K: binary (K = 1) and multilabel
  bce_batch_sum,  ///< the same, summed over B and mean over K: the study's for multilabel, B times larger
  cross_entropy,  ///< softmax cross entropy, mean over B; targets hold a single 1 a row
};

/// A linear layer: logits = weight x + bias.
template <class S>
struct LinearHead {
  HeadSetting setting;
  Tensor<S, dyn, dyn> weight;  ///< (K, in)
  std::vector<S> bias;         ///< (K)

  std::size_t outputs() const { return weight.extent(0); }
  std::size_t inputs() const { return weight.extent(1); }
};

/// Where rows of features lie: blocks CLS tokens of D numbers, then D of the mean patch token.
struct FeatureLayout {
  std::size_t blocks = 1, dim = 0;
  std::size_t width() const { return (blocks + 1) * dim; }
  /// First column and number of columns of a head's input. Throws ArgumentError where the head wants more blocks.
  std::size_t offset(const HeadSetting& setting) const;
  std::size_t inputs(const HeadSetting& setting) const;
};

/// The heads in training. S is float, or double as the reference in tests. Every sum has a fixed order, so the bits do
/// not depend on the executor.
template <class S>
class HeadTrainer {
 public:
  /// Heads as they start (weight (K, in) fitting the layout). `steps` is T of the cosine.
  /// Throws ArgumentError (no head, steps 0, a rate that is negative or not finite), ShapeError.
  HeadTrainer(std::vector<LinearHead<S>> heads, const FeatureLayout& layout, HeadLoss loss, std::size_t steps);

  /// One step. x (B, layout.width()), targets (B, K) 0 or 1. Returns the loss of each head before the step.
  /// Throws ShapeError, ArgumentError after the last step.
  std::vector<double> step(TensorView<const S, dyn, dyn> x, TensorView<const std::uint8_t, dyn, dyn> targets,
                           Executor& executor);

  const std::vector<LinearHead<S>>& heads() const { return heads_; }
  std::size_t steps_done() const { return done_; }

 private:
  // A piece of work: these rows of the batch, or these columns of the weight, of one head.
  struct Piece {
    std::size_t head, begin, end;
  };
  void forward(const Piece& piece, TensorView<const S, dyn, dyn> x);
  std::vector<double> losses(TensorView<const std::uint8_t, dyn, dyn> targets);
  void update(const Piece& piece, TensorView<const S, dyn, dyn> x, double cosine);

  FeatureLayout layout_;
  HeadLoss loss_;
  std::size_t steps_, done_ = 0, outputs_ = 0;
  std::vector<LinearHead<S>> heads_, momentum_;
  std::vector<Piece> columns_;
  std::vector<Tensor<S, dyn, dyn>> logits_;  // of each head (B, K): logits, then the gradient of the loss
};

/// Initial weights N(0, 0.01), bias 0: the same for all rates of one (blocks, avgpool).
template <class S>
std::vector<LinearHead<S>> initial_heads(std::span<const HeadSetting> settings, const FeatureLayout& layout,
                                         std::size_t outputs, std::uint64_t seed);

/// The batches of an infinite shuffled stream over n items: (steps, batch) item numbers; every epoch is a new random
/// order, and batches cross the borders of epochs. batch must not be above n.
Tensor<std::uint32_t, dyn, dyn> batch_order(std::size_t n, std::size_t batch, std::size_t steps, std::uint64_t seed);

/// Logits (m, K) in double of rows x (m, layout.width()).
template <class S>
Tensor<double, dyn, dyn> head_logits(const LinearHead<S>& head, const FeatureLayout& layout,
                                     TensorView<const float, dyn, dyn> x, Executor& executor);

}  // namespace vitals::inline v0::eval

#if VITALS_HEADER_ONLY
#include <vitals/eval/linear_heads.ipp>
#endif
