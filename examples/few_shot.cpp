// Few-shot learning: how do the scores grow with the number of training images?
//
//   few_shot --weights dinov2_vits14_pretrain.pth --data manifest.csv --shots 1,2,4,8,16,all --report few.json --plot few.svg
#include <algorithm>
#include <charconv>

#include <vitals/core/error.hpp>
#include <vitals/eval/few_shot.hpp>
#include <vitals/eval/linear_probe.hpp>
#include <vitals/eval/mlknn.hpp>
#include <vitals/io/atomic_file.hpp>
#include <vitals/report/svg.hpp>

#include "support/command_line.hpp"
#include "support/fine_tuning.hpp"
#include "support/model.hpp"
#include "support/probe.hpp"
#include "support/run.hpp"

namespace vt = vitals;

namespace {

// Lists, draws and curves of one run of the program.
void body(support::CommandLine& line, int argc, char** argv) {
  support::ModelOptions model(line, "paper", false);
  support::DataOptions data(line, support::DataOptions::Plot::shots);
  support::ProbeOptions probe(line, 100);
  support::FineTuneOptions tuning(line, true);
  std::vector<std::string> shots{"1", "2", "4", "8", "16", "all"};
  std::size_t repeats = 3;
  std::vector<std::size_t> k{5};
  std::string method = "mlknn", selection = "per-class";
  line.option("--shots", shots, "numbers of training images; `all` is the whole train split");
  line.choice("--method", method, {"mlknn", "linear", "head", "full", "lora", "bitfit"},
              "what learns from them; the last four train as fine_tune does");
  line.choice("--selection", selection, {"per-class", "study", "study-nih"},
              "per-class: so many of each class, drawn by seed; study: so many in all, evenly spaced in the "
              "manifest; study-nih: of each class the first so many patients who have nothing else");
  line.option("--repeats", repeats, "draws for each number of shots (per-class)");
  line.option("--k", k, "numbers of neighbours of mlknn; at most the number of training images is used");
  line.parse(argc, argv);
  if (repeats == 0) throw support::UsageError("--repeats: at least one");
  const bool trains = method != "mlknn" && method != "linear";
  tuning.epochs = probe.epochs;
  tuning.augment = probe.augment;
  if (line.given("--batch")) tuning.batch = probe.batch;

  using Training = support::Run::Training;
  support::Run run(line, model, data, trains ? support::FineTuneOptions::training(method) : Training::no);
  const auto& set = run.dataset();
  const auto train = set.indices(vt::data::Split::train);
  // The images of a draw; every number of shots is checked before the features are computed.
  const auto chosen = [&](const std::string& text, std::size_t repeat) {
    if (text == "all") return train;
    std::size_t n = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (error != std::errc() || *end != '\0' || n == 0)
      throw support::UsageError("--shots: \"" + text + "\" is neither a number nor `all`");
    if (selection == "study") return vt::eval::few_shot_study(set, n);
    if (selection == "study-nih") {
      auto items = vt::eval::few_shot_nih(set, n);
      if (items.empty()) throw vt::DataError("no patient has images of one class only", data.manifest.string());
      return items;
    }
    return vt::eval::few_shot_per_class(set, n, model.seed + repeat);
  };
  const auto draws = [&](const std::string& text) {  // what does not depend on the seed is done once
    return selection != "per-class" || (text == "all" && method == "mlknn") ? std::size_t{1} : repeats;
  };
  for (const auto& text : shots) chosen(text, 0);
  run.condition("shots", shots);
  run.condition("selection", selection);
  run.condition("repeats", repeats);
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
  for (const auto& text : shots) total += ways * draws(text);
  const auto progress = run.bar().sink();
  for (std::size_t way = 0; way < ways; ++way) {
    const std::string name = method == "mlknn" ? "mlknn k=" + std::to_string(k[way]) : method;
    auto& curve = curves.emplace_back(vt::report::ShotsCurve{name, {}, {}});
    for (const auto& text : shots) {
      std::vector<vt::eval::Prediction> predictions;
      for (std::size_t repeat = 0; repeat < draws(text); ++repeat) {
        predictions.push_back(learnt(way, chosen(text, repeat), repeat));
        progress("few shots", ++done, total);
      }
      const auto result = run.score_repeats(name + " shots=" + text, predictions);  // mean and spread
      curve.mean.push_back(result.value.value);
      curve.spread.push_back(result.sd.value_or(0));
    }
  }
  run.clock(method);
  if (!data.plot.empty())
    vt::io::write_text_file(data.plot,
                            vt::report::few_shot_svg(model.model + ", " + selection, "AUROC", shots, curves,
                                                     selection == "study"       ? "training images"
                                                     : selection == "study-nih" ? "training patients of each class"
                                                                                : "training images of each class"));
  run.finish();
}

}  // namespace

int main(int argc, char** argv) {
  return support::program("few_shot", "kNN, the linear probe or fine-tuning on few training images",
                          [&](support::CommandLine& line) { body(line, argc, argv); });
}
