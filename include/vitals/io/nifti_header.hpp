// What the header of a NIfTI file says, checked. See nifti.hpp, which reads it.
#pragma once

#include <cstddef>
#include <vector>

#include <vitals/io/tensor_entry.hpp>
#include <vitals/io/volume.hpp>

namespace vitals::inline v0::io {

/// Volumes with more voxels are refused before anything is allocated for them.
inline constexpr std::size_t max_volume_voxels = std::size_t{1} << 31;

/// What a header says of the numbers and where they lie. Texts of the header (description, names) are not read: they may
/// hold a patient's.
struct NiftiHeader {
  int version = 1;  ///< NIfTI-1 or -2
  bool big_endian = false, compressed = false;
  DType dtype = DType::f32;       ///< as stored
  std::vector<std::size_t> dims;  ///< X, Y, Z and, of 4D to 7D files, what follows; at least three
  double slope = 1,
         intercept = 0;      ///< value = stored * slope + intercept; 1 and 0 where the header asks for no scaling
  int qform = 0, sform = 0;  ///< their codes
  Affine affine{};           ///< to RAS millimetres

  /// Volumes in the file: the product of the dimensions after the third.
  std::size_t frames() const {
    std::size_t n = 1;
    for (std::size_t d = 3; d < dims.size(); ++d) n *= dims[d];
    return n;
  }
};

}  // namespace vitals::inline v0::io
