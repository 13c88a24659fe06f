// A comparison of ways of training: each way and seed is a process of its own (fine_tune, or knn), so that its time and its
// peak of memory are its own; their predictions are then scored together, on the same resamples of the test images.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <vitals/data/dataset.hpp>
#include <vitals/report/result.hpp>

namespace support {

/// One line of the comparison: METHOD[:OPTIMIZER[:RATE[:HEAD_RATE]]] or knn[:K].
struct Way {
  std::string text, program;
  std::vector<std::string> arguments;  ///< of the program, without those that all share
  std::vector<std::size_t> seeds;      ///< one where nothing is random
};
/// Throws UsageError.
Way way_of(const std::string& text, const std::vector<std::size_t>& seeds);

/// What came of one way.
struct WayResult {
  std::string name;                   ///< "lora adamw lr=0.001 head_lr=0.001"
  vitals::report::Result auroc;       ///< mean over seeds, their deviation, the interval over test images
  vitals::report::Result difference;  ///< to the first way, over the same resamples
  std::size_t trainable = 0;          ///< numbers of the backbone and the head
  std::optional<double> seconds_per_step;
  double peak_memory_mib = 0;
};

/// A manifest of the images that every way sees: `images` evenly spaced ones of train (0: all), those of val if asked for, those
/// of test; with absolute paths. Throws what few_shot_study and writing throw.
void write_manifest(const std::filesystem::path& file, const vitals::data::Dataset& data, std::size_t images, bool val);

/// Runs a program that stands beside this one; what it says on stderr is seen, its results are in its report. A run that the
/// folder holds already, by the same command, is not made again. Gives the report's file, P.csv beside it.
/// Throws vitals::Error naming the way where the program fails.
std::filesystem::path run_way(const Way& way, std::size_t seed, const std::vector<std::string>& shared,
                              const std::filesystem::path& folder);

/// Reads what the runs left, in the order of the ways. `reports[w][s]`: of way w and its s-th seed.
std::vector<WayResult> score_ways(const std::vector<Way>& ways,
                                  const std::vector<std::vector<std::filesystem::path>>& reports,
                                  const vitals::data::Dataset& data, std::size_t bootstrap, std::size_t seed);

/// What a report says of a way: its scores, the difference, what it cost.
std::vector<vitals::report::Result> rows_of(const WayResult& result);

/// The study's table, as Markdown.
std::string comparison_table(const std::vector<WayResult>& results);

}  // namespace support
