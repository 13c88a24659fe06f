// Which training images few_shot takes, shared by its methods.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <vitals/data/dataset.hpp>

#include "command_line.hpp"

namespace support {

/// --shots, --selection, --repeats.
struct ShotOptions {
  explicit ShotOptions(CommandLine& line);
  ShotOptions(const ShotOptions&) = delete;

  std::vector<std::string> shots{"1", "2", "4", "8", "16", "all"};
  std::string selection = "per-class";
  std::size_t repeats = 3;

  /// The images of one draw. Throws UsageError (neither a number nor `all`), vitals::DataError (no image fits, or too few).
  std::vector<std::size_t> items(const vitals::data::Dataset& set, const std::string& shots, std::uint64_t seed) const;
  /// How many draws: one where neither the images nor the training depend on the seed.
  std::size_t draws(const std::string& shots, bool trains_by_seed) const;
  /// What the axis of the plot counts.
  const char* unit() const;
};

}  // namespace support
