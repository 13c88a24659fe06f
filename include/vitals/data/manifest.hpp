// What manifests of every kind have in common: columns by name, splits, patients that belong to one split, files that
// must exist. Internal to the room.
#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <vitals/core/error.hpp>
#include <vitals/data/dataset.hpp>
#include <vitals/io/csv.hpp>

namespace vitals::inline v0::data::detail {

inline std::string trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1));
}

inline std::vector<std::string> split_labels(const std::string& field) {
  std::vector<std::string> labels;
  for (std::size_t begin = 0; begin <= field.size();) {
    const std::size_t end = std::min(field.find('|', begin), field.size());
    if (auto label = trimmed(std::string_view(field).substr(begin, end - begin)); !label.empty())
      labels.push_back(std::move(label));
    begin = end + 1;
  }
  return labels;
}

inline std::optional<Split> split_named(const std::string& text) {
  for (Split split : {Split::train, Split::val, Split::test})
    if (text == name(split)) return split;
  return std::nullopt;
}

/// The number of a column; blanks around names do not count. Throws FormatError where it stands twice.
inline std::optional<std::size_t> manifest_column(const io::CsvTable& table, const char* wanted,
                                                  const std::filesystem::path& file) {
  std::optional<std::size_t> found;
  for (std::size_t c = 0; c < table.header.size(); ++c) {
    if (trimmed(table.header[c]) != wanted) continue;
    if (found) throw FormatError(std::string("the column ") + wanted + " stands twice", file.string());
    found = c;
  }
  return found;
}

/// Each patient belongs to one split. Gives whether one does not; throws DataError where that is not allowed.
template <class AnyItem>
bool check_patients(const std::vector<AnyItem>& items, const std::filesystem::path& source, bool allowed) {
  std::map<std::string, std::set<Split>> splits;
  for (const auto& item : items)
    if (!item.patient.empty()) splits[item.patient].insert(item.split);
  std::size_t overlapping = 0;
  std::string first;
  for (const auto& [patient, in] : splits) {
    if (in.size() < 2) continue;
    if (overlapping++ > 0) continue;
    first = "patient " + patient + " is in";
    for (Split split : in) first += (split == *in.begin() ? " " : " and ") + std::string(name(split));
  }
  if (overlapping && !allowed)
    throw DataError(
        first +
            (overlapping > 1 ? ", and " + std::to_string(overlapping - 1) + " more patients are in two splits" : ""),
        source.string(), "move every image of a patient to one split, or allow the overlap");
  return overlapping != 0;
}

/// Throws DataError where files are missing: counts all of them, names the first ones. `path`: which member holds them.
template <class AnyItem>
void check_files(const std::vector<AnyItem>& items, const std::filesystem::path& root,
                 const std::filesystem::path& source, std::string AnyItem::*path, const char* what) {
  std::size_t missing = 0;
  std::string named;
  for (const auto& item : items) {
    std::error_code error;
    if (std::filesystem::is_regular_file(root / (item.*path), error)) continue;
    if (++missing <= 3) named += (missing > 1 ? ", " : "") + item.*path + " (line " + std::to_string(item.line) + ")";
  }
  if (!missing) return;
  throw DataError(std::to_string(missing) + " of " + std::to_string(items.size()) + " " + what +
                      " are missing: " + named + (missing > 3 ? " ..." : ""),
                  source.string(), "paths are relative to the manifest's folder");
}

}  // namespace vitals::inline v0::data::detail
