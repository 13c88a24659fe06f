// Which way the axes of a volume run, in letters, and the same volume with its axes in another order: exact, for nothing
// is interpolated. The letters are where an axis leads: "RAS" is right, front, head; "LPS" left, back, head (DICOM's).
#pragma once

#include <string>
#include <string_view>

#include <vitals/core/config.hpp>
#include <vitals/io/volume.hpp>

namespace vitals::inline v0::io {

/// Three letters, one of each pair L/R, P/A, I/S: the patient's direction closest to each axis of the voxels. Of the 48
/// possibilities it is the one with the largest sum of cosines, so an oblique volume has letters too.
/// Throws DataError where the affine holds NaN or infinity or a column is zero.
std::string orientation(const Affine& affine);

/// The same voxels with axes permuted and flipped so that orientation() is `letters`, and the affine that goes with
/// them. Back again: reoriented(result, orientation(volume.affine)).
/// Throws ArgumentError where `letters` is not one of the 48, and what orientation() throws.
Volume reoriented(const Volume& volume, std::string_view letters);
LabelVolume reoriented(const LabelVolume& volume, std::string_view letters);

}  // namespace vitals::inline v0::io

#if VITALS_HEADER_ONLY
#include <vitals/io/orientation.ipp>
#endif
