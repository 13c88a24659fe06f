// Benchmark: Lungs on the chest X-rays of Shenzhen. `segment` with the study's splits and intensity rule.
//
//   shenzhen --weights dinov2_vits14_pretrain.pth --root DIR --decoder unet --report shenzhen.json
#include <vitals/data/nifti_volumes.hpp>

#include "support/segmenting.hpp"

int main(int argc, char** argv) {
  return support::program("shenzhen", "Lungs on the chest X-rays of Shenzhen",
                          [&](support::CommandLine& line) { support::segment(line, argc, argv, "shenzhen"); });
}
