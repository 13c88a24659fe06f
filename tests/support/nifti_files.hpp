// What the tests of NIfTI share: files in a folder that ends with the test, reading what was just written, masks of numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>

#include <vitals/core/tensor.hpp>
#include <vitals/io/nifti.hpp>

#include "archives.hpp"
#include "nifti.hpp"
#include "paths.hpp"

namespace test {

inline const TemporaryFolder folder;
inline constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

inline std::filesystem::path saved(const std::string& bytes, const std::string& name = "a.nii") {
  save(folder / name, bytes);
  return folder / name;
}

inline vitals::io::Volume read(const Nifti& file) { return vitals::io::read_nifti(saved(file.bytes())); }

/// A mask of x * y * z values below 251, neighbours different.
inline vitals::io::LabelVolume labels(std::size_t x, std::size_t y, std::size_t z) {
  vitals::io::LabelVolume volume;
  volume.values = vitals::Tensor<std::uint8_t, vitals::dyn, vitals::dyn, vitals::dyn>({x, y, z});
  for (std::size_t n = 0; n < volume.values.size(); ++n)
    volume.values.data()[n] = static_cast<std::uint8_t>(n * 7 % 251);
  return volume;
}

}  // namespace test
