// The record of a run: what was asked, what came out, under which conditions. Written as JSON (schema: the R.json of
// the example programs) and as a table for people.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <vitals/core/config.hpp>
#include <vitals/metrics/score.hpp>

namespace vitals::inline v0::report {

/// One metric of one method on one split.
struct Result {
  std::string name;    ///< "mlknn k=10", "linear blocks=4 avgpool=1 lr=0.01"
  std::string split;   ///< "test"
  std::string metric;  ///< "auroc"
  metrics::Score value = metrics::Score::none("not computed");
  std::optional<metrics::Interval> ci95;
  std::optional<double> sd;  ///< of `value` over repeats, where the run was repeated; value is then their mean
  std::size_t repeats = 1;
  std::size_t n = 0;  ///< items
  std::vector<std::pair<std::string, metrics::Score>> per_class;
  std::vector<std::pair<std::string, metrics::Interval>>
      per_class_ci95;  ///< of the classes that have one; may be empty
  std::vector<std::pair<std::string, std::size_t>>
      skipped;  ///< of each class the items that are out of its mean, for it is not defined there; only classes with some
};

/// What one item of the test set gave, for reports that list them.
struct CaseRecord {
  std::string path;
  /// Class -> (metric, value).
  std::vector<std::pair<std::string, std::vector<std::pair<std::string, metrics::Score>>>> per_class;
};

/// A condition's value: text, number, switch, or a list.
using Condition = std::variant<std::string, double, long long, bool, std::vector<std::string>, std::vector<double>,
                               std::vector<long long>>;

struct Report {
  std::string program, version;
  std::vector<std::pair<std::string, Condition>> conditions;  ///< in this order
  std::vector<Result> results;
  std::vector<std::pair<std::string, double>> time_s;  ///< stage and seconds
  double peak_memory_mib = 0;
  std::vector<std::string> notes;   ///< warnings a reader must see
  std::vector<CaseRecord> cases{};  ///< may be empty
};

/// JSON text. Everything but `time_s`, `peak_memory_mib` and the condition `threads` is the same for any thread count.
std::string to_json(const Report& report);
/// Writes to_json() atomically. Throws IoError.
void write_json(const std::filesystem::path& file, const Report& report);
/// A table for a terminal or Markdown: name, metric, value, 95 % interval, n.
std::string table(const std::vector<Result>& results);
/// Peak resident memory of this process so far, MiB (VmHWM).
double peak_memory_mib();

}  // namespace vitals::inline v0::report

#if VITALS_HEADER_ONLY
#include <vitals/report/result.ipp>
#endif
