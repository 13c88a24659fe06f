// Few-shot learning: how do the scores grow with the number of training images?
//
//   few_shot --weights dinov2_vits14_pretrain.pth --data manifest.csv --shots 1,2,4,8,16,all --report few.json --plot few.svg
#include <algorithm>

#include <vitals/eval/linear_probe.hpp>
#include <vitals/eval/mlknn.hpp>
#include <vitals/io/atomic_file.hpp>
#include <vitals/report/svg.hpp>

#include "support/command_line.hpp"
#include "support/fine_tuning.hpp"
#include "support/model.hpp"
#include "support/probe.hpp"
#include "support/run.hpp"
#include "support/shots.hpp"

namespace vt = vitals;

namespace {

// Lists, draws and curves of one run of the program.
void body(support::CommandLine& line, int argc, char** argv) {
  support::ModelOptions model(line, "paper", false);
  support::DataOptions data(line, support::DataOptions::Plot::shots);
  support::ProbeOptions probe(line, 100);
  support::FineTuneOptions tuning(line, true);
  support::ShotOptions shots(line);
  std::vector<std::size_t> k{5};
  std::string method = "mlknn";
  line.choice("--method", method, {"mlknn", "linear", "head", "full", "lora", "bitfit"},
              "what learns from them; the last four train as fine_tune does");
  line.option("--k", k, "numbers of neighbours of mlknn; at most the number of training images is used");
  line.parse(argc, argv);
  if (shots.repeats == 0) throw support::UsageError("--repeats: at least one");
  const bool trains = method != "mlknn" && method != "linear";
  tuning.epochs = probe.epochs;
  tuning.augment = probe.augment;
  if (line.given("--batch")) tuning.batch = probe.batch;

  using Training = support::Run::Training;
  support::Run run(line, model, data, trains ? support::FineTuneOptions::training(method) : Training::no);
  const auto& set = run.dataset();
  for (const auto& text : shots.shots) shots.items(set, text, 0);  // what is wrong is said before the long work
  run.condition("shots", shots.shots);
  run.condition("selection", shots.selection);
  run.condition("repeats", shots.repeats);
  if (trains) {
    tuning.add_conditions(run, tuning.of(run, model, method));  // the method, too
  } else {
    run.condition("method", method);
    method == "linear" ? probe.add_conditions(run) : run.condition("k", k);
  }

  const auto features = trains ? vt::eval::FeatureSet{} : run.features();
  // What a way of learning makes of these images.
  const auto learnt = [&](std::size_t way, const std::vector<std::size_t>& items, std::size_t repeat) {
    if (method == "mlknn") {
      vt::eval::KnnOptions options;
      options.k = std::min(k[way], items.size());
      options.train = items;
      return vt::eval::mlknn(features, options)[0];
    }
    if (method == "linear") {
      auto options = probe.of(run, model);
      options.seed = model.seed + repeat;
      options.train = items;
      options.progress = {};
      options.add_val = false;  // val picks the head, and stays out of the few images
      return vt::eval::linear_probe(features, options).prediction;
    }
    run.reload();
    return tuning.few_shot(run, model, method, items, model.seed + repeat);
  };
  std::vector<vt::report::ShotsCurve> curves;
  const std::size_t ways = method == "mlknn" ? k.size() : 1;
  std::size_t done = 0, total = 0;
  const auto draws = [&](const std::string& text) { return shots.draws(text, method != "mlknn"); };
  for (const auto& text : shots.shots) total += ways * draws(text);
  const auto progress = run.bar().sink();
  for (std::size_t way = 0; way < ways; ++way) {
    const std::string name = method == "mlknn" ? "mlknn k=" + std::to_string(k[way]) : method;
    auto& curve = curves.emplace_back(vt::report::ShotsCurve{name, {}, {}});
    for (const auto& text : shots.shots) {
      std::vector<vt::eval::Prediction> predictions;
      for (std::size_t repeat = 0; repeat < draws(text); ++repeat) {
        predictions.push_back(learnt(way, shots.items(set, text, model.seed + repeat), repeat));
        progress("few shots", ++done, total);
      }
      const auto result = run.score_repeats(name + " shots=" + text, predictions);  // mean and spread
      curve.mean.push_back(result.value.value);
      curve.spread.push_back(result.sd.value_or(0));
    }
  }
  run.clock(method);
  if (!data.plot.empty())
    vt::io::write_text_file(data.plot, vt::report::few_shot_svg(model.model + ", " + shots.selection, "AUROC",
                                                                shots.shots, curves, shots.unit()));
  run.finish();
}

}  // namespace

int main(int argc, char** argv) {
  return support::program("few_shot", "kNN, the linear probe or fine-tuning on few training images",
                          [&](support::CommandLine& line) { body(line, argc, argv); });
}
