#include "medical.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iostream>
#include <limits>
#include <string>

#include <vitals/core/error.hpp>
#include <vitals/io/npy.hpp>

// Which parts there are is the build's to say (examples/CMakeLists.txt).
#ifdef VITALS_WITH_NIFTI
#include <vitals/data/nifti_volumes.hpp>
#include <vitals/io/nifti.hpp>
#include <vitals/io/orientation.hpp>
#endif
#ifdef VITALS_WITH_DICOM
#include <vitals/io/dicom.hpp>
#include <vitals/io/dicom_series.hpp>
#include <vitals/io/orientation.hpp>
#endif

namespace vt = vitals;

namespace support {

namespace {

[[noreturn, maybe_unused]] void left_out(const char* what, const char* library, const std::filesystem::path& file) {
  throw vt::FormatError(std::string(what) + " is not read by this program, which was built without " + library,
                        file.string(), "install it (tools/install_packages.sh) and build again");
}

[[maybe_unused]] void print_range(const vt::io::NpyArray& array) {
  double low = INFINITY, high = -INFINITY;
  std::size_t strange = 0;
  for (const double v : array.to_double()) {
    if (!std::isfinite(v))
      ++strange;
    else
      low = std::min(low, v), high = std::max(high, v);
  }
  std::cout << "type: " << vt::io::name(array.dtype) << "\nrange: " << low << " to " << high << " (stored)\n";
  if (strange) std::cout << "not finite: " << strange << " values\n";
}

}  // namespace

FileKind kind_of(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) throw vt::IoError("cannot be opened", file.string(), "check the name");
  std::string head(352, '\0');
  stream.read(head.data(), static_cast<std::streamsize>(head.size()));
  if (head.rfind("\x89PNG", 0) == 0 || head.rfind("\xff\xd8\xff", 0) == 0) return FileKind::picture;
  const std::string size = head.substr(0, 4);
  const bool second = size == std::string("\x1c\2\0\0", 4) || size == std::string("\0\0\2\x1c", 4);
  if (head.substr(344, 3) == "n+1" || head.substr(344, 3) == "ni1" || second || head.rfind("\x1f\x8b", 0) == 0)
    return FileKind::nifti;
  const bool headless = (head[0] == 2 || head[0] == 8) && head[1] == 0 && head[3] == 0 &&
                        ((head[4] >= 'A' && head[4] <= 'Z' && head[5] >= 'A' && head[5] <= 'Z') ||
                         (head[2] < 0x20 && head[6] == 0 && head[7] == 0));
  // A safetensors file begins with a length and then "{".
  if (head.substr(128, 4) == "DICM" || (headless && head[8] != '{')) return FileKind::dicom;
  return FileKind::tensors;
}

const vt::data::VolumeFormat* volume_format() {
#ifdef VITALS_WITH_NIFTI
  return &vt::data::nifti();
#else
  return nullptr;
#endif
}

void show_nifti([[maybe_unused]] const std::filesystem::path& file, [[maybe_unused]] const std::filesystem::path& raw) {
#ifdef VITALS_WITH_NIFTI
  const auto header = vt::io::read_nifti_header(file);
  const auto array = vt::io::read_nifti_stored(file);
  std::cout << "NIfTI-" << header.version << (header.compressed ? ", compressed" : "")
            << (header.big_endian ? ", big endian" : "") << "\nsize: " << vt::to_string(header.dims) << " (x, y, z"
            << (header.dims.size() > 3 ? ", ..." : "") << ")\n";
  print_range(array);
  if (header.slope != 1 || header.intercept != 0)
    std::cout << "scale: stored * " << header.slope << " + " << header.intercept << "\n";
  const auto spacing = vt::io::VolumeOf<float>{{}, header.affine}.spacing();
  std::cout << "spacing: " << spacing[0] << " x " << spacing[1] << " x " << spacing[2]
            << " mm\norientation: " << vt::io::orientation(header.affine) << "\n";
  std::vector<std::size_t> shape;
  for (const auto extent : array.shape)
    if (extent > 1) shape.push_back(extent);
  if (!raw.empty()) vt::io::write_npy(raw, shape, array.dtype, array.bytes);
#else
  left_out("NIfTI", "nifti_clib", file);
#endif
}

void show_dicom([[maybe_unused]] const std::filesystem::path& file, [[maybe_unused]] const std::filesystem::path& raw) {
#ifdef VITALS_WITH_DICOM
  const auto header = vt::io::read_dicom_header(file);
  const auto array = vt::io::read_dicom_stored(file);
  std::cout << "DICOM" << (header.modality.empty() ? "" : " ") << header.modality << ", transfer syntax "
            << (header.transfer_syntax.empty() ? "not said" : header.transfer_syntax) << "\nsize: " << header.rows
            << " x " << header.columns << " (height x width), " << header.frames
            << (header.frames == 1 ? " frame, " : " frames, ") << header.photometric << ", " << header.bits_stored
            << " of " << header.bits_allocated << " bits\n";
  print_range(array);
  if (header.slope != 1 || header.intercept != 0)
    std::cout << "rescale: stored * " << header.slope << " + " << header.intercept << "\n";
  for (const auto& window : header.windows)
    std::cout << "window: centre " << window.center << ", width " << window.width << " (" << header.window_function
              << ")\n";
  if (header.spacing[0] > 0)
    std::cout << "spacing: " << header.spacing[0] << " x " << header.spacing[1] << " mm (rows, columns)\n";
  else
    std::cout << "spacing: not said\n";
  if (!raw.empty()) vt::io::write_npy(raw, array.shape, array.dtype, array.bytes);
#else
  left_out("DICOM", "GDCM", file);
#endif
}

void show_series([[maybe_unused]] const std::filesystem::path& folder) {
#ifdef VITALS_WITH_DICOM
  const auto series = vt::io::read_dicom_series(folder);
  const auto& values = series.volume.values;
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  const auto spacing = series.volume.spacing();
  std::cout << "DICOM series, " << series.files.size() << " slices from " << series.files.front().filename().string()
            << " to " << series.files.back().filename().string() << "\nsize: " << vt::to_string(values.shape())
            << " (column, row, slice)\nrange: " << *low << " to " << *high << " (rescaled)\nspacing: " << spacing[0]
            << " x " << spacing[1] << " x " << spacing[2]
            << " mm\norientation: " << vt::io::orientation(series.volume.affine) << "\n";
#else
  left_out("DICOM", "GDCM", folder);
#endif
}

namespace {

#ifdef VITALS_WITH_NIFTI
vt::io::Image nifti_slice(const std::filesystem::path& file, const SliceChoice& choice) {
  // Left, back and head first: slices along each axis then lie as they are looked at, but for rows that run upwards.
  const auto volume = vt::io::reoriented(vt::io::read_nifti(file), "LPS");
  const auto& shape = volume.values.shape();
  const std::size_t count = shape[choice.axis], slice = choice.slice.value_or(count / 2);
  if (slice >= count)
    throw vt::ArgumentError("--slice " + std::to_string(slice) + ": there are " + std::to_string(count) +
                                " along axis " + std::to_string(choice.axis),
                            file.string(), "slices count from 0");
  const std::size_t across = choice.axis == 0 ? 1 : 0, down = choice.axis == 2 ? 1 : 2;
  vt::Tensor<float, vt::dyn, vt::dyn, vt::dyn> pixels({shape[down], shape[across], 1});
  float low = std::numeric_limits<float>::infinity(), high = -low;
  for (std::size_t r = 0; r < shape[down]; ++r)
    for (std::size_t c = 0; c < shape[across]; ++c) {
      std::array<std::size_t, 3> at{};
      at[choice.axis] = slice, at[across] = c, at[down] = choice.axis == 2 ? r : shape[down] - 1 - r;
      const float v = volume.values(at[0], at[1], at[2]);
      if (!std::isfinite(v)) throw vt::DataError("NaN or infinity in slice " + std::to_string(slice), file.string());
      pixels(r, c, 0) = v, low = std::min(low, v), high = std::max(high, v);
    }
  for (float& v : pixels) v = high > low ? 255 * (v - low) / (high - low) : 0;
  return {std::move(pixels)};
}
#endif

}  // namespace

vt::io::Image read_picture(const std::filesystem::path& file, [[maybe_unused]] const SliceChoice& choice) {
  switch (kind_of(file)) {
    case FileKind::dicom:
#ifdef VITALS_WITH_DICOM
      return vt::io::read_dicom(file, {.frame = choice.slice.value_or(0)});
#else
      left_out("DICOM", "GDCM", file);
#endif
    case FileKind::nifti:
#ifdef VITALS_WITH_NIFTI
      return nifti_slice(file, choice);
#else
      left_out("NIfTI", "nifti_clib", file);
#endif
    default:
      return vt::io::read_image(file);
  }
}

}  // namespace support
