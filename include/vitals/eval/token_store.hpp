// The patch tokens of a segmentation data set's slices under a frozen backbone: computed once and kept, in memory and on disk, or
// computed anew for each batch where images are augmented or there is no room. Internal to the room.
//
// Kept tokens are float32, or bfloat16 where the decoder rounds them to that anyway: then nothing is lost.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include <vitals/core/config.hpp>
#include <vitals/core/half.hpp>
#include <vitals/core/parallel.hpp>
#include <vitals/core/progress.hpp>
#include <vitals/core/rng.hpp>
#include <vitals/core/tensor.hpp>
#include <vitals/data/segmentation_dataset.hpp>
#include <vitals/data/transforms.hpp>
#include <vitals/eval/masks.hpp>
#include <vitals/models/backbone.hpp>
#include <vitals/train/trainable_decoder.hpp>

namespace vitals::inline v0::eval::detail {

/// Tokens and masks of some slices, as a decoder takes them.
struct TokenBatch {
  std::vector<Tensor<float, dyn, dyn, dyn>> blocks;  ///< (B, N, D) each
  Tensor<std::uint8_t, dyn, dyn, dyn> masks;         ///< (B, H, W), at the model's size
  std::size_t height = 0, width = 0;                 ///< in tokens

  train::DecoderInput input() const;
};

struct TokenOptions {
  std::size_t blocks = 1;                                       ///< how many of the last blocks
  bool half = false;                                            ///< keep bfloat16
  PairedAugmentation augment = {};                              ///< for batches that ask for it
  std::filesystem::path cache = {};                             ///< folder; empty: none
  std::string weights_sha256 = {}, backbone_dtype = "float32";  ///< parts of the cache's key
  std::size_t kept_bytes = 0;                                   ///< room in memory
  std::size_t feature_batch = 8;                                ///< slices in flight
  Progress progress = {};                                       ///< stage "features"
};

class TokenStore {
 public:
  /// All must outlive it. Throws ShapeError for a size that the patch does not divide, ArgumentError for a transform that crops.
  TokenStore(const Backbone& backbone, const data::SegmentationDataset& dataset, const transforms::Transform& transform,
             TokenOptions options, Executor& executor);

  /// Computes and keeps what there is room for, in this order; false where it is not all of them.
  bool keep(const std::vector<std::size_t>& slices);
  /// With `draw`, augmented by the numbers that it names for each place of the batch; else as they are.
  TokenBatch batch(std::span<const std::size_t> slices, const std::vector<Rng>* draw = nullptr);
  /// (H, W) of a slice as stored. It has been in a batch or is kept.
  transforms::Size stored_size(std::size_t slice) const { return sizes_.at(slice); }
  /// How many slices went through the backbone, each counted once; how many files of the cache were damaged.
  std::size_t computed() const { return computed_; }
  std::size_t unreadable() const { return unreadable_; }

 private:
  struct Kept {
    std::vector<float> wide;
    std::vector<bfloat16> half;
    Tensor<std::uint8_t, dyn, dyn> mask;
  };
  /// Tokens of these slices, one after another: blocks x N x D numbers each; masks; sizes as stored.
  void compute(std::span<const std::size_t> slices, const std::vector<Rng>* draw, std::span<float* const> tokens,
               std::span<Tensor<std::uint8_t, dyn, dyn>> masks);
  Tensor<std::uint8_t, dyn, dyn> load(std::size_t slice, Rng* draw, TensorView<float, 3, dyn, dyn> pixels,
                                      transforms::Size& size) const;
  std::string key() const;

  const Backbone& backbone_;
  const data::SegmentationDataset& dataset_;
  transforms::Transform transform_;
  TokenOptions options_;
  Executor& executor_;
  std::size_t height_, width_, numbers_;  // of tokens: h, w, and all of a slice
  std::size_t used_ = 0, computed_ = 0, unreadable_ = 0;
  std::unordered_map<std::size_t, Kept> kept_;
  std::unordered_map<std::size_t, transforms::Size> sizes_;
  std::unordered_map<std::size_t, std::string> file_sums_;  // by item
  std::string key_;
};

}  // namespace vitals::inline v0::eval::detail

#if VITALS_HEADER_ONLY
#include <vitals/eval/token_store.ipp>
#endif
