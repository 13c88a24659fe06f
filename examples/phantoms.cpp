// A labelled set of drawn chest films, for trying the other programs where no real images are at hand.
//
//   phantoms films/ && knn --weights dinov2_vits14_pretrain.pth --data films/manifest.csv --k 10 --report knn.json
#include <iostream>

#include <vitals/data/phantom_dataset.hpp>

#include "support/command_line.hpp"
#include "support/progress_bar.hpp"
#include "support/run.hpp"

namespace vt = vitals;

int main(int argc, char** argv) {
  return support::program(
      "phantoms", "Drawn chest films with a manifest: healthy, nodule or effusion", [&](support::CommandLine& line) {
        std::vector<std::filesystem::path> folders;
        std::size_t train = 240, val = 60, test = 200, side = 256, seed = 0;
        bool quiet = false;
        line.files("folder", folders, "where films/ and manifest.csv are written").required();
        line.option("--train", train, "films to learn from");
        line.option("--val", val, "films to choose settings by");
        line.option("--test", test, "films to test on");
        line.option("--side", side, "their size in pixels");
        line.option("--seed", seed, "another seed draws other patients");
        line.flag("--quiet", quiet, "no progress");
        line.parse(argc, argv);
        if (folders.size() != 1) throw support::UsageError("one folder, please");

        support::ProgressBar bar(quiet);
        vt::phantom::DatasetOptions options;
        options.seed = seed;
        options.side = side;
        options.progress = bar.sink();
        std::cout << vt::phantom::write_dataset(folders[0], {train, val, test}, options).string() << '\n';
      });
}
