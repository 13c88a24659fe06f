// Segmentation: a decoder on the patch tokens of a frozen backbone, trained on train, its rate picked on val, tested on test.
//
//   segment --weights dinov2_vits14_pretrain.pth --data manifest.csv --mask-values 0,255 --decoder unet --loss combined
//           --lrs 0.001,0.01 --overlays overlays/ --save-masks masks/ --report lungs.json
//   segment --weights dinov2_vits14_pretrain.pth --dataset msd_heart --root Task02_Heart --report heart.json
#include <vitals/data/nifti_volumes.hpp>

#include "support/segmenting.hpp"

int main(int argc, char** argv) {
  return support::program("segment", "Masks from the frozen features of a backbone",
                          [&](support::CommandLine& line) { support::segment(line, argc, argv); });
}
