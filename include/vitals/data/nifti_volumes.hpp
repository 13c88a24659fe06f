// NIfTI as a format of volumes for data sets: what SegmentationManifestOptions::volumes takes. Part of vitals::medical.
#pragma once

#include <vitals/core/config.hpp>
#include <vitals/data/segmentation_dataset.hpp>

namespace vitals::inline v0::data {

/// Files named .nii and .nii.gz. A file of several frames (4D) is refused: DataError.
const VolumeFormat& nifti();

}  // namespace vitals::inline v0::data

#if VITALS_HEADER_ONLY
#include <vitals/data/nifti_volumes.ipp>
#endif
