// Where the frames of a DICOM file lie in the patient (PS3.3 C.7.6.2, C.7.6.16.2): affines. For dicom.ipp and dicom_series.ipp.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <optional>
#include <vector>

#include <vitals/io/dicom_elements.hpp>
#include <vitals/io/volume.hpp>

namespace vitals::inline v0::io::detail {

using Point = std::array<double, 3>;

/// The plane of a frame, in DICOM's LPS millimetres.
struct DicomPlane {
  Point position{};                     // of the first pixel
  Point along_row{}, along_column{};    // unit vectors: where the column number grows, where the row number grows
  std::array<double, 2> spacing{1, 1};  // between rows, between columns

  Point normal() const {
    const Point &r = along_row, &c = along_column;
    return {r[1] * c[2] - r[2] * c[1], r[2] * c[0] - r[0] * c[2], r[0] * c[1] - r[1] * c[0]};
  }
};

inline double dot(const Point& a, const Point& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

/// An element of the frame's own functional group, of the shared ones, or of the file.
inline const DicomElement* find_for_frame(const DicomFile& file, std::size_t frame, DicomTag sequence, DicomTag tag) {
  const DicomElement* groups[2] = {file.find(0x52009230), file.find(0x52009229)};
  const std::size_t item[2] = {frame, 0};
  for (std::size_t g = 0; g < 2; ++g) {
    if (!groups[g] || groups[g]->items.size() <= item[g]) continue;
    const auto* inner = DicomFile::find(groups[g]->items[item[g]], sequence);
    if (!inner || inner->items.empty()) continue;
    if (const auto* found = DicomFile::find(inner->items[0], tag)) return found;
  }
  return file.find(tag);
}

inline bool all_finite(const std::vector<double>& numbers) {
  for (const double v : numbers)
    if (!std::isfinite(v)) return false;
  return true;
}

/// Millimetres between rows and between columns; 0 where the file does not say.
inline std::array<double, 2> dicom_spacing(const DicomFile& file, std::size_t frame) {
  const DicomElement* element = find_for_frame(file, frame, 0x00289110, 0x00280030);
  if (!element) element = file.find(0x00181164);  // a projection: at the detector
  const auto mm = DicomFile::numbers(element);
  if (mm.size() != 2 || !all_finite(mm) || !(mm[0] > 1e-6 && mm[1] > 1e-6 && mm[0] < 1e6 && mm[1] < 1e6)) return {0, 0};
  return {mm[0], mm[1]};
}

inline std::optional<DicomPlane> dicom_plane(const DicomFile& file, std::size_t frame) {
  const auto position = DicomFile::numbers(find_for_frame(file, frame, 0x00209113, 0x00200032));
  const auto axes = DicomFile::numbers(find_for_frame(file, frame, 0x00209116, 0x00200037));
  if (position.size() != 3 || axes.size() != 6 || !all_finite(position) || !all_finite(axes)) return std::nullopt;
  DicomPlane plane;
  for (std::size_t d = 0; d < 3; ++d)
    plane.position[d] = position[d], plane.along_row[d] = axes[d], plane.along_column[d] = axes[d + 3];
  const double row = std::sqrt(dot(plane.along_row, plane.along_row)),
               column = std::sqrt(dot(plane.along_column, plane.along_column));
  // Written with few digits: nearly of length one, nearly at right angles.
  if (!(std::abs(row - 1) < 0.01 && std::abs(column - 1) < 0.01)) return std::nullopt;
  if (!(std::abs(dot(plane.along_row, plane.along_column)) < 0.01)) return std::nullopt;
  const auto mm = dicom_spacing(file, frame);
  if (mm[0] > 0) plane.spacing = mm;
  return plane;
}

/// Voxel (column, row, slice) to RAS: the first two of the patient's axes of LPS are turned.
inline Affine dicom_affine(const DicomPlane& plane, const Point& step) {
  Affine affine{};
  for (std::size_t d = 0; d < 3; ++d) {
    const double sign = d < 2 ? -1 : 1;
    affine[d][0] = sign * plane.along_row[d] * plane.spacing[1];
    affine[d][1] = sign * plane.along_column[d] * plane.spacing[0];
    affine[d][2] = sign * step[d];
    affine[d][3] = sign * plane.position[d];
  }
  for (auto& row : affine)
    for (double& v : row) v += 0.0;  // no -0
  return affine;
}

/// The step from frame to frame where they are evenly spaced along a line out of their common plane.
inline std::optional<Point> even_step(const std::vector<DicomPlane>& planes) {
  const Point normal = planes[0].normal();
  const auto n = static_cast<double>(planes.size() - 1);
  Point step{};
  for (std::size_t d = 0; d < 3; ++d) step[d] = (planes.back().position[d] - planes[0].position[d]) / n;
  const double length = std::sqrt(dot(step, step));
  if (!(length > 1e-4) || !(std::abs(dot(step, normal)) > 0.1 * length)) return std::nullopt;
  for (std::size_t k = 0; k < planes.size(); ++k)
    for (std::size_t d = 0; d < 3; ++d) {
      if (std::abs(planes[k].position[d] - planes[0].position[d] - static_cast<double>(k) * step[d]) >
          0.02 * length + 0.01)
        return std::nullopt;
      if (std::abs(planes[k].along_row[d] - planes[0].along_row[d]) > 1e-3 ||
          std::abs(planes[k].along_column[d] - planes[0].along_column[d]) > 1e-3)
        return std::nullopt;
    }
  return step;
}

/// Of the frames of one file; nothing where the file does not say it, or says that they are not evenly spaced.
inline std::optional<Affine> dicom_affine(const DicomFile& file, std::size_t frames) {
  std::vector<DicomPlane> planes;
  for (std::size_t f = 0; f < frames; ++f) {
    const auto plane = dicom_plane(file, f);
    if (!plane) return std::nullopt;
    planes.push_back(*plane);
  }
  if (frames > 1) {
    const auto step = even_step(planes);
    if (!step) return std::nullopt;
    return dicom_affine(planes[0], *step);
  }
  double between = 1;
  for (const auto& mm : {DicomFile::numbers(find_for_frame(file, 0, 0x00289110, 0x00180050)),
                         DicomFile::numbers(find_for_frame(file, 0, 0x00289110, 0x00180088))})
    if (mm.size() == 1 && mm[0] > 1e-6 && mm[0] < 1e6) between = mm[0];
  Point step = planes[0].normal();
  for (double& v : step) v *= between;
  return dicom_affine(planes[0], step);
}

}  // namespace vitals::inline v0::io::detail
