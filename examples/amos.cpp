// Benchmark: Fifteen abdominal organs in CT, AMOS22. `segment` with the study's splits and intensity rule.
//
//   amos --weights dinov2_vits14_pretrain.pth --root DIR --decoder unet --report amos.json
#include <vitals/data/nifti_volumes.hpp>

#include "support/segmenting.hpp"

int main(int argc, char** argv) {
  return support::program("amos", "Fifteen abdominal organs in CT, AMOS22",
                          [&](support::CommandLine& line) { support::segment(line, argc, argv, "amos"); });
}
