// AMOS22 (Ji et al., arXiv 2206.08023): fifteen abdominal organs. The study takes the 300 CTs that have masks, from
// root/imagesTr and root/imagesVa with labelsTr and labelsVa; numbers above 500 are MRI and are left out.
#pragma once

#include <algorithm>
#include <cstdlib>

#include <vitals/core/config.hpp>
#include <vitals/data/datasets/benchmark.hpp>

namespace vitals::inline v0::data {

namespace detail {

inline std::vector<SegmentationItem> amos_pairs(const std::filesystem::path& root, Census& census) {
  std::vector<SegmentationItem> items;
  for (const char* part : {"Tr", "Va"})
    for (auto& item : pair_files(root, std::string("images") + part, std::string("labels") + part, ".nii.gz", census)) {
      const bool mri = item.patient.size() > 5 && std::atoi(item.patient.c_str() + 5) > 500;  // amos_0507
      if (mri)
        --census.found, --census.images;
      else
        items.push_back(std::move(item));
    }
  std::sort(items.begin(), items.end(), [](const auto& a, const auto& b) { return a.patient < b.patient; });
  return items;
}

}  // namespace detail

/// 80 volumes train, 20 val, 50 test, 150 are not used.
inline const SegmentationBenchmark& amos() {
  static const SegmentationBenchmark benchmark{
      "amos",
      "amos22",
      300,
      {"background", "spleen", "right kidney", "left kidney", "gall bladder", "esophagus", "liver", "stomach", "aorta",
       "postcava", "pancreas", "right adrenal gland", "left adrenal gland", "duodenum", "bladder",
       "prostate or uterus"},
      {},
      {Intensity::Rule::range, -1024, 600},
      study_split_rule("amos"),
      "the study's",
      "CC BY 4.0, Zenodo 7262581",
      detail::amos_pairs};
  return benchmark;
}

}  // namespace vitals::inline v0::data
