// A whole labelled data set of drawn chest films (phantom.hpp) in the form the programs read: PNG files and a manifest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>

#include <vitals/core/config.hpp>
#include <vitals/core/parallel.hpp>
#include <vitals/core/progress.hpp>

namespace vitals::inline v0::phantom {

/// How many films; each patient has one to three of them, all in the same split.
struct DatasetSizes {
  std::size_t train = 0, val = 0, test = 0;
};

struct DatasetOptions {
  std::uint64_t seed = 0;
  std::size_t side = 256;  ///< pixels, square films
  Progress progress = {};
  Executor* executor = nullptr;  ///< nullptr: default_pool()
};

/// Draws the films into `folder`/films/pPATIENT_FILM.png and then writes `folder`/manifest.csv
/// (path,label,split,patient; labels "healthy", "nodule" or "effusion", a third of the patients each). The manifest
/// comes last, so a folder that has one is whole; the same arguments give the same bytes. Returns the manifest's path.
/// Throws ArgumentError (no films at all, a side out of range), IoError.
std::filesystem::path write_dataset(const std::filesystem::path& folder, DatasetSizes sizes,
                                    const DatasetOptions& options = {});

}  // namespace vitals::inline v0::phantom

#if VITALS_HEADER_ONLY
#include <vitals/data/phantom_dataset.ipp>
#endif
