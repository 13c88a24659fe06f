// A folder of DICOM slices as one volume. File names say nothing of the order: slices are sorted by where they lie along
// the normal of their planes.
#pragma once

#include <filesystem>
#include <vector>

#include <vitals/core/config.hpp>
#include <vitals/io/volume.hpp>

namespace vitals::inline v0::io {

struct DicomSeries {
  Volume volume;                             ///< values (column, row, slice) of the modality, affine to RAS millimetres
  std::vector<std::filesystem::path> files;  ///< of the slices, in their order in the volume
};

/// Reads every DICOM file of the folder (not of folders inside); other files are passed over. Slices run along the normal of
/// their planes, which of an axial series is from the feet to the head.
/// Throws IoError, what read_dicom_volume throws, and DataError: no DICOM file; slices of several series (counted and told
/// apart by size, orientation or series, by file names, never by what a header says of a patient); a slice without a position; two
/// slices at one position; a slice that is missing, with the two files beside the gap.
DicomSeries read_dicom_series(const std::filesystem::path& folder);

}  // namespace vitals::inline v0::io

#if VITALS_HEADER_ONLY
#include <vitals/io/dicom_series.ipp>
#endif
