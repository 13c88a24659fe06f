// Implementation of dataset.hpp.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include <vitals/core/error.hpp>
#include <vitals/core/sha256.hpp>
#include <vitals/data/dataset.hpp>
#include <vitals/data/manifest.hpp>
#include <vitals/io/csv.hpp>

namespace vitals::inline v0::data {

VITALS_INLINE const char* name(Split split) {
  switch (split) {
    case Split::train:
      return "train";
    case Split::val:
      return "val";
    case Split::test:
      return "test";
  }
  return "?";
}

VITALS_INLINE const char* name(Task task) {
  switch (task) {
    case Task::binary:
      return "binary";
    case Task::multiclass:
      return "multiclass";
    case Task::multilabel:
      return "multilabel";
  }
  return "?";
}

VITALS_INLINE std::vector<std::size_t> Dataset::indices(Split split) const {
  std::vector<std::size_t> chosen;
  for (std::size_t i = 0; i < items.size(); ++i)
    if (items[i].split == split) chosen.push_back(i);
  return chosen;
}

VITALS_INLINE std::string Dataset::where(std::size_t item) const {
  const auto& at = items.at(item);
  return at.line == 0 ? at.path
                      : at.path + " (line " + std::to_string(at.line) + " of " + source.filename().string() + ")";
}

VITALS_INLINE std::filesystem::path Dataset::file(std::size_t item) const { return root / items.at(item).path; }

VITALS_INLINE Tensor<std::uint8_t, dyn, dyn> Dataset::targets(const std::vector<std::size_t>& chosen) const {
  Tensor<std::uint8_t, dyn, dyn> out({chosen.size(), classes.size()});
  for (std::size_t i = 0; i < chosen.size(); ++i)
    for (std::size_t label : items.at(chosen[i]).labels) out(i, label) = 1;
  return out;
}

VITALS_INLINE Dataset read_manifest(const std::filesystem::path& file, const ManifestOptions& options) {
  const auto table = io::read_csv(file);
  const auto column = [&](const char* wanted) { return detail::manifest_column(table, wanted, file); };
  const auto path_at = column("path"), label_at = column("label"), split_at = column("split"),
             patient_at = column("patient");
  for (const auto& [at, wanted] : {std::pair(path_at, "path"), {label_at, "label"}, {split_at, "split"}})
    if (!at)
      throw FormatError(std::string("no column ") + wanted, file.string(),
                        wanted == std::string("label") && column("mask")
                            ? "this is a segmentation manifest; classification needs path,label,split[,patient]"
                            : "the first line must name path,label,split[,patient]");

  Dataset dataset;
  dataset.source = file;
  dataset.root = file.parent_path().empty() ? "." : file.parent_path();
  dataset.sha256 = sha256_of_file(file);
  std::vector<std::vector<std::string>> labels;
  std::set<std::string> classes;
  std::map<std::string, std::size_t> lines;  // of each path
  for (std::size_t r = 0; r < table.rows.size(); ++r) {
    const auto& fields = table.rows[r];
    Item item;
    item.line = table.lines[r];
    const std::string where = file.string() + ", line " + std::to_string(item.line);
    item.path = detail::trimmed(fields[*path_at]);
    if (item.path.empty()) throw FormatError("the path is empty", where);
    if (item.path.find('\0') != std::string::npos) throw FormatError("the path holds a zero byte", where);
    const auto split = detail::split_named(detail::trimmed(fields[*split_at]));
    if (!split)
      throw FormatError("unknown split \"" + detail::trimmed(fields[*split_at]) + "\"", where,
                        "use train, val or test");
    item.split = *split;
    if (patient_at) item.patient = detail::trimmed(fields[*patient_at]);
    const auto [at, fresh] = lines.emplace(std::filesystem::path(item.path).lexically_normal().string(), item.line);
    if (!fresh)
      throw DataError("the path " + item.path + " stands twice, in lines " + std::to_string(at->second) + " and " +
                          std::to_string(item.line),
                      file.string());
    labels.push_back(detail::split_labels(fields[*label_at]));
    classes.insert(labels.back().begin(), labels.back().end());
    dataset.items.push_back(std::move(item));
  }
  if (dataset.items.empty()) throw DataError("no images: there is a header and nothing below it", file.string());
  if (classes.size() < 2)
    throw DataError(classes.empty() ? std::string("no image has a label")
                                    : "only one class (" + *classes.begin() + "), at least two are needed",
                    file.string());
  dataset.classes.assign(classes.begin(), classes.end());
  bool one_each = true;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    for (const auto& label : std::set<std::string>(labels[i].begin(), labels[i].end()))
      dataset.items[i].labels.push_back(static_cast<std::size_t>(
          std::lower_bound(dataset.classes.begin(), dataset.classes.end(), label) - dataset.classes.begin()));
    one_each = one_each && dataset.items[i].labels.size() == 1;
  }
  dataset.task = !one_each ? Task::multilabel : dataset.classes.size() == 2 ? Task::binary : Task::multiclass;
  dataset.patients_overlap = detail::check_patients(dataset.items, dataset.source, options.allow_patient_overlap);
  detail::check_files(dataset.items, dataset.root, dataset.source, &Item::path, "files");
  return dataset;
}

}  // namespace vitals::inline v0::data
