// `metrics segmentation`: masks of two folders, paired by name, and what they give.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include <vitals/metrics/segmentation.hpp>
#include <vitals/report/result.hpp>

#include "command_line.hpp"

namespace support {

struct LabelFiles {
  std::filesystem::path predictions, references, patients;
  std::size_t classes = 0;
  std::vector<std::size_t> mask_values;
  std::string empty = "skip";
  bool quiet = false;

  void add_options(CommandLine& line);
  /// The report, without its memory. Throws DataError (names that have no partner, sizes or grids that differ, values that are no
  /// class; each names its file), UsageError.
  vitals::report::Report measured(vitals::metrics::SegmentationOptions options) const;
};

}  // namespace support
