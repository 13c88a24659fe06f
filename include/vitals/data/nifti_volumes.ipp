// Implementation of nifti_volumes.hpp.
#pragma once

#include <string>

#include <vitals/core/error.hpp>
#include <vitals/data/nifti_volumes.hpp>
#include <vitals/io/nifti.hpp>

namespace vitals::inline v0::data {

namespace detail {

inline bool is_nifti_name(const std::filesystem::path& file) {
  const std::string name = file.filename().string();
  return name.ends_with(".nii") || name.ends_with(".nii.gz");
}

inline std::array<std::size_t, 3> nifti_shape(const std::filesystem::path& file) {
  const auto header = io::read_nifti_header(file);
  if (header.frames() != 1)
    throw DataError(std::to_string(header.frames()) + " volumes in one file, where one is meant", file.string(),
                    "write each volume to a file of its own");
  return {header.dims[0], header.dims[1], header.dims[2]};
}

inline io::Volume nifti_image(const std::filesystem::path& file) { return io::read_nifti(file); }
inline io::LabelVolume nifti_mask(const std::filesystem::path& file) { return io::read_nifti_labels(file); }

}  // namespace detail

VITALS_INLINE const VolumeFormat& nifti() {
  static constexpr VolumeFormat format{detail::is_nifti_name, detail::nifti_shape, detail::nifti_image,
                                       detail::nifti_mask};
  return format;
}

}  // namespace vitals::inline v0::data
