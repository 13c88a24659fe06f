// MATLAB's .mat files of version 7.3, which are HDF5 files: numeric arrays by their names, as the Brain Tumor set has them
// (cjdata/image, cjdata/label, cjdata/PID, cjdata/tumorMask). Header-only use links HDF5.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include <vitals/core/config.hpp>
#include <vitals/core/tensor.hpp>
#include <vitals/io/npy.hpp>

namespace vitals::inline v0::io {

/// The names of the numeric arrays in the file, "cjdata/image", sorted; at most 10,000.
/// Throws IoError (cannot be read), FormatError (no HDF5 file: .mat before 7.3, damaged).
std::vector<std::string> matlab_names(const std::filesystem::path& file);

/// One array in row-major order with MATLAB's shape: element (i, j) is MATLAB's (i + 1, j + 1). The type is the stored one, of chars
/// uint16. `name` with / between the levels.
/// Throws as matlab_names, DataError (no such array), FormatError (neither integers nor float; more numbers than 2^28, or than
/// the file can hold).
NpyArray read_matlab(const std::filesystem::path& file, const std::string& name);

/// A file of the Brain Tumor set (figshare 1512427, Cheng et al., PLoS ONE 10(10): e0140381). `patient` groups its slices, for
/// splits that keep patients apart.
struct BrainTumorSlice {
  Tensor<float, dyn, dyn, dyn> image;   ///< (H, W, 1), as stored
  Tensor<std::uint8_t, dyn, dyn> mask;  ///< (H, W), 1 inside the tumour; empty where the file has none
  int label = 0;                        ///< 1 meningioma, 2 glioma, 3 pituitary tumour
  std::string patient;                  ///< cjdata/PID
};
/// Throws as read_matlab, DataError (a label other than 1 to 3, no picture).
BrainTumorSlice read_brain_tumor(const std::filesystem::path& file);

}  // namespace vitals::inline v0::io

#if VITALS_HEADER_ONLY
#include <vitals/io/matlab.ipp>
#endif
