// Implementation of segmentation_benchmarks.hpp.
#pragma once

#include <string>

#include <vitals/core/error.hpp>
#include <vitals/data/datasets/amos.hpp>
#include <vitals/data/datasets/btcv.hpp>
#include <vitals/data/datasets/montgomery.hpp>
#include <vitals/data/datasets/msd.hpp>
#include <vitals/data/datasets/segmentation_benchmarks.hpp>
#include <vitals/data/datasets/shenzhen.hpp>

namespace vitals::inline v0::data {

VITALS_INLINE std::vector<const SegmentationBenchmark*> segmentation_benchmarks() {
  return {&montgomery(), &shenzhen(), &amos(), &btcv(), &msd_heart(), &msd_hippocampus(), &msd_spleen()};
}

VITALS_INLINE const SegmentationBenchmark& segmentation_benchmark(std::string_view name) {
  std::string names;
  for (const auto* benchmark : segmentation_benchmarks()) {
    if (benchmark->name == name) return *benchmark;
    names += (names.empty() ? "" : ", ") + std::string(benchmark->name);
  }
  throw ArgumentError("no benchmark \"" + std::string(name) + "\"", "", "there are " + names);
}

}  // namespace vitals::inline v0::data
