// Implementation of dicom_series.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <vitals/core/error.hpp>
#include <vitals/io/dicom.hpp>
#include <vitals/io/dicom_elements.hpp>
#include <vitals/io/dicom_frames.hpp>
#include <vitals/io/dicom_geometry.hpp>
#include <vitals/io/dicom_series.hpp>

namespace vitals::inline v0::io {

namespace detail {

struct DicomSlice {
  std::filesystem::path file;
  DicomPlane plane;
  std::size_t rows = 0, columns = 0;
  std::string series;  // compared, never shown
  double along = 0;    // the normal
};

inline std::string quoted_name(const std::filesystem::path& file) { return printable(file.filename().string()); }

inline DicomSlice read_dicom_slice(const std::filesystem::path& path) {
  const DicomFile file(path);
  const DicomFrames frames(file);
  const auto& pixels = frames.pixels();
  if (pixels.frames != 1)
    throw DataError("[read_dicom_series] a file of " + std::to_string(pixels.frames) + " frames among the slices",
                    path.string(), "read it by itself");
  const auto plane = dicom_plane(file, 0);
  if (!plane)
    throw DataError("[read_dicom_series] a slice without a position and an orientation", path.string(),
                    "take it out of the folder");
  return {path, *plane, pixels.rows, pixels.columns, DicomFile::text(file.find(0x0020000e)), 0};
}

/// What makes two slices one stack, in words where it does not.
inline std::string differs(const DicomSlice& a, const DicomSlice& b) {
  if (a.series != b.series) return "another series";
  if (a.rows != b.rows || a.columns != b.columns) return "another size";
  for (std::size_t d = 0; d < 3; ++d)
    if (std::abs(a.plane.along_row[d] - b.plane.along_row[d]) > 1e-3 ||
        std::abs(a.plane.along_column[d] - b.plane.along_column[d]) > 1e-3)
      return "another orientation";
  for (std::size_t d = 0; d < 2; ++d)
    if (std::abs(a.plane.spacing[d] - b.plane.spacing[d]) > 1e-3 * a.plane.spacing[d]) return "another spacing";
  return {};
}

}  // namespace detail

VITALS_INLINE DicomSeries read_dicom_series(const std::filesystem::path& folder) {
  const std::string where = folder.string();
  std::error_code error;
  std::vector<std::filesystem::path> files;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    if (it->is_regular_file(error)) files.push_back(it->path());
  if (error) throw IoError("[read_dicom_series] the folder cannot be read", where, "check the name");
  std::sort(files.begin(), files.end());
  std::vector<detail::DicomSlice> slices;
  for (const auto& file : files)
    if (is_dicom(file)) slices.push_back(detail::read_dicom_slice(file));
  if (slices.empty())
    throw DataError("[read_dicom_series] no DICOM file in the folder", where, "name the folder of a series");

  std::vector<std::size_t> kinds{0};  // the first slice of each kind
  std::string difference;
  for (std::size_t s = 1; s < slices.size(); ++s) {
    const bool known = std::any_of(kinds.begin(), kinds.end(),
                                   [&](std::size_t k) { return detail::differs(slices[k], slices[s]).empty(); });
    if (known) continue;
    if (difference.empty()) difference = detail::differs(slices[0], slices[s]);
    kinds.push_back(s);
  }
  if (kinds.size() > 1)
    throw DataError("[read_dicom_series] " + std::to_string(kinds.size()) +
                        " kinds of slices in one folder: " + detail::quoted_name(slices[kinds[1]].file) + " is of " +
                        difference + " than " + detail::quoted_name(slices[0].file),
                    where, "give each series a folder of its own");

  const auto normal = slices[0].plane.normal();
  for (auto& slice : slices) slice.along = detail::dot(slice.plane.position, normal);
  std::stable_sort(slices.begin(), slices.end(), [](const auto& a, const auto& b) { return a.along < b.along; });
  if (slices.size() > 1) {
    std::vector<double> gaps;
    for (std::size_t s = 1; s < slices.size(); ++s) gaps.push_back(slices[s].along - slices[s - 1].along);
    auto sorted = gaps;
    // The lower median: of two gaps the larger is where a slice is missing.
    std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>((sorted.size() - 1) / 2),
                     sorted.end());
    const double usual = sorted[(sorted.size() - 1) / 2];
    for (std::size_t s = 1; s < slices.size(); ++s) {
      const std::string pair = detail::quoted_name(slices[s - 1].file) + " and " + detail::quoted_name(slices[s].file);
      if (!(gaps[s - 1] > 1e-3))
        throw DataError("[read_dicom_series] two slices at one position: " + pair, where, "take one of them out");
      if (std::abs(gaps[s - 1] - usual) > 0.05 * usual + 0.01)
        throw DataError("[read_dicom_series] uneven gaps: " + std::to_string(gaps[s - 1]) + " mm between " + pair +
                            ", " + std::to_string(usual) + " mm elsewhere",
                        where, "a slice is missing");
    }
  }

  DicomSeries series;
  std::vector<detail::DicomPlane> planes;
  for (const auto& slice : slices) planes.push_back(slice.plane), series.files.push_back(slice.file);
  if (slices.size() == 1) {
    series.volume = read_dicom_volume(slices[0].file);
    return series;
  }
  const auto step = detail::even_step(planes);
  if (!step)
    throw DataError("[read_dicom_series] slices that do not lie along a line", where,
                    "a stack of parallel slices is read");
  const auto [rows, columns] = std::pair(slices[0].rows, slices[0].columns);
  if (rows * columns > (std::size_t{1} << 31) / slices.size())
    throw FormatError("[read_dicom_series] more than 2^31 voxels", where);
  series.volume.affine = detail::dicom_affine(planes[0], *step);
  series.volume.values = Tensor<float, dyn, dyn, dyn>({columns, rows, slices.size()});
  float* out = series.volume.values.data();
  const std::size_t count = slices.size();
  for (std::size_t s = 0; s < count; ++s) {
    const auto slice = read_dicom_volume(slices[s].file);  // (column, row, 1)
    const float* in = slice.values.data();
    for (std::size_t i = 0; i < rows * columns; ++i) out[i * count + s] = in[i];
  }
  return series;
}

}  // namespace vitals::inline v0::io
