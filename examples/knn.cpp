// kNN on frozen features: how good is a backbone without any training? Searched are train + val, tested is test.
//
//   knn --weights dinov2_vits14_pretrain.pth --data manifest.csv --k 10,20 --report knn.json
#include <algorithm>

#include <vitals/core/error.hpp>
#include <vitals/eval/knn.hpp>
#include <vitals/eval/mlknn.hpp>

#include "support/command_line.hpp"
#include "support/model.hpp"
#include "support/run.hpp"

namespace vt = vitals;

int main(int argc, char** argv) {
  return support::program("knn", "kNN on the frozen features of a backbone", [&](support::CommandLine& line) {
    support::ModelOptions model(line, "paper");
    support::DataOptions data(line);
    std::vector<std::size_t> k{10, 20, 100, 200};
    std::string method = "mlknn";
    line.option("--k", k, "numbers of neighbours; one result for each");
    line.choice("--method", method, {"mlknn", "dinov2"},
                "mlknn: Bayes on the labels of the neighbours; dinov2: their vote, weighted by similarity");
    line.parse(argc, argv);

    support::Run run(line, model, data);
    using vt::data::Split;
    const std::size_t searched = run.dataset().indices(Split::train).size() + run.dataset().indices(Split::val).size();
    if (const std::size_t largest = *std::max_element(k.begin(), k.end()); largest > searched)
      throw vt::ArgumentError("--k: " + std::to_string(largest) + " neighbours, but train + val have " +
                                  std::to_string(searched) + " images",
                              data.manifest.string(), "give smaller numbers, as --k 5,10");
    run.condition("method", method);
    run.condition("k", k);

    const auto features = run.features();  // CLS of the last blocks, from the cache if there is one
    const vt::eval::KnnOptions options{.k = k, .train = {}, .progress = run.bar().sink(), .executor = nullptr};
    const auto predictions =
        method == "mlknn" ? vt::eval::mlknn(features, options) : vt::eval::weighted_knn(features, options);
    run.clock("knn");
    for (const auto& prediction : predictions) run.score(prediction);  // every metric, with its interval
    run.finish();
  });
}
