// Benchmark: The spleen in CT, Medical Segmentation Decathlon. `segment` with the study's splits and intensity rule.
//
//   msd_spleen --weights dinov2_vits14_pretrain.pth --root DIR --decoder unet --report msd_spleen.json
#include <vitals/data/nifti_volumes.hpp>

#include "support/segmenting.hpp"

int main(int argc, char** argv) {
  return support::program("msd_spleen", "The spleen in CT, Medical Segmentation Decathlon",
                          [&](support::CommandLine& line) { support::segment(line, argc, argv, "msd_spleen"); });
}
