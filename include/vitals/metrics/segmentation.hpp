// The metrics of a segmentation: each case (a volume, a picture) at its own resolution and in millimetres, and what a test
// set gives: means over its cases, counts over all its voxels, the study's two; with bootstrap intervals over patients.
//
//   std::vector<vt::metrics::CaseMetrics> cases;
//   cases.push_back(vt::metrics::case_metrics(prediction, reference, 3, volume.spacing()));
//   for (const auto& s : vt::metrics::evaluate_segmentation(cases)) ...   // "per volume" "dice" 0.87
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <vitals/core/config.hpp>
#include <vitals/core/parallel.hpp>
#include <vitals/core/tensor.hpp>
#include <vitals/metrics/bootstrap.hpp>
#include <vitals/metrics/overlap.hpp>
#include <vitals/metrics/score.hpp>
#include <vitals/metrics/surface.hpp>

namespace vitals::inline v0::metrics {

/// One case.
struct CaseMetrics {
  Confusion counts{1};
  std::vector<SurfaceDistances> surfaces;  ///< of the classes 1 .. K - 1; empty: not measured
};

/// Labels (X, Y, Z) below `classes`, spacing in mm; a picture is (1, H, W). `surfaces` false: counts alone. Throws what
/// label_counts() and surface_distances() throw.
CaseMetrics case_metrics(TensorView<const std::uint8_t, dyn, dyn, dyn> prediction,
                         TensorView<const std::uint8_t, dyn, dyn, dyn> reference, std::size_t classes,
                         const std::array<double, 3>& spacing, bool surfaces = true, Executor* executor = nullptr);

/// The names of a case's metrics: dice, jaccard, volumetric_similarity, hd95, hd95_pooled, hausdorff, asd, assd.
std::span<const char* const> case_metric_names();
/// Metric `metric` (an index into case_metric_names()) of class k, 1 <= k < K. The policy for empty masks decides where
/// both are empty and the metric is an overlap; a distance is undefined where one of them is.
Score case_value(const CaseMetrics& of, std::size_t metric, std::size_t k, EmptyMask empty);

/// One metric of a set of cases.
struct SegmentationScore {
  std::string name;    ///< "per volume", "global", "study"
  std::string metric;  ///< "dice" ...
  PerClass value;      ///< classes 1 .. K - 1 and their mean; per volume: of each class the mean over its defined cases
  std::optional<Interval> ci95;
  std::vector<std::optional<Interval>> per_class_ci95;  ///< (K - 1), or empty without intervals
  std::vector<std::size_t> skipped;  ///< (K - 1): cases where the class is undefined and which are out of its mean
};

struct SegmentationOptions {
  EmptyMask empty = EmptyMask::skip;  ///< for the means over cases
  std::size_t bootstrap = 1000;       ///< resamples of cases, or of patients; 0: no intervals
  std::uint64_t seed = 0;
  std::vector<std::size_t> groups = {};  ///< empty, or a number for each case: its patient
  bool surfaces = true;                  ///< false: no distances among the results
  Executor* executor = nullptr;
};

/// All metrics of a set of cases, in this order:
/// "per volume": every metric of case_metric_names(), the mean over cases of each class, then over classes;
/// "global": dice and jaccard of the counts of all cases together, each voxel alike;
/// "study": dice and jaccard as the radiology study counts them (jaccard_study(); its Dice is the global one).
/// The mean of a resample is over the classes that are defined in the whole set; it is undefined, and left out of the
/// interval, where one of them is in the resample. Throws DataError (no cases), ShapeError (other numbers of classes).
std::vector<SegmentationScore> evaluate_segmentation(std::span<const CaseMetrics> cases,
                                                     const SegmentationOptions& options = {});

}  // namespace vitals::inline v0::metrics

#if VITALS_HEADER_ONLY
#include <vitals/metrics/segmentation.ipp>
#endif
