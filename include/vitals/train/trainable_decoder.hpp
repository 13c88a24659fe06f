// TrainableDecoder: a segmentation decoder of run-time sizes with a way back, without its backend in the type. Protocols and
// programs see this interface, so they are compiled once.
//
//   auto decoder = vt::train::make_decoder({.kind = vt::heads::DecoderKind::unet, .dim = 384, .classes = 3, .size = {224, 224}}, seed);
//   decoder->gradient(features, masks, vt::losses::SegmentationLoss::combined, executor);
//   optimizer->step();
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <vitals/core/config.hpp>
#include <vitals/core/parallel.hpp>
#include <vitals/core/tensor.hpp>
#include <vitals/heads/decoder.hpp>
#include <vitals/losses/segmentation_kind.hpp>
#include <vitals/nn/norm_mode.hpp>
#include <vitals/train/optimizer.hpp>
#include <vitals/train/trainable.hpp>

namespace vitals::inline v0::train {

/// Patch tokens of the last blocks, shallow to deep, each (B, N, D) on the host, N = h * w row by row.
struct DecoderInput {
  std::vector<TensorView<const float, dyn, dyn, dyn>> blocks;
  std::size_t height = 0, width = 0;  ///< h, w in tokens
};

class TrainableDecoder {
 public:
  virtual ~TrainableDecoder() = default;
  virtual const heads::DecoderShape& shape() const = 0;
  /// "float32" or "bfloat16": what products are made in.
  virtual const char* dtype() const = 0;
  /// How many numbers train.
  virtual std::size_t parameters() const = 0;
  /// Whatever a checkpoint must hold: parameters first, then running statistics. Functions are valid as long as the decoder.
  virtual std::vector<TrainableRow> rows() = 0;
  /// Of the parameters, all at options.head_lr. Throws ArgumentError for a rate that is no positive number.
  virtual std::unique_ptr<Optimizer> optimizer(const OptimizerOptions& options, Executor& executor) = 0;

  /// The loss of the logits against masks (B, H, W) of class numbers; its gradients are added to those of the parameters, and
  /// running statistics move. Throws ShapeError (sizes that do not fit), DataError (a class number outside).
  virtual double gradient(const DecoderInput& input, TensorView<const std::uint8_t, dyn, dyn, dyn> masks,
                          losses::SegmentationLoss loss, Executor& executor) = 0;
  /// Logits (B, H, W, K). With NormMode::train statistics of the batch are used, and the running ones move.
  virtual Tensor<float, dyn, dyn, dyn, dyn> logits(const DecoderInput& input, nn::NormMode mode,
                                                   Executor& executor) = 0;
  /// The class with the largest logit, the first of equals, (B, H, W).
  virtual Tensor<std::uint8_t, dyn, dyn, dyn> predict(const DecoderInput& input, nn::NormMode mode,
                                                      Executor& executor) = 0;
};

/// dtype: "float32" or "bfloat16". Initial values are a function of the seed: N(0, 0.01) and 0 for the linear decoder, PyTorch's
/// defaults for the U-Net. Throws ArgumentError (no dim, fewer than two or more than 255 classes, an empty size, another dtype).
std::unique_ptr<TrainableDecoder> make_decoder(const heads::DecoderShape& shape, std::uint64_t seed,
                                               const std::string& dtype = "float32",
                                               Executor& executor = default_pool());

/// Writes every row in float32 under its name as .safetensors; the metadata holds kind, dim, classes and size, and `metadata`.
/// Throws IoError.
void save_decoder(const std::filesystem::path& file, TrainableDecoder& decoder,
                  const std::map<std::string, std::string>& metadata = {});
/// Reads what save_decoder wrote. Throws IoError, FormatError (no file of a decoder; names the first tensor that is missing,
/// extra or of another shape).
std::unique_ptr<TrainableDecoder> load_decoder(const std::filesystem::path& file, const std::string& dtype = "float32",
                                               Executor& executor = default_pool());

}  // namespace vitals::inline v0::train

#if VITALS_HEADER_ONLY
#include <vitals/train/trainable_decoder.ipp>
#endif
