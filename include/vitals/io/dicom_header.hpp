// What a DICOM file says of its picture, and nothing of whose it is. See dicom.hpp, which reads it.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include <vitals/io/volume.hpp>

namespace vitals::inline v0::io {

/// A VOI window (PS3.3 C.11.2): the values that are shown from black to white.
struct DicomWindow {
  double center = 0, width = 0;
};

struct DicomHeader {
  std::string modality;         ///< "CT", "MR" ...; empty: not said
  std::string transfer_syntax;  ///< UID; empty where the file has none (then implicit little endian)
  std::string photometric;      ///< "MONOCHROME2", "RGB", "PALETTE COLOR", "YBR_FULL" ...
  std::size_t frames = 1, rows = 0, columns = 0, samples = 1;
  std::size_t bits_allocated = 0, bits_stored = 0;
  bool is_signed = false;
  double slope = 1, intercept = 0;      ///< of the modality's values (Hounsfield units of CT); of the first frame
  std::vector<DicomWindow> windows;     ///< the header's proposals
  std::string window_function;          ///< "LINEAR" (also where nothing is said), "LINEAR_EXACT", "SIGMOID"
  std::array<double, 2> spacing{0, 0};  ///< millimetres between rows and between columns; 0: not said
  std::optional<Affine> affine;         ///< of voxels (column, row, frame) to RAS millimetres, where the file says it
};

}  // namespace vitals::inline v0::io
