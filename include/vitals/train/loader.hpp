// Loader: shuffled, augmented batches. Batch number i is a function of (seed, i) and nothing else: any number of threads
// gives the same pixels, and a training that goes on after an interruption asks for the next number.
//
// Items come as an endless stream, each epoch in a new order (Fisher-Yates); batches cross the borders of epochs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <vitals/core/config.hpp>
#include <vitals/core/parallel.hpp>
#include <vitals/core/tensor.hpp>
#include <vitals/data/augment.hpp>
#include <vitals/data/dataset.hpp>
#include <vitals/data/transforms.hpp>

namespace vitals::inline v0::train {

struct LoaderOptions {
  std::size_t batch = 8;  ///< or all items where there are fewer
  bool augment = true;    ///< random crops and flips, anew for each image of each batch
  data::CropOptions crop{};
  double degrees = 0;  ///< rotation, uniform between -degrees and degrees, before the crop
  std::uint64_t seed = 0;
  Executor* executor = nullptr;  ///< nullptr: default_pool()
};

struct Batch {
  Tensor<float, dyn, 3, dyn, dyn> pixels;  ///< (B, 3, H, W), normalised
  std::vector<std::size_t> items;          ///< numbers in the data set
};

class Loader {
 public:
  /// `dataset` must outlive it. Throws ArgumentError for batch 0 and degrees outside 0 to 180, DataError without items.
  Loader(const data::Dataset& dataset, std::vector<std::size_t> items, const transforms::Transform& transform,
         const LoaderOptions& options = {});

  std::size_t batch_size() const { return options_.batch; }
  /// How many batches make an epoch, the last one reaching into the next.
  std::size_t batches_per_epoch() const { return (items_.size() + options_.batch - 1) / options_.batch; }
  /// Batch number `index`. Throws what reading images throws, with the item's path and line.
  Batch batch(std::uint64_t index);
  /// Its items, without reading them.
  std::vector<std::size_t> items(std::uint64_t index);

 private:
  const data::Dataset& dataset_;
  std::vector<std::size_t> items_;
  transforms::Transform transform_;
  LoaderOptions options_;
  std::uint64_t epoch_;  // whose order is known
  std::vector<std::size_t> order_;
};

/// The images of these items through the transform, unchanged: (n, 3, H, W). Throws as Loader::batch.
Tensor<float, dyn, 3, dyn, dyn> pixels_of(const data::Dataset& dataset, const std::vector<std::size_t>& items,
                                          const transforms::Transform& transform, Executor& executor = default_pool());

}  // namespace vitals::inline v0::train

#if VITALS_HEADER_ONLY
#include <vitals/train/loader.ipp>
#endif
