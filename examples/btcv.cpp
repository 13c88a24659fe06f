// Benchmark: Thirteen abdominal organs in CT, BTCV. `segment` with the study's splits and intensity rule.
//
//   btcv --weights dinov2_vits14_pretrain.pth --root DIR --decoder unet --report btcv.json
#include <vitals/data/nifti_volumes.hpp>

#include "support/segmenting.hpp"

int main(int argc, char** argv) {
  return support::program("btcv", "Thirteen abdominal organs in CT, BTCV",
                          [&](support::CommandLine& line) { support::segment(line, argc, argv, "btcv"); });
}
