// The metrics alone, on anybody's predictions.
//
//   metrics classification --predictions P.csv --report R.json
//   metrics segmentation --predictions DIR --references DIR --classes K --report R.json
#include <iostream>
#include <utility>

#include <vitals/core/parallel.hpp>
#include <vitals/core/sha256.hpp>
#include <vitals/core/version.hpp>
#include <vitals/io/atomic_file.hpp>
#include <vitals/report/classification.hpp>
#include <vitals/report/predictions.hpp>
#include <vitals/report/svg.hpp>

#include "support/command_line.hpp"
#include "support/label_files.hpp"
#include "support/run.hpp"

namespace vt = vitals;

namespace {

// One 1 in every row means one class an image, else several labels.
vt::data::Task task_of(const vt::report::Predictions& p, const std::string& said) {
  bool one_each = true;
  for (std::size_t i = 0; i < p.paths.size(); ++i) {
    std::size_t ones = 0;
    for (std::size_t k = 0; k < p.classes.size(); ++k) ones += p.targets(i, k);
    one_each = one_each && ones == 1;
  }
  if (said == "multilabel" || (said.empty() && !one_each)) return vt::data::Task::multilabel;
  return p.classes.size() == 2 ? vt::data::Task::binary : vt::data::Task::multiclass;
}

}  // namespace

int main(int argc, char** argv) {
  return support::program("metrics", "Metrics of predictions that lie in files", [&](support::CommandLine& line) {
    std::filesystem::path predictions, report_file, plot;
    std::string task;
    std::size_t bootstrap = 1000, seed = 0, threads = 0;
    auto& classification =
        line.command("classification", "AUROC and others of a file `path,target:CLASS...,score:CLASS...`");
    classification.option("--predictions", predictions, "the file").required();
    classification.option("--report", report_file, "write the results as JSON").required();
    classification.option("--plot", plot, "write the ROC curves as SVG");
    classification.choice("--task", task, {"multiclass", "multilabel"},
                          "without it: one 1 in every row means multiclass");
    classification.option("--bootstrap", bootstrap, "resamples of the 95 % intervals; 0: no intervals");
    classification.option("--seed", seed, "of the resamples");
    classification.option("--threads", threads, "0: one for each processor");
    support::LabelFiles files;
    auto& segmentation = line.command("segmentation", "Dice, HD95 and others of masks: PNG or NIfTI, paired by name");
    files.add_options(segmentation);
    segmentation.option("--report", report_file, "write the results as JSON").required();
    segmentation.option("--bootstrap", bootstrap, "resamples of the 95 % intervals; 0: no intervals");
    segmentation.option("--seed", seed, "of the resamples");
    segmentation.option("--threads", threads, "0: one for each processor");
    segmentation.flag("--quiet", files.quiet, "no progress");
    line.parse(argc, argv);
    if (threads > 1024) throw support::UsageError("--threads: at most 1024");
    vt::set_default_threads(static_cast<unsigned>(threads));
    for (const auto& file : {report_file, plot}) support::check_output(file);
    if (line.given("segmentation")) {
      auto report = files.measured({.bootstrap = bootstrap, .seed = seed});
      report.peak_memory_mib = vt::report::peak_memory_mib();
      vt::report::write_json(report_file, report);
      std::cout << vt::report::table(report.results);
      for (const auto& note : report.notes) std::cout << "note: " << note << "\n";
      return;
    }

    const auto p = vt::report::read_predictions(predictions);
    vt::report::Report report{"metrics classification", vt::version, {}, {}, {}, 0, {}};
    const auto found = task_of(p, task);
    report.results = vt::report::classification_results("predictions", "file", found, p.classes, p.targets, p.scores,
                                                        {.bootstrap = bootstrap, .seed = seed});
    report.conditions = {{"predictions", predictions.string()},
                         {"predictions_sha256", vt::sha256_of_file(predictions)},
                         {"task", std::string(vt::data::name(found))},
                         {"classes", p.classes},
                         {"bootstrap", static_cast<long long>(bootstrap)},
                         {"seed", static_cast<long long>(seed)},
                         {"threads", static_cast<long long>(vt::default_pool().threads())}};
    report.peak_memory_mib = vt::report::peak_memory_mib();
    if (!plot.empty())
      vt::io::write_text_file(plot, vt::report::roc_svg(predictions.filename().string(),
                                                        support::roc_curves(found, p.classes, p.targets, p.scores)));
    vt::report::write_json(report_file, report);
    std::cout << vt::report::table(report.results);
  });
}
