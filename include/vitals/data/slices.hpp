// Slices of volumes: across an axis, rows along the first of the other two.
#pragma once

#include <array>
#include <cstddef>
#include <string>

#include <vitals/core/config.hpp>
#include <vitals/core/error.hpp>
#include <vitals/core/tensor.hpp>
#include <vitals/data/intensity.hpp>
#include <vitals/io/image.hpp>
#include <vitals/io/volume.hpp>

namespace vitals::inline v0::data {

/// Where the rows and the columns of a slice across `axis` run.
struct SliceAxes {
  std::size_t row, column;
};
/// Throws ArgumentError above 2.
inline SliceAxes slice_axes(std::size_t axis) {
  if (axis > 2) throw ArgumentError("axis " + std::to_string(axis), "", "a volume has the axes 0, 1, 2");
  return {axis == 0 ? std::size_t{1} : 0, axis == 2 ? std::size_t{1} : 2};
}

namespace detail {

// Calls use(place in the volume, place in the slice) for every voxel of a slice.
template <class Use>
void for_slice(const std::array<std::size_t, 3>& shape, std::size_t axis, std::size_t index, Use&& use) {
  const auto [row, column] = slice_axes(axis);
  if (index >= shape[axis])
    throw ArgumentError("slice " + std::to_string(index) + " of " + std::to_string(shape[axis]));
  const std::array<std::size_t, 3> strides{shape[1] * shape[2], shape[2], 1};
  std::size_t i = 0;
  for (std::size_t r = 0; r < shape[row]; ++r)
    for (std::size_t c = 0; c < shape[column]; ++c)
      use(index * strides[axis] + r * strides[row] + c * strides[column], i++);
}

}  // namespace detail

/// Slice `index` of values (X, Y, Z).
template <class T>
Tensor<T, dyn, dyn> slice_of(const Tensor<T, dyn, dyn, dyn>& values, std::size_t axis, std::size_t index) {
  const auto [row, column] = slice_axes(axis);
  Tensor<T, dyn, dyn> out({values.extent(row), values.extent(column)});
  detail::for_slice(values.shape(), axis, index,
                    [&](std::size_t from, std::size_t to) { out.data()[to] = values.data()[from]; });
  return out;
}

/// Puts a slice back. Throws ShapeError.
template <class T>
void put_slice(Tensor<T, dyn, dyn, dyn>& values, std::size_t axis, std::size_t index,
               const Tensor<T, dyn, dyn>& slice) {
  const auto [row, column] = slice_axes(axis);
  if (slice.extent(0) != values.extent(row) || slice.extent(1) != values.extent(column))
    throw ShapeError("[put_slice] slice " + to_string(slice.shape()) + " of a volume " + to_string(values.shape()) +
                     " across axis " + std::to_string(axis));
  detail::for_slice(values.shape(), axis, index,
                    [&](std::size_t to, std::size_t from) { values.data()[to] = slice.data()[from]; });
}

/// A slice as a picture (H, W, 1) after the intensity rule. Throws what the rule throws.
inline io::Image slice_image(const io::Volume& volume, std::size_t axis, std::size_t index,
                             const Intensity& intensity) {
  auto plane = slice_of(volume.values, axis, index);
  apply_intensity(plane.span(), intensity);
  return io::Image{Tensor<float, dyn, dyn, dyn>({plane.extent(0), plane.extent(1), 1}, plane.span())};
}

}  // namespace vitals::inline v0::data
