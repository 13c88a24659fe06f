// Benchmark: Lungs on the chest X-rays of Montgomery County. `segment` with the study's splits and intensity rule.
//
//   montgomery --weights dinov2_vits14_pretrain.pth --root DIR --decoder unet --report montgomery.json
#include <vitals/data/nifti_volumes.hpp>

#include "support/segmenting.hpp"

int main(int argc, char** argv) {
  return support::program("montgomery", "Lungs on the chest X-rays of Montgomery County",
                          [&](support::CommandLine& line) { support::segment(line, argc, argv, "montgomery"); });
}
