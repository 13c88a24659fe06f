// Where the pixels of the program `features` come from.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <vitals/core/tensor.hpp>
#include <vitals/data/transforms.hpp>

#include "medical.hpp"

namespace support {

struct PixelSource {
  std::size_t count = 0;           ///< images
  std::vector<std::string> files;  ///< as given
  std::string transform, size;     ///< for the record
  /// (n, 3, H, W), normalised, of the images first .. first + n.
  std::function<vitals::Tensor<float, vitals::dyn, 3, vitals::dyn, vitals::dyn>(std::size_t first, std::size_t n)> read;
};

/// Pictures (also DICOM, and slices of NIfTI) through a transform; errors name the file.
PixelSource pixels_of_images(const std::vector<std::filesystem::path>& images,
                             const vitals::transforms::Transform& transform, const SliceChoice& choice = {});
/// The tensor `pixels` (B, 3, H, W), float32, of a file. Throws FormatError, DataError (NaN).
PixelSource pixels_of_file(const std::filesystem::path& file);

/// A JSON list of strings.
std::string json_list(const std::vector<std::string>& texts);

}  // namespace support
