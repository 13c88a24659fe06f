// Masks on their way to the model's size and back, and with their images through augmentation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include <vitals/core/error.hpp>
#include <vitals/core/rng.hpp>
#include <vitals/core/tensor.hpp>
#include <vitals/data/resize.hpp>
#include <vitals/data/segmentation_dataset.hpp>

namespace vitals::inline v0::eval {

/// Moves an image and its mask together (flip, rotation, crop); the next numbers of `rng` decide. Under the transform `paper` it
/// sees both already at the model's size, as in the study; under the others as stored.
using PairedAugmentation = std::function<data::MaskedImage(const data::MaskedImage&, Rng& rng)>;

/// A mask at another size: pixel y is read from floor((y + 0.5) h / H), PyTorch's "nearest-exact". Throws ShapeError for an empty
/// mask or size.
inline Tensor<std::uint8_t, dyn, dyn> resize_mask(TensorView<const std::uint8_t, dyn, dyn> mask, transforms::Size to) {
  const std::size_t h = mask.extent(0), w = mask.extent(1);
  if (mask.empty() || to.height == 0 || to.width == 0)
    throw ShapeError("[resize_mask] a mask " + to_string(mask.shape()) + " to " + std::to_string(to.height) + " x " +
                     std::to_string(to.width));
  Tensor<std::uint8_t, dyn, dyn> out({to.height, to.width});
  std::vector<std::size_t> column(to.width);
  for (std::size_t x = 0; x < to.width; ++x) column[x] = (2 * x + 1) * w / (2 * to.width);
  for (std::size_t y = 0; y < to.height; ++y) {
    const std::uint8_t* from = mask.data() + (2 * y + 1) * h / (2 * to.height) * w;
    for (std::size_t x = 0; x < to.width; ++x) out(y, x) = from[column[x]];
  }
  return out;
}

}  // namespace vitals::inline v0::eval
