// All benchmarks with masks, by name.
#pragma once

#include <string_view>
#include <vector>

#include <vitals/core/config.hpp>
#include <vitals/data/datasets/benchmark.hpp>

namespace vitals::inline v0::data {

/// montgomery, shenzhen, amos, btcv, msd_heart, msd_hippocampus, msd_spleen.
std::vector<const SegmentationBenchmark*> segmentation_benchmarks();
/// The one of this name. Throws ArgumentError, which lists the names.
const SegmentationBenchmark& segmentation_benchmark(std::string_view name);

}  // namespace vitals::inline v0::data

#if VITALS_HEADER_ONLY
#include <vitals/data/datasets/segmentation_benchmarks.ipp>
#endif
