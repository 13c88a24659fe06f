// The linear probe: a grid of linear heads on frozen features trains at once, the best on val is retrained on
// train + val and tested.
//
//   linear_probe --weights dinov2_vits14_pretrain.pth --data manifest.csv --report probe.json
#include <vitals/eval/linear_probe.hpp>

#include "support/command_line.hpp"
#include "support/model.hpp"
#include "support/probe.hpp"
#include "support/run.hpp"

namespace vt = vitals;

int main(int argc, char** argv) {
  return support::program(
      "linear_probe", "A linear classifier on the frozen features of a backbone", [&](support::CommandLine& line) {
        support::ModelOptions model(line, "paper", false);
        support::DataOptions data(line);
        support::ProbeOptions probe(line, 10);
        std::filesystem::path head;
        line.option("--save-head", head, "write the head: weight (K, in) and bias (K) as safetensors");
        line.parse(argc, argv);
        support::check_output(head);

        support::Run run(line, model, data);
        auto options = probe.of(run, model);  // the grid, the epochs, the seed
        probe.add_conditions(run);
        const auto features = run.features();  // each image once
        const auto result =
            vt::eval::linear_probe(features, options);  // A: the grid on train; B: the best on train + val
        run.clock("linear probe");
        for (const auto& note : result.notes) run.note(note);
        for (const auto& entry : result.grid) {  // what val said about each head
          vt::report::Result line_of_grid;
          line_of_grid.name = "linear " + vt::eval::name(entry.setting);
          line_of_grid.split = result.picked_on_test ? "test" : "val";
          line_of_grid.metric = "auroc of the grid";
          line_of_grid.value = entry.auroc;
          line_of_grid.n =
              run.dataset().indices(result.picked_on_test ? vt::data::Split::test : vt::data::Split::val).size();
          run.add(line_of_grid);
        }
        run.score(result.prediction);
        if (!head.empty()) vt::eval::save_head(head, result.head, run.dataset().classes);
        run.finish();
      });
}
