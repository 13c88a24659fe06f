// Training pictures and their masks, moved together: flips, rotation, crop. Numbers are taken over, never mixed: a rotated
// mask holds only classes it held before, and so that both stay in step the image is taken from the nearest pixel too.
#pragma once

#include <vector>

#include <vitals/core/config.hpp>
#include <vitals/core/rng.hpp>
#include <vitals/data/augment.hpp>
#include <vitals/data/segmentation_dataset.hpp>

namespace vitals::inline v0::data {

/// Mirrored left to right, and upside down.
MaskedImage flipped(const MaskedImage& pair, bool left_right, bool up_down);
/// Turned about the middle, against the clock, the size kept; what comes from outside is 0 and background (torchvision's
/// rotate with nearest pixels). Throws ArgumentError where `degrees` is not finite.
MaskedImage rotated(const MaskedImage& pair, double degrees);
/// A part of it, perhaps mirrored. Throws ShapeError where it does not lie inside.
MaskedImage cropped(const MaskedImage& pair, const Crop& crop);

/// What is drawn for each training slice, in this order.
struct PairedOptions {
  std::vector<double> flip_up_down = {};  ///< probability of each of several draws, one after the other
  double flip_left_right = 0;             ///< probability
  double degrees = 0;                     ///< rotation, uniform between -degrees and degrees
  bool crop = false;                      ///< random_crop() with `crops`
  CropOptions crops{.flip = 0};
};

/// The study's: upside down with probability 1/4, drawn twice (the second was meant to be left to right), then a rotation
/// by up to 90 degrees to either side. It rotates before the min-max, so the corners are 0 whatever that means in the picture.
inline const PairedOptions study_augmentation{.flip_up_down = {0.25, 0.25}, .degrees = 90};

/// The next numbers of `rng` decide.
MaskedImage augmented(const MaskedImage& pair, const PairedOptions& options, Rng& rng);

}  // namespace vitals::inline v0::data

#if VITALS_HEADER_ONLY
#include <vitals/data/paired.ipp>
#endif
