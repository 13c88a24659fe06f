// The study's question, on your images: a head alone, low-rank terms, biases or everything, under the same budget.
//
//   compare_methods --weights dinov2_vits14_pretrain.pth --data manifest.csv --images 200 --seeds 0,1,2
//                   --methods head:sgd:0.01,lora:adamw:1e-3:1e-3,bitfit:adamw:1e-3:1e-3,full:adamw:5e-5:1e-3
//                   --work comparison/ --report R.json --plot quality_memory.svg
//
// Each method and seed is a process of its own, so time and peak of memory are its own.
#include <iostream>
#include <utility>

#include <vitals/core/sha256.hpp>
#include <vitals/core/version.hpp>
#include <vitals/io/atomic_file.hpp>
#include <vitals/report/result.hpp>
#include <vitals/report/svg.hpp>

#include "support/command_line.hpp"
#include "support/comparison.hpp"
#include "support/run.hpp"

namespace vt = vitals;

namespace {

// What goes on to fine_tune, and to knn where that knows it; empty: their default.
struct Passed {
  const char* flag;
  bool knn;
  std::string value;
};

void body(support::CommandLine& line, int argc, char** argv) {
  std::filesystem::path weights, manifest, work, report_file, plot;
  std::vector<std::string> methods{"head", "lora", "bitfit", "full"};
  std::vector<std::size_t> seeds{0, 1, 2};
  std::size_t images = 0, bootstrap = 1000;
  bool val = false, quiet = false;
  std::vector<Passed> passed;
  for (const char* flag : {"--model", "--size", "--transform", "--dtype", "--threads"})
    passed.push_back({flag, true, {}});
  for (const char* flag : {"--batch", "--epochs", "--steps", "--augment", "--rotate", "--rank", "--alpha", "--dropout",
                           "--targets", "--bias", "--drop-path", "--warmup", "--max-norm", "--weight-decay"})
    passed.push_back({flag, false, {}});
  line.option("--weights", weights, ".pth or .safetensors; without it random weights");
  line.option("--data", manifest, "manifest: CSV with path,label,split[,patient]").required();
  line.option("--images", images, "so many training images, evenly spaced in the manifest; 0: all");
  line.flag("--val", val, "let val pick the best step; without it the last step counts");
  line.option("--methods", methods,
              "METHOD[:OPTIMIZER[:RATE[:HEAD_RATE]]] or knn[:K]; the first is what others are compared with");
  line.option("--seeds", seeds, "each method is trained once with each");
  line.option("--work", work, "folder of the single runs; those that it holds are not made again").required();
  line.option("--report", report_file, "write the results and their conditions as JSON").required();
  line.option("--plot", plot, "write quality against memory as SVG");
  line.option("--bootstrap", bootstrap, "resamples of the 95 % intervals; 0: no intervals");
  for (auto& p : passed) line.option(p.flag, p.value, "as fine_tune's");
  line.flag("--quiet", quiet, "no progress");
  line.parse(argc, argv);
  if (methods.empty() || seeds.empty()) throw support::UsageError("--methods, --seeds: at least one");
  for (const auto& file : {report_file, plot}) support::check_output(file);
  std::vector<support::Way> ways;
  for (const auto& text : methods) ways.push_back(support::way_of(text, seeds));

  const auto data = vt::data::read_manifest(manifest);
  std::filesystem::create_directories(work);
  support::write_manifest(work / "manifest.csv", data, images, val);
  vt::report::Report report{"compare_methods", vt::version, {}, {}, {}, 0, {}};
  report.conditions = {{"weights", weights.string()},
                       {"weights_sha256", weights.empty() ? "" : vt::sha256_of_file(weights)},
                       {"data", manifest.string()},
                       {"data_sha256", data.sha256},
                       {"images", static_cast<long long>(images)},
                       {"val", val},
                       {"methods", methods},
                       {"seeds", std::vector<long long>(seeds.begin(), seeds.end())},
                       {"bootstrap", static_cast<long long>(bootstrap)}};
  for (const auto& p : passed)
    if (!p.value.empty()) report.conditions.emplace_back(p.flag + 2, p.value);

  std::vector<std::vector<std::filesystem::path>> files(ways.size());
  for (std::size_t w = 0; w < ways.size(); ++w) {
    std::vector<std::string> shared{"--data", (work / "manifest.csv").string()};
    if (!weights.empty()) shared.insert(shared.end(), {"--weights", weights.string()});
    if (quiet) shared.push_back("--quiet");
    for (const auto& p : passed)
      if (!p.value.empty() && (p.knn || ways[w].program == "fine_tune")) shared.insert(shared.end(), {p.flag, p.value});
    for (const std::size_t seed : ways[w].seeds) {
      if (!quiet) std::cerr << ways[w].text << ", seed " << seed << "\n";
      files[w].push_back(support::run_way(ways[w], seed, shared, work));
    }
  }

  const auto results = support::score_ways(ways, files, data, bootstrap, seeds[0]);
  std::vector<vt::report::ScatterPoint> points;
  for (const auto& r : results) {
    for (auto& row : support::rows_of(r)) report.results.push_back(std::move(row));
    if (r.auroc.value) points.push_back({r.name, r.peak_memory_mib, *r.auroc.value.value, r.auroc.ci95});
  }
  report.peak_memory_mib = vt::report::peak_memory_mib();
  if (!plot.empty())
    vt::io::write_text_file(plot, vt::report::scatter_svg("Quality against memory, " + manifest.filename().string(),
                                                          "peak memory, MiB", "AUROC", points));
  vt::report::write_json(report_file, report);
  std::cout << support::comparison_table(results);
}

}  // namespace

int main(int argc, char** argv) {
  return support::program("compare_methods", "Head, low-rank terms, biases or everything: quality, time and memory",
                          [&](support::CommandLine& line) { body(line, argc, argv); });
}
