// Implementation of benchmark.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <set>
#include <system_error>
#include <utility>

#include <vitals/core/error.hpp>
#include <vitals/data/datasets/benchmark.hpp>

namespace vitals::inline v0::data {

namespace detail {

VITALS_INLINE std::vector<std::string> sorted_files(const std::filesystem::path& root, const std::string& folder,
                                                    std::string_view suffix, Census& census) {
  std::vector<std::string> names;
  std::error_code error;
  std::filesystem::directory_iterator at(root / folder, error);
  if (error) {
    census.missing.push_back(folder + "/ (the folder)");
    return names;
  }
  for (const auto& entry : at) {
    auto name = entry.path().filename().string();
    if (name.starts_with(".") || !name.ends_with(suffix) || !entry.is_regular_file(error)) continue;
    names.push_back(std::move(name));
  }
  std::sort(names.begin(), names.end());
  return names;
}

VITALS_INLINE std::vector<SegmentationItem> pair_files(const std::filesystem::path& root, const std::string& images,
                                                       const std::string& masks, std::string_view suffix,
                                                       Census& census,
                                                       std::string (*mask_name)(const std::string& image)) {
  const auto image_files = sorted_files(root, images, suffix, census),
             mask_files = sorted_files(root, masks, suffix, census);
  std::set<std::string> unclaimed(mask_files.begin(), mask_files.end());
  std::vector<SegmentationItem> items;
  census.images += image_files.size();
  for (const auto& image : image_files) {
    const std::string mask = mask_name ? mask_name(image) : image;
    if (!unclaimed.erase(mask)) {
      census.missing.push_back(masks + "/" + mask);
      continue;
    }
    SegmentationItem item;
    item.path = images + "/" + image;
    item.mask = masks + "/" + mask;
    item.patient = image.substr(0, image.size() - suffix.size());
    items.push_back(std::move(item));
  }
  for (const auto& mask : unclaimed) census.missing.push_back("the image of " + masks + "/" + mask);
  census.found += items.size();
  return items;
}

// A rule for `expected` items on n of them: counts in proportion.
inline SplitRule scaled_rule(SplitRule rule, std::size_t expected, std::size_t n) {
  std::size_t left = n;
  for (auto& step : rule.steps) {
    if (step.count == 0 || n == expected) continue;
    const auto share =
        std::lround(static_cast<double>(step.count) * static_cast<double>(n) / static_cast<double>(expected));
    step.count = std::clamp<std::size_t>(static_cast<std::size_t>(share), left ? 1 : 0, left);
    left -= step.count;
    if (step.count == 0) step.every = INFINITY;
  }
  std::erase_if(rule.steps, [](const SplitStep& step) { return std::isinf(step.every); });
  return rule;
}

}  // namespace detail

VITALS_INLINE std::vector<SegmentationItem> listed(const SegmentationBenchmark& benchmark,
                                                   const std::filesystem::path& root, Census& census) {
  std::error_code error;
  if (!std::filesystem::is_directory(root, error))
    throw IoError("no such folder", root.string(),
                  "give the folder " + std::string(benchmark.folder) + " of the archive");
  census.name = benchmark.name;
  census.expected = benchmark.expected;
  auto items = benchmark.list(root, census);
  const auto parts =
      split_indices(detail::scaled_rule(benchmark.split, benchmark.expected, items.size()), items.size());
  for (std::size_t i : parts.val) items[i].split = Split::val;
  for (std::size_t i : parts.test) items[i].split = Split::test;
  census.train = parts.train.size();
  census.val = parts.val.size();
  census.test = parts.test.size();
  census.unused = parts.unused.size();
  std::vector<SegmentationItem> used;
  for (std::size_t i = 0; i < items.size(); ++i)
    if (!std::binary_search(parts.unused.begin(), parts.unused.end(), i)) used.push_back(std::move(items[i]));
  return used;
}

VITALS_INLINE std::string Census::text() const {
  std::string out = name + ": " + std::to_string(found) + " of " + std::to_string(expected) +
                    " images with masks; train " + std::to_string(train) + ", val " + std::to_string(val) + ", test " +
                    std::to_string(test) + (unused ? ", not used " + std::to_string(unused) : "") + "\n";
  for (std::size_t i = 0; i < missing.size() && i < 10; ++i) out += "missing: " + missing[i] + "\n";
  if (missing.size() > 10) out += "missing: " + std::to_string(missing.size() - 10) + " more\n";
  return out;
}

VITALS_INLINE Census census(const SegmentationBenchmark& benchmark, const std::filesystem::path& root) {
  Census counted;
  listed(benchmark, root, counted);
  return counted;
}

VITALS_INLINE SegmentationDataset open(const SegmentationBenchmark& benchmark, const std::filesystem::path& root,
                                       SegmentationManifestOptions options, bool allow_incomplete) {
  Census counted;
  auto items = listed(benchmark, root, counted);
  if (items.empty() || (!counted.complete() && !allow_incomplete)) {
    const std::string first =
        counted.missing.empty()
            ? ""
            : "; missing: " + counted.missing.front() +
                  (counted.missing.size() > 1 ? " and " + std::to_string(counted.missing.size() - 1) + " more" : "");
    throw DataError(std::to_string(counted.found) + " of the " + std::to_string(benchmark.expected) +
                        " images with masks of " + std::string(benchmark.name) + first,
                    root.string(),
                    items.empty() ? "give the folder " + std::string(benchmark.folder) + " of the archive"
                                  : "complete it, or allow it to be incomplete (--allow-incomplete)");
  }
  options.mask_values = benchmark.mask_values;
  options.classes = benchmark.classes;
  options.intensity = benchmark.intensity;
  options.axis = 2;
  return make_segmentation_dataset(root, root, std::move(items), options);
}

}  // namespace vitals::inline v0::data
