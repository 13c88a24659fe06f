// The benchmarks of the radiology study (arXiv 2312.02366) as data sets: where the files of an official archive lie, which
// image goes into which split, how intensities enter. One file a benchmark beside this one; here is what they share.
//
//   const auto& heart = vt::data::msd_heart();
//   const auto words = vt::data::census(heart, "Task02_Heart").text();  // what is there and what is missing
//   auto data = vt::data::open(heart, "Task02_Heart", {.volumes = &vt::data::nifti()});
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <vitals/core/config.hpp>
#include <vitals/data/segmentation_dataset.hpp>
#include <vitals/data/splits.hpp>

namespace vitals::inline v0::data {

/// What lies in a folder, against what the archive holds.
struct Census {
  std::string name;
  std::size_t expected = 0;           ///< images with masks in the official archive
  std::size_t images = 0, found = 0;  ///< images there, and those of them with a mask
  std::size_t train = 0, val = 0, test = 0, unused = 0;
  std::vector<std::string> missing;  ///< folders that are not there; images without a mask, masks without an image

  bool complete() const { return found == expected && missing.empty(); }
  /// A few lines for people: counts, then what is missing, the first ten.
  std::string text() const;
};

/// Pairs of image and mask in the order that the split rule numbers them, and what is missing. `Census` gets its images,
/// found and missing.
using ListPairs = std::vector<SegmentationItem> (*)(const std::filesystem::path& root, Census& census);

struct SegmentationBenchmark {
  std::string_view name;    ///< "msd_heart": what programs call it
  std::string_view folder;  ///< "Task02_Heart": what `root` is, as the archive names it
  std::size_t expected = 0;
  std::vector<std::string> classes;  ///< background first
  std::vector<int> mask_values;      ///< empty: the class number
  Intensity intensity;
  SplitRule split;
  std::string_view split_origin;  ///< whose rule it is
  std::string_view licence;       ///< and where the archive comes from
  ListPairs list = nullptr;
};

/// Counts what is there. Throws IoError where `root` is no folder.
Census census(const SegmentationBenchmark& benchmark, const std::filesystem::path& root);

/// The items in their splits, those that no split uses left out; fills the census. Throws as census().
std::vector<SegmentationItem> listed(const SegmentationBenchmark& benchmark, const std::filesystem::path& root,
                                     Census& census);

/// The data set with the benchmark's classes, mask values, intensity rule and splits; axis 2. Of `options` the rest is taken:
/// volumes, kept_bytes, check_masks, progress, executor. Throws DataError where the archive is not complete, with the census'
/// words; with `allow_incomplete` what is there is split in the same proportions, and DataError only where nothing is.
SegmentationDataset open(const SegmentationBenchmark& benchmark, const std::filesystem::path& root,
                         SegmentationManifestOptions options = {}, bool allow_incomplete = false);

namespace detail {

/// Names of the files of a folder that end in `suffix`, sorted as bytes, hidden ones left out; where the folder is missing the
/// census says so.
std::vector<std::string> sorted_files(const std::filesystem::path& root, const std::string& folder,
                                      std::string_view suffix, Census& census);
/// Images of `images` with the file of the name `mask_name(image)` in `masks`, paths relative to root.
std::vector<SegmentationItem> pair_files(const std::filesystem::path& root, const std::string& images,
                                         const std::string& masks, std::string_view suffix, Census& census,
                                         std::string (*mask_name)(const std::string& image) = nullptr);

}  // namespace detail

}  // namespace vitals::inline v0::data

#if VITALS_HEADER_ONLY
#include <vitals/data/datasets/benchmark.ipp>
#endif
