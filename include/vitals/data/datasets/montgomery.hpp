// Montgomery County chest X-rays (Jaeger et al., 2014): root/CXR_png/NAME.png with root/ManualMask/leftMask/NAME.png and
// rightMask; class 1 is the left lung, class 2 the right one.
#pragma once

#include <algorithm>

#include <vitals/core/config.hpp>
#include <vitals/data/datasets/benchmark.hpp>

namespace vitals::inline v0::data {

namespace detail {

inline std::vector<SegmentationItem> montgomery_pairs(const std::filesystem::path& root, Census& census) {
  auto items = pair_files(root, "CXR_png", "ManualMask/leftMask", ".png", census);
  const auto right = sorted_files(root, "ManualMask/rightMask", ".png", census);
  std::erase_if(items, [&](SegmentationItem& item) {
    const std::string name = item.patient + ".png";
    item.mask += "|ManualMask/rightMask/" + name;
    if (std::binary_search(right.begin(), right.end(), name)) return false;
    census.missing.push_back("ManualMask/rightMask/" + name);
    --census.found;
    return true;
  });
  return items;
}

}  // namespace detail

inline const SegmentationBenchmark& montgomery() {
  static const SegmentationBenchmark benchmark{"montgomery",
                                               "MontgomerySet",
                                               138,
                                               {"background", "left lung", "right lung"},
                                               {},
                                               {},
                                               study_split_rule("montgomery"),
                                               "the study's",
                                               "free for research with attribution, National Library of Medicine",
                                               detail::montgomery_pairs};
  return benchmark;
}

}  // namespace vitals::inline v0::data
