// A volume of a medical file: numbers on a grid, and where the grid lies in the patient.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include <vitals/core/tensor.hpp>

namespace vitals::inline v0::io {

/// Rows 1 to 3 of the matrix that takes a voxel (i, j, k, 1) to millimetres in RAS+: x grows to the patient's right, y to
/// the front, z to the head (NIfTI-1's convention; DICOM's LPS with x and y negated).
using Affine = std::array<std::array<double, 4>, 3>;

/// Numbers (X, Y, Z): values(i, j, k) in the order of the file's axes, scaled as the file says. Of labels: class numbers.
template <class T>
struct VolumeOf {
  Tensor<T, dyn, dyn, dyn> values;
  Affine affine{{{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}}};

  /// Millimetres between neighbours along each axis: the lengths of the affine's columns.
  std::array<double, 3> spacing() const {
    std::array<double, 3> mm{};
    for (std::size_t axis = 0; axis < 3; ++axis)
      mm[axis] = std::hypot(affine[0][axis], affine[1][axis], affine[2][axis]);
    return mm;
  }
};

using Volume = VolumeOf<float>;
using LabelVolume = VolumeOf<std::uint8_t>;

}  // namespace vitals::inline v0::io
