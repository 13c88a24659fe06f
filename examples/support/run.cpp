#include "run.hpp"

#include <cmath>
#include <iostream>
#include <utility>

#include <vitals/core/error.hpp>
#include <vitals/core/version.hpp>
#include <vitals/io/atomic_file.hpp>
#include <vitals/metrics/auroc.hpp>
#include <vitals/metrics/curves.hpp>
#include <vitals/report/classification.hpp>
#include <vitals/report/predictions.hpp>
#include <vitals/report/svg.hpp>
#include <vitals/report/text.hpp>

namespace vt = vitals;

namespace support {

DataOptions::DataOptions(CommandLine& line, Plot kind) : plot_kind(kind) {
  line.option("--data", manifest, "manifest: CSV with path,label,split[,patient]").required();
  line.option("--report", report, "write the results and their conditions as JSON").required();
  line.option("--predictions", predictions, "write the test scores as CSV");
  line.option("--plot", plot,
              kind == Plot::roc ? "write the ROC curves as SVG" : "write the curve over the shots as SVG");
  line.option("--table", table, "write the table of scores as SVG");
  line.option("--cache", cache, "folder that keeps features for the next run");
  line.option("--bootstrap", bootstrap, "resamples of the 95 % intervals; 0: no intervals");
  line.flag("--allow-patient-overlap", allow_patient_overlap, "accept a patient in two splits; the report says so");
}

void check_output(const std::filesystem::path& file) {
  if (file.empty()) return;
  const auto folder = file.parent_path().empty() ? std::filesystem::path(".") : file.parent_path();
  if (!std::filesystem::is_directory(folder))
    throw vt::IoError("the folder of an output file does not exist", file.string(), "make it first");
  if (std::filesystem::is_directory(file))
    throw vt::IoError("an output file is a folder", file.string(), "give a file name");
}

Run::Run(const CommandLine& line, const ModelOptions& model, const DataOptions& data, Training training)
    : model_options_(model),
      data_options_(data),
      training_(training),
      bar_(model.quiet),
      last_(std::chrono::steady_clock::now()) {
  for (const auto* file : {&data.report, &data.predictions, &data.plot, &data.table}) check_output(*file);
  dataset_ = vt::data::read_manifest(data.manifest, {.allow_patient_overlap = data.allow_patient_overlap});
  if (dataset_.indices(vt::data::Split::test).empty())
    throw vt::DataError("no image is in the split test", data.manifest.string(), "name the images to test on");
  if (training == Training::no)
    static_cast<Model&>(model_) = load_model(model, bar_);
  else
    model_ = load_trainable_model(model, bar_, training == Training::with_masters);
  report_.program = line.name();
  report_.version = vt::version;
  add_conditions(report_, model, model_);
  condition("data", data.manifest.string());
  condition("data_sha256", dataset_.sha256);
  condition("task", std::string(vt::data::name(dataset_.task)));
  condition("classes", dataset_.classes);
  condition("patient_overlap", dataset_.patients_overlap);
  condition("bootstrap", data.bootstrap);
  if (dataset_.patients_overlap) note("patients stand in more than one split: scores may be too good");
  clock("load");
}

void Run::reload() {
  model_ = {};  // its memory first
  ProgressBar silent(true);
  model_ = load_trainable_model(model_options_, silent, training_ == Training::with_masters);
}

vt::eval::FeatureSet Run::features() {
  auto set = vt::eval::features(*model_.backbone, dataset_, model_options_.transform(),
                                {.cache = data_options_.cache,
                                 .weights_sha256 = model_.weights_sha256,
                                 .dtype = model_options_.dtype,
                                 .blocks = std::min<std::size_t>(4, model_.backbone->info().depth),
                                 .batch = model_options_.batch,
                                 .progress = bar_.sink(),
                                 .executor = nullptr});
  if (!data_options_.cache.empty())
    bar_.say(std::to_string(set.dataset.items.size() - set.computed) + " of " +
             std::to_string(set.dataset.items.size()) + " features came from the cache" +
             (set.unreadable ? "; " + std::to_string(set.unreadable) + " damaged files of it were left out" : ""));
  clock("features");
  return set;
}

void Run::clock(const std::string& stage) {
  const auto now = std::chrono::steady_clock::now();
  report_.time_s.emplace_back(stage, std::chrono::duration<double>(now - last_).count());
  last_ = now;
}

void Run::condition(const std::string& name, vt::report::Condition value) {
  report_.conditions.emplace_back(name, std::move(value));
}

std::vector<vt::report::Result> Run::results_of(const std::string& name, vt::eval::Prediction prediction) {
  for (double& score : prediction.scores) score = vt::report::as_written(score);
  vt::report::ScoringOptions options{.bootstrap = data_options_.bootstrap, .seed = model_options_.seed};
  for (std::size_t item : prediction.items) options.patients.push_back(dataset_.items[item].patient);
  auto results = vt::report::classification_results(name, "test", dataset_.task, dataset_.classes,
                                                    dataset_.targets(prediction.items), prediction.scores, options);
  predictions_.push_back(std::move(prediction));
  return results;
}

void Run::score(const vt::eval::Prediction& prediction) {
  for (auto& result : results_of(prediction.name, prediction)) report_.results.push_back(std::move(result));
}

vt::report::Result Run::score_repeats(const std::string& name, const std::vector<vt::eval::Prediction>& predictions) {
  std::vector<std::vector<vt::report::Result>> repeats;
  for (const auto& prediction : predictions) repeats.push_back(results_of(name, prediction));
  for (std::size_t m = 0; m < repeats[0].size(); ++m) {
    auto result = repeats[0][m];
    if (repeats.size() > 1) {
      result.repeats = repeats.size();
      result.ci95.reset();
      result.per_class_ci95.clear();
      const auto over_repeats = [&](auto&& pick) {  // mean, or why one of them is not defined
        double sum = 0;
        for (const auto& repeat : repeats) {
          const vt::metrics::Score& score = pick(repeat[m]);
          if (!score) return score;
          sum += *score.value;
        }
        return vt::metrics::Score(sum / static_cast<double>(repeats.size()));
      };
      result.value = over_repeats([](const auto& r) -> const auto& { return r.value; });
      for (std::size_t k = 0; k < result.per_class.size(); ++k)
        result.per_class[k].second = over_repeats([k](const auto& r) -> const auto& { return r.per_class[k].second; });
      if (result.value) {
        double squares = 0;
        for (const auto& repeat : repeats) squares += std::pow(*repeat[m].value.value - *result.value.value, 2);
        result.sd = std::sqrt(squares / static_cast<double>(repeats.size() - 1));
      }
    }
    report_.results.push_back(std::move(result));
  }
  return report_.results[report_.results.size() - repeats[0].size()];
}

void Run::finish() {
  clock("metrics");
  std::vector<vt::report::Result> shown;  // the AUROCs; the report has the other metrics
  for (const auto& result : report_.results)
    if (result.metric == "auroc") shown.push_back(result);
  const auto& first = predictions_.front();
  const auto targets = dataset_.targets(first.items);
  if (!data_options_.predictions.empty()) {
    vt::report::Predictions out{{}, dataset_.classes, targets, first.scores};
    for (std::size_t item : first.items) out.paths.push_back(dataset_.items[item].path);
    vt::report::write_predictions(data_options_.predictions, out);
  }
  if (!data_options_.plot.empty() && data_options_.plot_kind == DataOptions::Plot::roc)
    vt::io::write_text_file(
        data_options_.plot,
        vt::report::roc_svg(first.name, roc_curves(dataset_.task, dataset_.classes, targets, first.scores)));
  if (!data_options_.table.empty())
    vt::io::write_text_file(
        data_options_.table,
        vt::report::table_svg(model_options_.model + ", " + std::filesystem::path(model_.weights).filename().string(),
                              shown));
  report_.peak_memory_mib = vt::report::peak_memory_mib();
  vt::report::write_json(data_options_.report, report_);
  std::cout << vt::report::table(shown);
  for (const auto& note : report_.notes) std::cout << "note: " << note << "\n";
}

std::vector<std::pair<std::string, vt::metrics::Curve>> roc_curves(
    vt::data::Task task, const std::vector<std::string>& classes,
    vt::TensorView<const std::uint8_t, vt::dyn, vt::dyn> targets,
    vt::TensorView<const double, vt::dyn, vt::dyn> scores) {
  std::vector<std::pair<std::string, vt::metrics::Curve>> curves;
  for (std::size_t k = task == vt::data::Task::binary ? 1 : 0; k < classes.size(); ++k) {
    std::vector<std::uint8_t> target;
    std::vector<double> score;
    for (std::size_t i = 0; i < targets.extent(0); ++i) {
      target.push_back(targets(i, k));
      score.push_back(scores(i, k));
    }
    const auto auroc = vt::metrics::auroc(target, score);
    curves.emplace_back(classes[k] + (auroc ? ", AUROC " + vt::report::fixed(*auroc.value, 3) : ""),
                        vt::metrics::roc_curve(target, score, true));
  }
  return curves;
}

}  // namespace support
