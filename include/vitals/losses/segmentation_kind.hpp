// The losses over pixels, by name; segmentation.hpp has their formulas.
#pragma once

#include <string>

#include <vitals/core/error.hpp>

namespace vitals::inline v0::losses {

enum class SegmentationLoss {
  dice,           ///< MONAI's DiceLoss: softmax, background included, mean over images and classes
  cross_entropy,  ///< mean over pixels
  combined,       ///< the sum of both
  focal           ///< cross entropy in which well-classified pixels count little (gamma 2)
};

inline const char* name(SegmentationLoss loss) {
  constexpr const char* names[] = {"dice", "cross_entropy", "combined", "focal"};
  return names[static_cast<int>(loss)];
}
/// Throws ArgumentError for another word.
inline SegmentationLoss segmentation_loss_by_name(const std::string& word) {
  for (auto loss :
       {SegmentationLoss::dice, SegmentationLoss::cross_entropy, SegmentationLoss::combined, SegmentationLoss::focal})
    if (word == name(loss)) return loss;
  throw ArgumentError("no loss over pixels is called '" + word + "'", "", "use dice, cross_entropy, combined or focal");
}

}  // namespace vitals::inline v0::losses
