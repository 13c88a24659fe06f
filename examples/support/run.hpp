// One run of an evaluation program: its data, its progress, its clock and the report it writes at the end.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <vitals/data/dataset.hpp>
#include <vitals/eval/features.hpp>
#include <vitals/eval/prediction.hpp>
#include <vitals/metrics/curves.hpp>
#include <vitals/report/result.hpp>

#include "command_line.hpp"
#include "model.hpp"
#include "progress_bar.hpp"

namespace support {

/// --data, --cache, --report, --predictions, --plot, --table, --bootstrap, --allow-patient-overlap.
struct DataOptions {
  /// What --plot draws.
  enum class Plot { roc, shots };
  explicit DataOptions(CommandLine& line, Plot kind = Plot::roc);
  DataOptions(const DataOptions&) = delete;

  Plot plot_kind;
  std::filesystem::path manifest, cache, report, predictions, plot, table;
  std::size_t bootstrap = 1000;
  bool allow_patient_overlap = false;
};

/// Throws vitals::IoError where the folder of a file to be written does not exist: better now than after an hour.
void check_output(const std::filesystem::path& file);

/// The ROC curve of each class (of a binary task, of the second), with its AUROC in the legend.
std::vector<std::pair<std::string, vitals::metrics::Curve>> roc_curves(
    vitals::data::Task task, const std::vector<std::string>& classes,
    vitals::TensorView<const std::uint8_t, vitals::dyn, vitals::dyn> targets,
    vitals::TensorView<const double, vitals::dyn, vitals::dyn> scores);

class Run {
 public:
  /// Reads the manifest, loads the model, starts the report. Errors come before any long work.
  /// `training`: the model gets a way back; `masters` as load_trainable_model.
  enum class Training { no, yes, with_masters };
  Run(const CommandLine& line, const ModelOptions& model, const DataOptions& data, Training training = Training::no);

  const vitals::data::Dataset& dataset() const { return dataset_; }
  const Model& model() const { return model_; }
  /// Of a run for training: loads the model once more, so that a second training begins where the first one did.
  void reload();
  /// Of a run for training.
  vitals::train::TrainableBackbone& trainable() { return *model_.trainable; }
  ProgressBar& bar() { return bar_; }
  /// The features of the data set, through the cache where there is one.
  vitals::eval::FeatureSet features();
  /// Seconds since the last call go to `stage` of the report.
  void clock(const std::string& stage);
  /// Seconds measured elsewhere.
  void time(const std::string& stage, double seconds) { report_.time_s.emplace_back(stage, seconds); }
  /// A condition of the report.
  void condition(const std::string& name, vitals::report::Condition value);
  void condition(const std::string& name, const std::vector<std::size_t>& values) {
    condition(name, vitals::report::Condition(std::vector<long long>(values.begin(), values.end())));
  }
  void condition(const std::string& name, std::same_as<std::size_t> auto value) {
    condition(name, vitals::report::Condition(static_cast<long long>(value)));
  }
  void note(const std::string& text) { report_.notes.push_back(text); }
  /// The test scores of a method, rounded as P.csv holds them, as lines of the report. The first one is P.csv's and the plot's.
  void score(const vitals::eval::Prediction& prediction);
  /// The same for repeats of one run on the same images: mean and spread of each metric, under `name`. Gives the AUROC.
  vitals::report::Result score_repeats(const std::string& name,
                                       const std::vector<vitals::eval::Prediction>& predictions);
  /// A line of the report that the caller has made.
  void add(vitals::report::Result result) { report_.results.push_back(std::move(result)); }
  /// Writes the files asked for and prints the table.
  void finish();

 private:
  const ModelOptions& model_options_;
  const DataOptions& data_options_;
  Training training_;
  ProgressBar bar_;
  std::chrono::steady_clock::time_point last_;
  vitals::data::Dataset dataset_;
  TrainableModel model_;
  std::vector<vitals::report::Result> results_of(const std::string& name, vitals::eval::Prediction prediction);

  vitals::report::Report report_;
  std::vector<vitals::eval::Prediction> predictions_;
};

}  // namespace support
