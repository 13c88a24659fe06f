// What is there of a benchmark's archive and what is missing, and a manifest of it that the other programs read.
//
//   dataset --dataset nih_chest_xray --root ChestXray-NIHCC --manifest nih.csv
#include <fstream>
#include <functional>
#include <iostream>
#include <map>

#include <vitals/data/datasets/classification.hpp>
#include <vitals/data/datasets/segmentation_benchmarks.hpp>
#include <vitals/io/csv.hpp>

#include "support/command_line.hpp"
#include "support/run.hpp"

namespace vt = vitals;

namespace {

using Rows = std::vector<std::vector<std::string>>;

std::string absolute(const std::filesystem::path& root, const std::string& path) {
  return std::filesystem::absolute(root / path).lexically_normal().string();
}

Rows masks(const vt::data::SegmentationBenchmark& benchmark, const std::filesystem::path& root) {
  vt::data::Census census;
  Rows rows;
  for (const auto& item : vt::data::listed(benchmark, root, census)) {
    std::string mask = item.mask;  // several are joined by |
    const auto bar = mask.find('|');
    mask = absolute(root, mask.substr(0, bar)) +
           (bar == std::string::npos ? "" : "|" + absolute(root, mask.substr(bar + 1)));
    rows.push_back({absolute(root, item.path), mask, vt::data::name(item.split), item.patient});
  }
  std::cout << census.text() << "split: " << benchmark.split_origin << "; intensity " << benchmark.intensity.name()
            << "; licence and source: " << benchmark.licence << "\n";
  return rows;
}

Rows labels(const vt::data::Dataset& set) {
  Rows rows;
  std::map<std::string, std::size_t> splits;
  for (const auto& item : set.items) {
    std::string names;
    for (std::size_t k : item.labels) names += (names.empty() ? "" : "|") + set.classes[k];
    rows.push_back({absolute(set.root, item.path), names, vt::data::name(item.split), item.patient});
    ++splits[vt::data::name(item.split)];
  }
  std::cout << set.items.size() << " images; train " << splits["train"] << ", val " << splits["val"] << ", test "
            << splits["test"] << (set.patients_overlap ? "; patients stand in two splits" : "") << "\n";
  return rows;
}

}  // namespace

int main(int argc, char** argv) {
  return support::program(
      "dataset", "Counts a benchmark's archive and writes a manifest", [&](support::CommandLine& line) {
        using Reader = vt::data::Dataset (*)(const std::filesystem::path&, const vt::data::ClassificationOptions&);
        const std::map<std::string, Reader> with_labels{{"nih_chest_xray", vt::data::nih_chest_xray},
                                                        {"chexpert", vt::data::chexpert},
                                                        {"sars_cov_2_ct", vt::data::sars_cov_2_ct}};
        std::vector<std::string> names;
        for (const auto* benchmark : vt::data::segmentation_benchmarks()) names.emplace_back(benchmark->name);
        for (const auto& [name, reader] : with_labels) names.push_back(name);
        std::string name;
        std::filesystem::path root, manifest;
        bool incomplete = false;
        line.choice("--dataset", name, names, "the benchmark").required();
        line.option("--root", root, "folder of its archive").required();
        line.option("--manifest", manifest, "write path,mask,split,patient or path,label,split,patient");
        line.flag("--allow-incomplete", incomplete, "of a set with labels: take what is there");
        line.parse(argc, argv);
        support::check_output(manifest);
        const auto reader = with_labels.find(name);
        const bool labelled = reader != with_labels.end();
        const auto rows = labelled ? labels(reader->second(root, {.allow_incomplete = incomplete}))
                                   : masks(vt::data::segmentation_benchmark(name), root);
        const std::vector<std::string> header{"path", labelled ? "label" : "mask", "split", "patient"};
        if (!manifest.empty()) vt::io::write_csv(manifest, header, rows);
      });
}
