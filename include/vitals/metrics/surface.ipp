// Implementation of surface.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <vitals/core/error.hpp>
#include <vitals/metrics/bootstrap.hpp>
#include <vitals/metrics/distance_transform.hpp>
#include <vitals/metrics/surface.hpp>

namespace vitals::inline v0::metrics {

namespace detail {

using Labels = TensorView<const std::uint8_t, dyn, dyn, dyn>;

// First and last voxel along each axis of what holds a label.
struct LabelBox {
  std::array<std::size_t, 3> low{SIZE_MAX, SIZE_MAX, SIZE_MAX}, high{};
  bool empty() const { return low[0] == SIZE_MAX; }
  void add(std::size_t axis, std::size_t first, std::size_t last) {
    low[axis] = std::min(low[axis], first);
    high[axis] = std::max(high[axis], last);
  }
  LabelBox with(const LabelBox& other) const {
    LabelBox both;
    for (std::size_t a = 0; a < 3; ++a) {
      both.low[a] = std::min(low[a], other.low[a]);
      both.high[a] = std::max(high[a], other.high[a]);
    }
    return both;
  }
};

inline LabelBox label_box(Labels labels, std::uint8_t label) {
  LabelBox box;
  const std::size_t nz = labels.extent(2);
  for (std::size_t x = 0; x < labels.extent(0); ++x)
    for (std::size_t y = 0; y < labels.extent(1); ++y) {
      const std::uint8_t* row = labels.data() + (x * labels.extent(1) + y) * nz;
      const auto* first = std::find(row, row + nz, label);
      if (first == row + nz) continue;
      const std::uint8_t* last = row + nz - 1;
      while (*last != label) --last;
      box.add(0, x, x);
      box.add(1, y, y);
      box.add(2, static_cast<std::size_t>(first - row), static_cast<std::size_t>(last - row));
    }
  return box;
}

// 1 at the edge voxels, in the box alone, and their flat places there, ascending.
struct LabelEdge {
  Tensor<std::uint8_t, dyn, dyn, dyn> marked;
  std::vector<std::size_t> places;
};

inline LabelEdge label_edge(Labels labels, std::uint8_t label, const LabelBox& box) {
  const std::array<std::size_t, 3> n = labels.shape();
  const std::array<std::size_t, 3> strides{n[1] * n[2], n[2], 1};
  LabelEdge edge{Tensor<std::uint8_t, dyn, dyn, dyn>(
                     {box.high[0] - box.low[0] + 1, box.high[1] - box.low[1] + 1, box.high[2] - box.low[2] + 1}),
                 {}};
  std::size_t place = 0;
  for (std::size_t x = box.low[0]; x <= box.high[0]; ++x)
    for (std::size_t y = box.low[1]; y <= box.high[1]; ++y)
      for (std::size_t z = box.low[2]; z <= box.high[2]; ++z, ++place) {
        const std::uint8_t* at = labels.data() + x * strides[0] + y * strides[1] + z;
        if (*at != label) continue;
        const std::array<std::size_t, 3> i{x, y, z};
        bool inside = true;
        for (std::size_t a = 0; inside && a < 3; ++a)
          inside =
              n[a] == 1 || (i[a] > 0 && i[a] + 1 < n[a] && *(at - strides[a]) == label && *(at + strides[a]) == label);
        if (inside) continue;
        edge.marked.data()[place] = 1;
        edge.places.push_back(place);
      }
  return edge;
}

// Distances of the voxels at `places` to the marked ones, ascending.
inline std::vector<double> edge_distances(const LabelEdge& from, const LabelEdge& to,
                                          const std::array<double, 3>& spacing, Executor* executor) {
  const auto squares = squared_distances(to.marked, spacing, executor);
  std::vector<double> distances;
  distances.reserve(from.places.size());
  for (std::size_t place : from.places) distances.push_back(std::sqrt(squares.data()[place]));
  std::sort(distances.begin(), distances.end());
  return distances;
}

}  // namespace detail

VITALS_INLINE SurfaceDistances surface_distances(TensorView<const std::uint8_t, dyn, dyn, dyn> prediction,
                                                 TensorView<const std::uint8_t, dyn, dyn, dyn> reference,
                                                 std::uint8_t label, const std::array<double, 3>& spacing,
                                                 Executor* executor) {
  if (prediction.shape() != reference.shape())
    throw ShapeError("[surface_distances] prediction " + to_string(prediction.shape()) + " and reference " +
                     to_string(reference.shape()));
  for (double mm : spacing)
    if (!(mm > 0 && std::isfinite(mm)))
      throw ArgumentError("[surface_distances] a spacing of " + std::to_string(mm), "", "it must be above 0");
  SurfaceDistances result;
  const auto predicted = detail::label_box(prediction, label), referenced = detail::label_box(reference, label);
  if (predicted.empty() || referenced.empty()) {
    const char* why = !referenced.empty()  ? "the prediction is empty"
                      : !predicted.empty() ? "the reference is empty"
                                           : "both masks are empty";
    for (auto* score : {&result.hausdorff, &result.hd95, &result.hd95_pooled, &result.asd, &result.assd})
      *score = Score::none(why);
    return result;
  }
  const auto box = predicted.with(referenced);
  const auto of_prediction = detail::label_edge(prediction, label, box),
             of_reference = detail::label_edge(reference, label, box);
  result.prediction_edge = of_prediction.places.size();
  result.reference_edge = of_reference.places.size();
  auto there = detail::edge_distances(of_prediction, of_reference, spacing, executor);
  const auto back = detail::edge_distances(of_reference, of_prediction, spacing, executor);
  const double sum_there = std::accumulate(there.begin(), there.end(), 0.0),
               sum_back = std::accumulate(back.begin(), back.end(), 0.0);
  result.hausdorff = std::max(there.back(), back.back());
  result.hd95 = std::max(sorted_quantile(there, 0.95), sorted_quantile(back, 0.95));
  result.asd = sum_there / static_cast<double>(there.size());
  result.assd = (sum_there + sum_back) / static_cast<double>(there.size() + back.size());
  const auto middle = static_cast<std::ptrdiff_t>(there.size());
  there.insert(there.end(), back.begin(), back.end());
  std::inplace_merge(there.begin(), there.begin() + middle, there.end());
  result.hd95_pooled = sorted_quantile(there, 0.95);
  return result;
}

}  // namespace vitals::inline v0::metrics
