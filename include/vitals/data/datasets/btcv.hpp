// BTCV (Synapse syn3193805, "Beyond the Cranial Vault"): thirteen abdominal organs in 30 CTs with masks,
// root/img/imgNNNN.nii.gz with root/label/labelNNNN.nii.gz (RawData/Training of the archive).
#pragma once

#include <algorithm>

#include <vitals/core/config.hpp>
#include <vitals/data/datasets/benchmark.hpp>

namespace vitals::inline v0::data {

namespace detail {

inline std::vector<SegmentationItem> btcv_pairs(const std::filesystem::path& root, Census& census) {
  return pair_files(root, "img", "label", ".nii.gz", census, [](const std::string& image) {
    return "label" + image.substr(std::min(image.size(), image.find_first_of("0123456789")));
  });
}

}  // namespace detail

/// The study trains on the odd scans of the sorted names and validates on the even ones; the masks of its test are not public.
/// Here the even ones test, and every fifth of the odd ones is val.
inline const SegmentationBenchmark& btcv() {
  static const SegmentationBenchmark benchmark{
      "btcv",
      "Training",
      30,
      {"background", "spleen", "right kidney", "left kidney", "gall bladder", "esophagus", "liver", "stomach", "aorta",
       "inferior vena cava", "portal and splenic veins", "pancreas", "right adrenal gland", "left adrenal gland"},
      {},
      {Intensity::Rule::range, -1024, 600},
      {"btcv", {{Split::test, 2, 0}, {Split::val, 5, 0}}},
      "after the study's",
      "after registration, synapse.org",
      detail::btcv_pairs};
  return benchmark;
}

}  // namespace vitals::inline v0::data
