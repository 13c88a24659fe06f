// Implementation of vit.hpp: what does not depend on the type of the model.
#pragma once

#include <algorithm>
#include <string>

#include <vitals/models/vit.hpp>

namespace vitals::inline v0::detail {

VITALS_INLINE void check_pixels(TensorView<const float, dyn, 3, dyn, dyn> pixels, std::size_t patch) {
  const auto& shape = pixels.shape();
  if (shape[0] == 0) throw ShapeError("[ViT] an empty batch, pixels " + to_string(shape));
  for (std::size_t axis : {2, 3}) {
    const std::size_t size = shape[axis];
    if (size != 0 && size % patch == 0) continue;
    const std::size_t below = size / patch * patch, above = below + patch;
    throw ShapeError("[ViT] " + std::string(axis == 2 ? "height " : "width ") + std::to_string(size) +
                         " is not a multiple of the patch size " + std::to_string(patch),
                     "pixels " + to_string(shape),
                     "use " + (below ? std::to_string(below) + " or " : "") + std::to_string(above));
  }
}

}  // namespace vitals::inline v0::detail
