// The exact Euclidean distance of every voxel to the nearest of marked voxels, in linear time: one axis after the other,
// each line of squared distances replaced by the lower envelope of the parabolas that stand on its voxels (Felzenszwalb
// and Huttenlocher, "Distance transforms of sampled functions", Theory of Computing 8, 2012; for the spacing of voxels see
// Maurer et al., PAMI 25, 2003).
#pragma once

#include <array>
#include <cstdint>

#include <vitals/core/config.hpp>
#include <vitals/core/parallel.hpp>
#include <vitals/core/tensor.hpp>

namespace vitals::inline v0::metrics {

/// Squared distances (X, Y, Z) between voxel centres, to the nearest voxel with marked != 0; infinite where none is
/// marked. spacing: distance of neighbours along each axis, above 0. In double, exact to its rounding. The same bits for
/// any number of threads. Throws ShapeError for an empty volume, ArgumentError for a spacing that is not above 0.
Tensor<double, dyn, dyn, dyn> squared_distances(TensorView<const std::uint8_t, dyn, dyn, dyn> marked,
                                                const std::array<double, 3>& spacing, Executor* executor = nullptr);

}  // namespace vitals::inline v0::metrics

#if VITALS_HEADER_ONLY
#include <vitals/metrics/distance_transform.ipp>
#endif
