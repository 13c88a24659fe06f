// NIfTI-1 and NIfTI-2, .nii and .nii.gz: volumes and label masks in, volumes and masks out. Headers through nifti_clib:
// a program that includes this header-only links -lnifti2 -lznz -lz (with CMake: vitals::medical, or vitals::medical_headers).
//
//   const auto image = io::read_nifti("ct.nii.gz");                      // values (X, Y, Z), affine to RAS millimetres
//   io::write_nifti_labels("mask.nii.gz", mask, "ct.nii.gz");            // on the grid of ct.nii.gz, header and all
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>

#include <vitals/core/config.hpp>
#include <vitals/io/nifti_header.hpp>
#include <vitals/io/npy.hpp>
#include <vitals/io/volume.hpp>

namespace vitals::inline v0::io {

/// Reads the header alone. The affine is, as nibabel has it, the sform's where its code is not 0, else the qform's, else
/// the spacing with x to the left and the origin in the middle. A header in metres or microns is brought to millimetres.
/// Throws IoError (cannot be read) or FormatError: not NIfTI, a pair of .hdr and .img, truncated, an affine with NaN or
/// without volume, a spacing of zero, a type that is none of int8 to int64, uint8 to uint64, float32 and float64, sizes
/// that overflow, exceed max_volume_voxels a frame, or the file cannot hold.
NiftiHeader read_nifti_header(const std::filesystem::path& file);

/// The values, scaled as the header says (a slope that is zero, NaN or infinite means none), as float. NaN voxels stay NaN.
/// `frame`: which volume of a 4D file; leaving it out is an error where there are several.
/// Throws as read_nifti_header, FormatError (data cut short, a wrong checksum of the gzip stream, five dimensions and
/// more), ArgumentError (no such frame), DataError (several frames and none chosen).
Volume read_nifti(const std::filesystem::path& file, std::optional<std::size_t> frame = {});

/// The same of class numbers: whole numbers 0 to 255 after scaling, whatever their type in the file. Throws as read_nifti,
/// and DataError for another value, naming it and its voxel (i, j, k).
LabelVolume read_nifti_labels(const std::filesystem::path& file, std::optional<std::size_t> frame = {});

/// The numbers as stored, before scaling, all frames: shape is that of the file reversed (.., Z, Y, X), for x runs fastest.
NpyArray read_nifti_stored(const std::filesystem::path& file);

/// Writes class numbers with the geometry of the file `like`: its qform and sform with their codes, spacing and units, in
/// its version of NIfTI; uint8, one frame, little-endian, compressed where the name ends in .gz. Texts and extensions of
/// the other header are left behind. Labels in another orientation than `like` are turned to it first.
/// Atomic. Throws ShapeError where the sizes differ, DataError where the affines do (more than a thousandth of a voxel at a
/// corner), IoError, and what reading the header of `like` throws.
void write_nifti_labels(const std::filesystem::path& file, const LabelVolume& labels,
                        const std::filesystem::path& like);

/// Writes a volume by itself: NIfTI-1 (NIfTI-2 where a side is over 32767), float or uint8, sform and, where the axes
/// are at right angles, qform from the affine, millimetres. Atomic. Throws IoError, ShapeError (empty), DataError (an affine
/// that read_nifti_header would refuse).
void write_nifti(const std::filesystem::path& file, const Volume& volume);
void write_nifti(const std::filesystem::path& file, const LabelVolume& labels);

}  // namespace vitals::inline v0::io

#if VITALS_HEADER_ONLY
#include <vitals/io/nifti.ipp>
#endif
