// P.csv: the scores of a classifier on images, for anybody's metrics. `path,target:CLASS...,score:CLASS...`, one row an
// image; targets 0 or 1, scores with 9 significant digits.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <vitals/core/config.hpp>
#include <vitals/core/tensor.hpp>

namespace vitals::inline v0::report {

struct Predictions {
  std::vector<std::string> paths;          ///< n
  std::vector<std::string> classes;        ///< K
  Tensor<std::uint8_t, dyn, dyn> targets;  ///< (n, K)
  Tensor<double, dyn, dyn> scores;         ///< (n, K)
};

/// A score as P.csv holds it: rounded to 9 significant digits. Programs score what they write, so that metrics of the
/// file are those of the report, and scores that differ by rounding noise alone are ties.
double as_written(double score);
/// Writes the file atomically. Throws IoError, ShapeError (sizes that do not fit each other).
void write_predictions(const std::filesystem::path& file, const Predictions& predictions);
/// Reads such a file; the columns may stand in any order and others are ignored. Throws IoError, FormatError (no class, a
/// class without target or score, a target other than 0 and 1, what is no number: with the row and column).
Predictions read_predictions(const std::filesystem::path& file);

}  // namespace vitals::inline v0::report

#if VITALS_HEADER_ONLY
#include <vitals/report/predictions.ipp>
#endif
