// DICOM pictures (PS3.3, PS3.5, PS3.10): stored numbers, pictures for models, volumes. The compressed transfer syntaxes are
// GDCM's: a program that includes this header-only links the libraries of vitals::medical_headers. The elements of a file are
// walked by our own reader, which takes up those that say how the picture is made, and no other: no name, number, date or
// free text of a patient is ever read into memory of its own, an error or a result.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>

#include <vitals/core/config.hpp>
#include <vitals/io/dicom_header.hpp>
#include <vitals/io/image.hpp>
#include <vitals/io/npy.hpp>
#include <vitals/io/volume.hpp>

namespace vitals::inline v0::io {

/// Whether a file begins as DICOM files do: "DICM" after 128 bytes, or a first element of group 0002 or 0008.
bool is_dicom(const std::filesystem::path& file);

/// Throws IoError (cannot be read), FormatError (not DICOM, no picture in it, damaged, truncated, sizes that the file cannot
/// hold or beyond max_image_pixels a frame).
DicomHeader read_dicom_header(const std::filesystem::path& file);

/// The numbers as stored, before rescale, window and any change of colour: YBR stays YBR (as after decompression), palette
/// indices stay indices; only the bits stored, sign extended. Shape: frames, rows, columns, samples; axes of length 1 are
/// left out. One-bit pictures become uint8 0 and 1.
/// Transfer syntaxes: implicit and explicit little endian, explicit big endian, deflated, RLE, JPEG (baseline, extended,
/// lossless), JPEG-LS, JPEG 2000 and its high-throughput kind, deflated frames. Throws as read_dicom_header, and FormatError for
/// another transfer syntax (named), and for pixels that are cut short or cannot be decoded.
NpyArray read_dicom_stored(const std::filesystem::path& file);

/// How grey values become a picture.
struct DicomView {
  enum class Window {
    header,  ///< the header's first window with its function; without one, from the frame's smallest value to its largest
    given,  ///< `window`, with the header's function
    none    ///< none: the modality's values as they are, Hounsfield units of CT
  };
  Window rule = Window::header;
  DicomWindow window{};
  std::size_t frame = 0;
};

/// One frame as a picture. Grey: float (H, W, 1); the stored numbers through the modality's table or slope and intercept and then,
/// but for Window::none, the window onto 0 (black) to 255 (white), with MONOCHROME1, whose small values are white, turned over.
/// Colour (RGB, YBR, palette): uint8 (H, W, 3), RGB.
/// Throws as read_dicom_stored, ArgumentError (no such frame, a width that is not positive).
Image read_dicom(const std::filesystem::path& file, const DicomView& view = {});

/// All frames of a grey picture as values (column, row, frame) of the modality, with the affine of the header; where the
/// header has none: the spacing, else 1 mm. Frames stay in their order. Throws as read_dicom_stored, DataError (colour; frames
/// whose positions are not evenly spaced along a line).
Volume read_dicom_volume(const std::filesystem::path& file);

}  // namespace vitals::inline v0::io

#if VITALS_HEADER_ONLY
#include <vitals/io/dicom.ipp>
#endif
