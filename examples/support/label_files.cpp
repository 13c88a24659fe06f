#include "label_files.hpp"

#include <algorithm>
#include <chrono>
#include <map>

#include <vitals/core/error.hpp>
#include <vitals/core/parallel.hpp>
#include <vitals/core/version.hpp>
#include <vitals/data/segmentation_dataset.hpp>
#include <vitals/io/csv.hpp>
#include <vitals/report/segmentation.hpp>

#include "medical.hpp"
#include "progress_bar.hpp"

namespace vt = vitals;

namespace support {

namespace {

// Mask files of a folder: name without .nii, .nii.gz, .png -> file.
std::map<std::string, std::filesystem::path> masks_of(const std::filesystem::path& folder) {
  if (!std::filesystem::is_directory(folder))
    throw vt::IoError("no such folder", folder.string(), "give a folder of masks, PNG or NIfTI");
  std::map<std::string, std::filesystem::path> found;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    for (const std::string suffix : {".nii.gz", ".nii", ".png"})
      if (name.ends_with(suffix) && !name.starts_with(".")) {
        if (suffix != ".png" && !volume_format())
          throw vt::FormatError("NIfTI is not read by this program, which was built without nifti_clib",
                                entry.path().string(), "install it (tools/install_packages.sh) and build again");
        const auto [at, fresh] = found.emplace(name.substr(0, name.size() - suffix.size()), entry.path());
        if (!fresh)
          throw vt::DataError("two masks of one name: " + at->second.filename().string() + " and " + name,
                              folder.string());
        break;
      }
  }
  if (found.empty()) throw vt::DataError("no masks (PNG or NIfTI)", folder.string());
  return found;
}

std::string first_of(const std::vector<std::string>& names) {
  std::string text = std::to_string(names.size()) + ": ";
  for (std::size_t i = 0; i < names.size() && i < 3; ++i) text += (i ? ", " : "") + names[i];
  return text + (names.size() > 3 ? " ..." : "");
}

}  // namespace

void LabelFiles::add_options(CommandLine& line) {
  line.option("--predictions", predictions, "folder of predicted masks").required();
  line.option("--references", references, "folder of true masks").required();
  line.option("--classes", classes, "how many classes, background included").required();
  line.option("--mask-values", mask_values, "values of the classes in both, background first: 0,255");
  line.choice("--empty", empty, {"skip", "one", "zero"}, "a class that neither mask of a case has");
  line.option("--patients", patients, "CSV with name,patient: intervals draw patients, not masks");
}

vt::report::Report LabelFiles::measured(vt::metrics::SegmentationOptions options) const {
  if (classes < 2 || classes > 255) throw UsageError("--classes: 2 to 255, background included");
  if (!mask_values.empty() && mask_values.size() != classes)
    throw UsageError("--mask-values: one for each of --classes");
  const auto predicted = masks_of(predictions), referenced = masks_of(references);
  std::vector<std::string> names, alone;
  for (const auto& [name, file] : referenced) (predicted.count(name) ? names : alone).push_back(name);
  if (!alone.empty())
    throw vt::DataError("masks without a prediction, " + first_of(alone), predictions.string(), "files pair by name");
  for (const auto& [name, file] : predicted)
    if (!referenced.count(name)) alone.push_back(name);

  vt::report::Report report{"metrics segmentation", vt::version, {}, {}, {}, 0, {}};
  if (!alone.empty()) report.notes.push_back("predictions without a reference were left out, " + first_of(alone));
  std::vector<std::string> class_names;
  for (std::size_t k = 0; k < classes; ++k)
    class_names.push_back(std::to_string(mask_values.empty() ? k : mask_values[k]));
  const auto read = [&](const std::filesystem::path& file) {
    auto mask = vt::data::read_label_file(file, volume_format());
    for (std::size_t i = 0; i < mask.values.size(); ++i) {
      auto& value = mask.values.data()[i];
      std::size_t k = value;
      if (!mask_values.empty())
        k = static_cast<std::size_t>(std::find(mask_values.begin(), mask_values.end(), std::size_t{value}) -
                                     mask_values.begin());
      if (k >= classes) {
        const std::size_t ny = mask.values.extent(1), nz = mask.values.extent(2);
        throw vt::DataError("value " + std::to_string(int{value}) + " at (" + std::to_string(i / nz / ny) + ", " +
                                std::to_string(i / nz % ny) + ", " + std::to_string(i % nz) + ") is none of the " +
                                std::to_string(classes) + " classes",
                            file.string(), "give --classes or --mask-values that fit");
      }
      value = static_cast<std::uint8_t>(k);
    }
    return mask;
  };
  const auto started = std::chrono::steady_clock::now();
  ProgressBar bar(quiet);
  const auto progress = bar.sink();
  std::vector<vt::metrics::CaseMetrics> cases;
  std::vector<std::string> files;
  for (const auto& name : names) {
    const auto prediction = read(predicted.at(name)), reference = read(referenced.at(name));
    if (prediction.values.shape() != reference.values.shape())
      throw vt::DataError(
          "sizes " + vt::to_string(prediction.values.shape()) + " and " + vt::to_string(reference.values.shape()),
          predicted.at(name).string() + " and " + referenced.at(name).string(), "bring both to one grid");
    if (!(vt::data::grid_distance(reference.affine, prediction.affine, reference.values.shape()) < 0.5))
      throw vt::DataError("two masks that lie in different places",
                          predicted.at(name).string() + " and " + referenced.at(name).string(),
                          "their headers differ (affine); bring both to one grid");
    cases.push_back(vt::metrics::case_metrics(prediction.values, reference.values, classes, reference.spacing()));
    files.push_back(referenced.at(name).filename().string());
    progress("masks", cases.size(), names.size());
  }
  if (!patients.empty()) {
    const auto table = vt::io::read_csv(patients);
    std::map<std::string, std::string> patient_of;
    for (const auto& row : table.rows) patient_of[row[table.column("name")]] = row[table.column("patient")];
    std::vector<std::string> of_cases;
    for (const auto& name : names) of_cases.push_back(patient_of.count(name) ? patient_of[name] : "");
    options.groups = vt::metrics::group_numbers(of_cases);
  }
  options.empty = vt::metrics::empty_mask_by_name(empty);
  report.results = vt::report::segmentation_results("", "file", class_names, cases, options);
  report.cases = vt::report::case_records(files, class_names, cases, options.empty);
  report.conditions = {{"predictions", predictions.string()},
                       {"references", references.string()},
                       {"classes", class_names},
                       {"empty", empty},
                       {"patients", patients.string()},
                       {"bootstrap", static_cast<long long>(options.bootstrap)},
                       {"seed", static_cast<long long>(options.seed)},
                       {"threads", static_cast<long long>(vt::default_pool().threads())}};
  report.time_s.emplace_back("metrics",
                             std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count());
  return report;
}

}  // namespace support
