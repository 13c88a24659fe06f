// Random crops, flips and rotations of training images, as torchvision's RandomResizedCrop, RandomHorizontalFlip and
// RandomRotation (bilinear) draw them. The transform then takes the crop to the size of the model.
#pragma once

#include <cstddef>

#include <vitals/core/config.hpp>
#include <vitals/core/rng.hpp>
#include <vitals/io/image.hpp>

namespace vitals::inline v0::data {

/// A part of a picture, in pixels, perhaps mirrored left to right.
struct Crop {
  std::size_t top = 0, left = 0, height = 0, width = 0;
  bool flip = false;
};

struct CropOptions {
  double min_area = 0.75, max_area = 1;             ///< share of the picture; the study's (DINOv2's own: 0.08 to 1)
  double min_ratio = 3.0 / 4, max_ratio = 4.0 / 3;  ///< width / height, drawn on a logarithmic scale
  double flip = 0.5;                                ///< probability
};

/// Draws a crop of a picture of this size: area and ratio at random until one fits (ten tries), else the largest crop in
/// the middle whose ratio is allowed. The next numbers of `rng` decide. Throws ShapeError for an empty picture.
Crop random_crop(std::size_t height, std::size_t width, Rng& rng, const CropOptions& options = {});
/// The part of a picture; numbers stay as they are. Throws ShapeError where it does not lie inside.
io::Image cropped(const io::Image& image, const Crop& crop);

/// A picture of the same size, turned counter-clockwise about its middle: bilinear between the four pixels around, 0 where the
/// old picture does not reach, also in the mean at its edge; whole numbers are rounded. Throws ArgumentError where `degrees`
/// is not finite.
io::Image rotated(const io::Image& image, double degrees);

}  // namespace vitals::inline v0::data

#if VITALS_HEADER_ONLY
#include <vitals/data/augment.ipp>
#endif
