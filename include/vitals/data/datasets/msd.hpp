// Medical Segmentation Decathlon (Simpson et al., arXiv 1902.09063), three of its tasks: root/imagesTr/NAME.nii.gz with
// root/labelsTr/NAME.nii.gz. Each slice is clipped to its 5th and 95th percentile, the CT of the spleen too, as in the study.
#pragma once

#include <vitals/core/config.hpp>
#include <vitals/data/datasets/benchmark.hpp>

namespace vitals::inline v0::data {

namespace detail {

inline std::vector<SegmentationItem> msd_pairs(const std::filesystem::path& root, Census& census) {
  return pair_files(root, "imagesTr", "labelsTr", ".nii.gz", census);
}

inline SegmentationBenchmark msd_task(std::string_view name, std::string_view folder, std::size_t expected,
                                      std::vector<std::string> classes, SplitRule split, std::string_view origin) {
  return {name,
          folder,
          expected,
          std::move(classes),
          {},
          {Intensity::Rule::p5p95, 0, 0},
          std::move(split),
          origin,
          "CC BY-SA 4.0, medicaldecathlon.com",
          msd_pairs};
}

}  // namespace detail

/// Left atrium in MRI, 20 volumes. The study's code has no rule for it; every fifth of the sorted names tests, then every
/// fourth of the rest is val, which gives slice counts near the study's (482 and 450 of 2,271).
inline const SegmentationBenchmark& msd_heart() {
  static const auto task = detail::msd_task("msd_heart", "Task02_Heart", 20, {"background", "left atrium"},
                                            {"msd_heart", {{Split::test, 0, 4}, {Split::val, 0, 4}}}, "ours");
  return task;
}

/// Front and back of the hippocampus in MRI, 260 volumes.
inline const SegmentationBenchmark& msd_hippocampus() {
  static const auto task =
      detail::msd_task("msd_hippocampus", "Task04_Hippocampus", 260, {"background", "anterior", "posterior"},
                       study_split_rule("msd_hippocampus"), "the study's");
  return task;
}

/// Spleen in CT, 41 volumes.
inline const SegmentationBenchmark& msd_spleen() {
  static const auto task = detail::msd_task("msd_spleen", "Task09_Spleen", 41, {"background", "spleen"},
                                            study_split_rule("msd_spleen"), "the study's");
  return task;
}

}  // namespace vitals::inline v0::data
