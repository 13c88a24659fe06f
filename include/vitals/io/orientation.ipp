// Implementation of orientation.hpp.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include <vitals/core/error.hpp>
#include <vitals/io/orientation.hpp>

namespace vitals::inline v0::io {

namespace detail {

/// For each axis of the voxels: the direction of the patient it follows (0 x, 1 y, 2 z), and whether against it.
struct AxisDirections {
  std::array<std::size_t, 3> world{};
  std::array<bool, 3> against{};
};

inline AxisDirections axis_directions(const Affine& affine) {
  std::array<std::array<double, 3>, 3> cosine{};  // [axis][direction]
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const double length = std::hypot(affine[0][axis], affine[1][axis], affine[2][axis]);
    if (!std::isfinite(length) || !(length > 0))
      throw DataError("[orientation] axis " + std::to_string(axis) + " has no direction: its column of the affine is " +
                      (length == 0 ? "zero" : "not finite"));
    for (std::size_t d = 0; d < 3; ++d) cosine[axis][d] = affine[d][axis] / length;
  }
  AxisDirections best;
  double most = -1;
  std::array<std::size_t, 3> order{0, 1, 2};
  do {
    double sum = 0;
    for (std::size_t axis = 0; axis < 3; ++axis) sum += std::abs(cosine[axis][order[axis]]);
    if (sum > most) most = sum, best.world = order;
  } while (std::next_permutation(order.begin(), order.end()));
  for (std::size_t axis = 0; axis < 3; ++axis) best.against[axis] = cosine[axis][best.world[axis]] < 0;
  return best;
}

inline AxisDirections axis_directions(std::string_view letters) {
  constexpr std::string_view plus = "RAS", minus = "LPI";
  AxisDirections directions;
  std::array<bool, 3> seen{};
  bool valid = letters.size() == 3;
  for (std::size_t axis = 0; valid && axis < 3; ++axis) {
    const auto with = plus.find(letters[axis]), against = minus.find(letters[axis]);
    const std::size_t world = with != std::string_view::npos ? with : against;
    valid = world != std::string_view::npos && !seen[world];
    if (!valid) break;
    seen[world] = true;
    directions.world[axis] = world;
    directions.against[axis] = with == std::string_view::npos;
  }
  if (!valid)
    throw ArgumentError("[reoriented] an orientation \"" + std::string(letters.substr(0, 8)) + "\"", "",
                        "give one letter of each pair L/R, P/A, I/S, such as \"RAS\"");
  return directions;
}

template <class T>
VolumeOf<T> reoriented_volume(const VolumeOf<T>& volume, std::string_view letters) {
  const AxisDirections to = axis_directions(letters), from = axis_directions(volume.affine);
  const auto& shape = volume.values.shape();
  const std::array<std::size_t, 3> stride{shape[1] * shape[2], shape[2], 1};
  // Axis a of the result is axis source[a] of the volume, from its end where flip[a].
  std::array<std::size_t, 3> source{}, extents{};
  std::array<std::ptrdiff_t, 3> step{};
  std::ptrdiff_t first = 0;
  VolumeOf<T> result;
  for (std::size_t d = 0; d < 3; ++d) result.affine[d][3] = volume.affine[d][3];
  for (std::size_t a = 0; a < 3; ++a) {
    source[a] =
        static_cast<std::size_t>(std::find(from.world.begin(), from.world.end(), to.world[a]) - from.world.begin());
    extents[a] = shape[source[a]];
    const bool flip = to.against[a] != from.against[source[a]];
    const auto last = static_cast<std::ptrdiff_t>(extents[a]) - 1;
    step[a] = static_cast<std::ptrdiff_t>(stride[source[a]]) * (flip ? -1 : 1);
    if (flip && last > 0) first -= step[a] * last;
    for (std::size_t d = 0; d < 3; ++d) {
      const double column = volume.affine[d][source[a]];
      result.affine[d][a] = flip ? -column : column;
      if (flip) result.affine[d][3] += column * static_cast<double>(last);
    }
  }
  result.values = Tensor<T, dyn, dyn, dyn>(extents);
  T* out = result.values.data();
  for (std::size_t i = 0; i < extents[0]; ++i)
    for (std::size_t j = 0; j < extents[1]; ++j) {
      const T* in = volume.values.data() + first + step[0] * static_cast<std::ptrdiff_t>(i) +
                    step[1] * static_cast<std::ptrdiff_t>(j);
      for (std::size_t k = 0; k < extents[2]; ++k) *out++ = in[step[2] * static_cast<std::ptrdiff_t>(k)];
    }
  return result;
}

}  // namespace detail

VITALS_INLINE std::string orientation(const Affine& affine) {
  const auto directions = detail::axis_directions(affine);
  std::string letters;
  for (std::size_t axis = 0; axis < 3; ++axis)
    letters += (directions.against[axis] ? "LPI" : "RAS")[directions.world[axis]];
  return letters;
}

VITALS_INLINE Volume reoriented(const Volume& volume, std::string_view letters) {
  return detail::reoriented_volume(volume, letters);
}
VITALS_INLINE LabelVolume reoriented(const LabelVolume& volume, std::string_view letters) {
  return detail::reoriented_volume(volume, letters);
}

}  // namespace vitals::inline v0::io
