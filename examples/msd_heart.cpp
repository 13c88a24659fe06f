// Benchmark: The left atrium in MRI, Medical Segmentation Decathlon. `segment` with the study's splits and intensity rule.
//
//   msd_heart --weights dinov2_vits14_pretrain.pth --root DIR --decoder unet --report msd_heart.json
#include <vitals/data/nifti_volumes.hpp>

#include "support/segmenting.hpp"

int main(int argc, char** argv) {
  return support::program("msd_heart", "The left atrium in MRI, Medical Segmentation Decathlon",
                          [&](support::CommandLine& line) { support::segment(line, argc, argv, "msd_heart"); });
}
