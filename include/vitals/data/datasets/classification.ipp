// Implementation of classification.hpp.
#pragma once

#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include <vitals/core/error.hpp>
#include <vitals/core/sha256.hpp>
#include <vitals/data/datasets/classification.hpp>
#include <vitals/data/manifest.hpp>
#include <vitals/data/splits.hpp>
#include <vitals/io/csv.hpp>

namespace vitals::inline v0::data {

namespace detail {

inline std::vector<std::string> lines_of(const std::filesystem::path& file) {
  std::ifstream stream(file);
  if (!stream) throw IoError("cannot read the list", file.string(), "it belongs to the archive");
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);)
    if (auto name = trimmed(line); !name.empty()) lines.push_back(std::move(name));
  return lines;
}

// What every set ends with: the missing files counted, patients checked, a sum over paths and splits.
inline Dataset finished(Dataset set, const std::filesystem::path& root, const ClassificationOptions& options) {
  set.root = set.source = root;
  if (options.allow_incomplete)
    std::erase_if(set.items, [&](const Item& item) {
      std::error_code error;
      return !std::filesystem::is_regular_file(root / item.path, error);
    });
  if (set.items.empty()) throw DataError("no image of the set is there", root.string(), "give the archive's folder");
  check_files(set.items, set.root, set.source, &Item::path, "images");
  set.patients_overlap = check_patients(set.items, set.source, true);
  Sha256 sum;
  for (const auto& item : set.items) sum.update(item.path).update("\n").update(name(item.split)).update("\n");
  set.sha256 = sum.hex();
  return set;
}

// Every picture of NIH by its name: the archives unpack to images/ or to images_001/images/ ... images_012/images/.
inline std::map<std::string, std::string> nih_pictures(const std::filesystem::path& root) {
  std::map<std::string, std::string> found;
  std::error_code error;
  std::vector<std::string> folders{"images"};
  for (int i = 1; i <= 12; ++i)
    folders.push_back("images_0" + std::string(i < 10 ? "0" : "") + std::to_string(i) + "/images");
  for (const auto& folder : folders) {
    std::filesystem::directory_iterator at(root / folder, error);
    if (error) continue;
    for (const auto& entry : at) {
      const auto name = entry.path().filename().string();
      if (name.ends_with(".png")) found.emplace(name, folder + "/" + name);
    }
  }
  return found;
}

}  // namespace detail

VITALS_INLINE Dataset nih_chest_xray(const std::filesystem::path& root, const ClassificationOptions& options) {
  auto labels_file = root / "Data_Entry_2017.csv";
  if (!std::filesystem::exists(labels_file)) labels_file = root / "Data_Entry_2017_v2020.csv";
  const auto table = io::read_csv(labels_file);
  const std::size_t image_at = table.column("Image Index"), labels_at = table.column("Finding Labels"),
                    patient_at = table.column("Patient ID");
  std::map<std::string, Split> splits;
  const auto train_val = detail::lines_of(root / "train_val_list.txt");
  const std::size_t train = options.allow_incomplete && train_val.size() <= 10002
                                ? train_val.size() - train_val.size() / 9
                                : nih_split(train_val.size()).train.size();
  for (std::size_t i = 0; i < train_val.size(); ++i) splits[train_val[i]] = i < train ? Split::train : Split::val;
  for (const auto& name : detail::lines_of(root / "test_list.txt")) splits[name] = Split::test;

  const auto pictures = detail::nih_pictures(root);
  Dataset set;
  set.task = Task::multilabel;
  std::set<std::string> classes;
  std::vector<std::vector<std::string>> labels;
  for (const auto& row : table.rows) {
    const auto split = splits.find(row[image_at]);
    if (split == splits.end()) continue;
    const auto picture = pictures.find(row[image_at]);
    const bool there = picture != pictures.end();
    if (!there && options.allow_incomplete) continue;
    set.items.push_back({there ? picture->second : "images/" + row[image_at], {}, split->second, row[patient_at], 0});
    labels.push_back(detail::split_labels(row[labels_at]));
    classes.insert(labels.back().begin(), labels.back().end());
  }
  set.classes.assign(classes.begin(), classes.end());
  for (std::size_t i = 0; i < labels.size(); ++i) {
    std::set<std::size_t> numbers;
    for (const auto& label : labels[i])
      numbers.insert(static_cast<std::size_t>(std::lower_bound(set.classes.begin(), set.classes.end(), label) -
                                              set.classes.begin()));
    set.items[i].labels.assign(numbers.begin(), numbers.end());
  }
  return detail::finished(std::move(set), root, options);
}

VITALS_INLINE Dataset chexpert(const std::filesystem::path& root, const ClassificationOptions& options) {
  constexpr std::array findings{"Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Pleural Effusion"};
  Dataset set;
  set.task = Task::multilabel;
  set.classes.assign(findings.begin(), findings.end());
  set.classes.push_back("Uncertain");
  for (const auto& [file, split] :
       {std::pair("train.csv", Split::train), {"valid.csv", Split::val}, {"test.csv", Split::test}}) {
    if (split == Split::test && !std::filesystem::exists(root / file)) continue;
    const auto table = io::read_csv(root / file);
    const std::size_t path_at = table.column("Path");
    std::vector<std::size_t> columns;
    for (const char* finding : findings) columns.push_back(table.column(finding));
    for (std::size_t r = 0; r < table.rows.size(); ++r) {
      std::string path = table.rows[r][path_at];
      if (path.find("lateral") != std::string::npos) continue;
      if (path.starts_with("CheXpert")) path.erase(0, path.find('/') + 1);  // the archive's own name
      Item item{path, {}, split, "", 0};
      if (const auto at = path.find("patient"); at != std::string::npos)
        item.patient = path.substr(at, path.find('/', at) - at);
      bool uncertain = false;
      for (std::size_t k = 0; k < columns.size(); ++k) {
        const std::string value = detail::trimmed(table.rows[r][columns[k]]);
        if (value == "1" || value == "1.0")
          item.labels.push_back(k);
        else if (value == "-1" || value == "-1.0")
          uncertain = true;
        else if (!value.empty() && value != "0" && value != "0.0")
          throw DataError("\"" + value + "\" as " + findings[k], table.where(r), "labels are 1, 0, -1 or empty");
      }
      if (uncertain) item.labels.push_back(findings.size());
      set.items.push_back(std::move(item));
    }
  }
  return detail::finished(std::move(set), root, options);
}

VITALS_INLINE Dataset sars_cov_2_ct(const std::filesystem::path& root, const ClassificationOptions& options) {
  Dataset set;
  set.task = Task::binary;
  set.classes = {"covid", "other"};
  std::vector<std::string> patients, missing;  // of each slice
  std::size_t counted = 0;
  for (const char* kind : {"Covid", "Healthy", "Others"}) {
    std::vector<std::string> folders;
    std::error_code error;
    for (std::filesystem::directory_iterator at(root / kind, error), end; !error && at != end; at.increment(error))
      if (at->is_directory()) folders.push_back(at->path().filename().string());
    if (folders.empty()) missing.push_back(kind);
    std::sort(folders.begin(), folders.end());
    counted += folders.size();
    for (const auto& folder : folders) {
      std::vector<std::string> slices;
      for (const auto& entry : std::filesystem::directory_iterator(root / kind / folder))
        if (entry.path().extension() == ".png") slices.push_back(entry.path().filename().string());
      std::sort(slices.begin(), slices.end());
      for (const auto& slice : slices) {
        patients.push_back(std::string(kind) + "/" + folder);
        set.items.push_back({patients.back() + "/" + slice,
                             {std::string_view(kind) == "Covid" ? std::size_t{0} : std::size_t{1}},
                             Split::train,
                             patients.back(),
                             0});
      }
    }
  }
  if (!missing.empty() || (counted != 210 && !options.allow_incomplete))
    throw DataError(std::to_string(counted) + " of 210 patients" + (missing.empty() ? "" : ", no folder " + missing[0]),
                    root.string(), "give the folder that holds Covid, Healthy and Others");
  auto rule = study_split_rule("sars_cov_2_ct");
  if (counted != 210) rule.steps.back().count = std::max<std::size_t>(1, counted * 50 / 210);
  const auto parts = split_groups(rule, patients);
  for (std::size_t i : parts.val) set.items[i].split = Split::val;
  for (std::size_t i : parts.test) set.items[i].split = Split::test;
  return detail::finished(std::move(set), root, options);
}

}  // namespace vitals::inline v0::data
