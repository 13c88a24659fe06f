// A program of somebody else's that reads medical files, compiled or header-only.
#include <cstdio>

#include <vitals/core/error.hpp>
#include <vitals/io/dicom.hpp>
#include <vitals/io/nifti.hpp>

int main() {
  vitals::io::Volume volume;
  volume.values = vitals::Tensor<float, vitals::dyn, vitals::dyn, vitals::dyn>({2, 3, 4});
  volume.values(1, 2, 3) = 7;
  vitals::io::write_nifti("volume.nii.gz", volume);
  try {
    vitals::io::read_dicom("volume.nii.gz");
  } catch (const vitals::FormatError& error) {
    std::printf("%s\n", error.what());
    return vitals::io::read_nifti("volume.nii.gz").values(1, 2, 3) == 7 ? 0 : 1;
  }
  return 1;
}
