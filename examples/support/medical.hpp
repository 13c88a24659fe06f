// NIfTI and DICOM files for the programs, where vitals was built with their libraries; else an error that says so.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>

#include <vitals/data/segmentation_dataset.hpp>
#include <vitals/io/image.hpp>

namespace support {

enum class FileKind { tensors, picture, dicom, nifti };

/// By the first bytes; a gzip stream is taken for NIfTI.
FileKind kind_of(const std::filesystem::path& file);

/// NIfTI as the volumes of a data set; nullptr where the programs were built without it.
const vitals::data::VolumeFormat* volume_format();

/// What `inspect` says of a NIfTI file: size, type, range, spacing, orientation. `raw`: the stored values as .npy, (Z, Y, X).
void show_nifti(const std::filesystem::path& file, const std::filesystem::path& raw);
/// The same of a DICOM file, and nothing of the patient. `raw`: frames, rows, columns, samples.
void show_dicom(const std::filesystem::path& file, const std::filesystem::path& raw);

/// What `inspect` says of a folder with the slices of one DICOM series, read as a volume.
void show_series(const std::filesystem::path& folder);

/// Which picture of a file of many: NIfTI by axis and slice, DICOM by frame.
struct SliceChoice {
  std::size_t axis = 2;
  std::optional<std::size_t> slice;  ///< none: the middle one; of DICOM the first frame
};

/// A file of any kind as a picture: PNG and JPEG; a DICOM frame through its window; a NIfTI slice from its smallest value to its
/// largest onto 0 to 255, upright as radiologists look at it where the axes are those of the patient (left of the patient at the
/// right, front up; head up).
vitals::io::Image read_picture(const std::filesystem::path& file, const SliceChoice& choice);

}  // namespace support
