// How far the surfaces of two masks lie apart, in millimetres: Hausdorff distance, its 95th percentile, average surface
// distances. The surface of a mask are its edge voxels: those with a face neighbour outside the mask (6 neighbours; 4 in
// a plane); beyond the border of the image counts as outside. Distances are between voxel centres.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <vitals/core/config.hpp>
#include <vitals/core/parallel.hpp>
#include <vitals/core/tensor.hpp>
#include <vitals/metrics/score.hpp>

namespace vitals::inline v0::metrics {

/// Distances in the unit of the spacing. Of an empty mask there are none: "the prediction is empty", "the reference is
/// empty", "both masks are empty".
struct SurfaceDistances {
  Score hausdorff = Score::none("not computed");  ///< the largest distance of an edge voxel to the other surface
  Score hd95 = Score::none("not computed");  ///< the larger of the two 95th percentiles, one direction each (as MONAI)
  Score hd95_pooled = Score::none("not computed");  ///< the 95th percentile of both directions together (as others)
  Score asd =
      Score::none("not computed");  ///< mean distance of the prediction's edge voxels to the reference's surface
  Score assd = Score::none("not computed");  ///< mean of both directions together (average symmetric surface distance)
  std::size_t prediction_edge = 0, reference_edge = 0;  ///< edge voxels
};

/// Of the voxels that hold `label` in prediction and reference, both (X, Y, Z). spacing: mm between neighbours along each
/// axis. Along an axis of one voxel there are no neighbours: (1, H, W) is a picture. Percentiles interpolate linearly.
/// Linear in the size of the box around both masks. Throws ShapeError, ArgumentError (spacing).
SurfaceDistances surface_distances(TensorView<const std::uint8_t, dyn, dyn, dyn> prediction,
                                   TensorView<const std::uint8_t, dyn, dyn, dyn> reference, std::uint8_t label,
                                   const std::array<double, 3>& spacing, Executor* executor = nullptr);

}  // namespace vitals::inline v0::metrics

#if VITALS_HEADER_ONLY
#include <vitals/metrics/surface.ipp>
#endif
