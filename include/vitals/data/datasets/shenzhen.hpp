// Shenzhen chest X-rays (Jaeger et al., 2014), the 566 that have masks (Stirenko et al., 2018): root/CXR_png/NAME.png with
// root/mask/NAME_mask.png, where 255 is lung.
#pragma once

#include <vitals/core/config.hpp>
#include <vitals/data/datasets/benchmark.hpp>

namespace vitals::inline v0::data {

namespace detail {

inline std::vector<SegmentationItem> shenzhen_pairs(const std::filesystem::path& root, Census& census) {
  Census own;  // 96 of the 662 images have no mask, and are not missing one
  auto items = pair_files(root, "CXR_png", "mask", ".png", own,
                          [](const std::string& image) { return image.substr(0, image.size() - 4) + "_mask.png"; });
  census.images = own.images;
  census.found = own.found;
  for (const auto& what : own.missing)
    if (what.starts_with("the image of ") || what.ends_with("(the folder)")) census.missing.push_back(what);
  return items;
}

}  // namespace detail

inline const SegmentationBenchmark& shenzhen() {
  static const SegmentationBenchmark benchmark{
      "shenzhen",
      "ChinaSet_AllFiles",
      566,
      {"background", "lung"},
      {0, 255},
      {},
      study_split_rule("shenzhen"),
      "the study's",
      "free for research with attribution, National Library of Medicine; masks: Kaggle",
      detail::shenzhen_pairs};
  return benchmark;
}

}  // namespace vitals::inline v0::data
