// The header of a NIfTI file as nifti_clib lays it out, checked before anybody believes it. For nifti.ipp.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <nifti2_io.h>

#include <vitals/core/error.hpp>
#include <vitals/io/bytes.hpp>
#include <vitals/io/gzip_file.hpp>
#include <vitals/io/nifti_header.hpp>

namespace vitals::inline v0::io::detail {

/// A checked header: what it says, the raw structure (in this machine's byte order, NIfTI-1 widened to NIfTI-2), and where the data begins.
struct NiftiLayout {
  NiftiHeader header;
  nifti_2_header raw{};
  std::size_t offset = 0;  ///< of the data, in the uncompressed file

  std::size_t frame_voxels() const { return header.dims[0] * header.dims[1] * header.dims[2]; }
  std::size_t frame_bytes() const { return frame_voxels() * size_of(header.dtype); }
};

/// The same fields in the wider structure.
inline nifti_2_header widened(const nifti_1_header& h) {
  nifti_2_header w{};
  w.sizeof_hdr = h.sizeof_hdr;
  w.datatype = h.datatype, w.bitpix = h.bitpix;
  for (std::size_t i = 0; i < 8; ++i) w.dim[i] = h.dim[i], w.pixdim[i] = static_cast<double>(h.pixdim[i]);
  // Beyond any file where it is no offset at all.
  w.vox_offset = h.vox_offset >= 0 && h.vox_offset < 1e18f ? static_cast<std::int64_t>(h.vox_offset) : -1;
  w.scl_slope = h.scl_slope, w.scl_inter = h.scl_inter;
  w.qform_code = h.qform_code, w.sform_code = h.sform_code;
  w.quatern_b = h.quatern_b, w.quatern_c = h.quatern_c, w.quatern_d = h.quatern_d;
  w.qoffset_x = h.qoffset_x, w.qoffset_y = h.qoffset_y, w.qoffset_z = h.qoffset_z;
  for (std::size_t i = 0; i < 4; ++i) w.srow_x[i] = h.srow_x[i], w.srow_y[i] = h.srow_y[i], w.srow_z[i] = h.srow_z[i];
  w.xyzt_units = static_cast<unsigned char>(h.xyzt_units);
  return w;
}

/// The fields that say where the voxels lie, and nothing else of a header.
inline nifti_2_header geometry_of(const nifti_2_header& h) {
  nifti_2_header g{};
  std::copy(std::begin(h.pixdim), std::end(h.pixdim), g.pixdim);
  g.qform_code = h.qform_code, g.sform_code = h.sform_code;
  g.quatern_b = h.quatern_b, g.quatern_c = h.quatern_c, g.quatern_d = h.quatern_d;
  g.qoffset_x = h.qoffset_x, g.qoffset_y = h.qoffset_y, g.qoffset_z = h.qoffset_z;
  std::copy(std::begin(h.srow_x), std::end(h.srow_x), g.srow_x);
  std::copy(std::begin(h.srow_y), std::end(h.srow_y), g.srow_y);
  std::copy(std::begin(h.srow_z), std::end(h.srow_z), g.srow_z);
  g.xyzt_units = h.xyzt_units;
  return g;
}

inline std::optional<DType> dtype_of_nifti(int code) {
  switch (code) {
    case DT_UINT8:
      return DType::u8;
    case DT_INT8:
      return DType::i8;
    case DT_INT16:
      return DType::i16;
    case DT_UINT16:
      return DType::u16;
    case DT_INT32:
      return DType::i32;
    case DT_UINT32:
      return DType::u32;
    case DT_INT64:
      return DType::i64;
    case DT_UINT64:
      return DType::u64;
    case DT_FLOAT32:
      return DType::f32;
    case DT_FLOAT64:
      return DType::f64;
    default:
      return std::nullopt;
  }
}

/// Millimetres a unit of the header.
inline double nifti_millimetres(int xyzt_units) {
  switch (XYZT_TO_SPACE(xyzt_units)) {
    case NIFTI_UNITS_METER:
      return 1000;
    case NIFTI_UNITS_MICRON:
      return 0.001;
    default:
      return 1;
  }
}

/// Refuses what no volume can have.
inline void check_affine(const Affine& affine, const std::string& reader, const std::string& where) {
  for (const auto& row : affine)
    for (const double v : row)
      if (!std::isfinite(v))
        throw FormatError("[" + reader + "] NaN or infinity in the affine", where,
                          "repair the header's sform or qform");
  std::array<double, 3> length{};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    length[axis] = std::hypot(affine[0][axis], affine[1][axis], affine[2][axis]);
    if (!(length[axis] > 1e-9 && length[axis] < 1e9))
      throw FormatError(
          "[" + reader + "] a spacing of " + std::to_string(length[axis]) + " mm along axis " + std::to_string(axis),
          where, "repair the header's sform, qform or pixdim");
  }
  const auto& m = affine;
  const double volume = m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) -
                        m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0]) +
                        m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);
  if (!(std::abs(volume) > 1e-6 * length[0] * length[1] * length[2]))
    throw FormatError("[" + reader + "] the axes of the affine lie in a plane", where,
                      "repair the header's sform or qform");
}

inline Affine nifti_affine(const nifti_2_header& raw, const std::vector<std::size_t>& dims, const std::string& reader,
                           const std::string& where) {
  const double mm = nifti_millimetres(raw.xyzt_units);
  Affine affine{};
  if (raw.sform_code > 0) {
    for (std::size_t c = 0; c < 4; ++c)
      affine[0][c] = raw.srow_x[c] * mm, affine[1][c] = raw.srow_y[c] * mm, affine[2][c] = raw.srow_z[c] * mm;
  } else {
    for (std::size_t axis = 0; axis < 3; ++axis)
      if (!(raw.pixdim[axis + 1] > 0) || !std::isfinite(raw.pixdim[axis + 1]))
        throw FormatError("[" + reader + "] a spacing of " + std::to_string(raw.pixdim[axis + 1]) + " along axis " +
                              std::to_string(axis),
                          where, "repair the header's pixdim");
    if (raw.qform_code > 0) {
      const double squares =
          raw.quatern_b * raw.quatern_b + raw.quatern_c * raw.quatern_c + raw.quatern_d * raw.quatern_d;
      if (!(squares <= 1.0001))
        throw FormatError("[" + reader + "] the qform's quaternion is no rotation", where, "repair the header's qform");
      const auto m = ::nifti_quatern_to_dmat44(raw.quatern_b, raw.quatern_c, raw.quatern_d, raw.qoffset_x,
                                               raw.qoffset_y, raw.qoffset_z, raw.pixdim[1], raw.pixdim[2],
                                               raw.pixdim[3], raw.pixdim[0] < 0 ? -1 : 1);
      for (std::size_t r = 0; r < 3; ++r)
        for (std::size_t c = 0; c < 4; ++c) affine[r][c] = m.m[r][c] * mm;
    } else {
      for (std::size_t axis = 0; axis < 3; ++axis) {
        affine[axis][axis] = raw.pixdim[axis + 1] * mm * (axis == 0 ? -1 : 1);
        affine[axis][3] = -affine[axis][axis] * (static_cast<double>(dims[axis]) - 1) / 2;
      }
    }
  }
  check_affine(affine, reader, where);
  return affine;
}

/// Reads the header at the front of `in` and checks it against the file's size.
inline NiftiLayout read_nifti_layout(GzipReader& in, const std::string& reader, const std::string& where) {
  const auto refuse = [&](const std::string& what, const std::string& advice) -> FormatError {
    return FormatError("[" + reader + "] " + what, where, advice);
  };
  std::array<std::byte, sizeof(nifti_2_header)> bytes{};
  const std::size_t got = in.read(std::span(bytes).first(sizeof(nifti_1_header)));
  if (got < sizeof(nifti_1_header)) throw refuse("too short for a NIfTI header", "name a .nii or .nii.gz file");
  NiftiLayout layout;
  auto size = load<std::int32_t>(bytes.data());
  std::int32_t swapped = size;
  ::nifti_swap_4bytes(1, &swapped);
  layout.header.big_endian = swapped == 348 || swapped == 540;
  if (layout.header.big_endian) size = swapped;
  if (size == 348) {
    auto raw = load<nifti_1_header>(bytes.data());
    if (layout.header.big_endian) ::swap_nifti_header(&raw, 1);
    const std::string_view magic(raw.magic, 3);
    if (magic == "ni1") throw refuse("a pair of files .hdr and .img", "convert it to one .nii file");
    if (magic != "n+1") throw refuse("not a NIfTI file (Analyze 7.5, or damaged)", "convert it to NIfTI");
    layout.raw = widened(raw);
  } else if (size == 540) {
    if (in.read(std::span(bytes).subspan(got)) != bytes.size() - got)
      throw refuse("too short for a NIfTI-2 header", "the file is truncated");
    layout.header.version = 2;
    layout.raw = load<nifti_2_header>(bytes.data());
    if (layout.header.big_endian) ::swap_nifti_header(&layout.raw, 2);
    const std::string_view magic(layout.raw.magic, 8);
    if (magic.substr(0, 3) == "ni2") throw refuse("a pair of files .hdr and .img", "convert it to one .nii file");
    if (magic != std::string_view("n+2\0\r\n\032\n", 8))
      throw refuse("a NIfTI-2 header with a wrong signature", "the file is damaged");
  } else {
    throw refuse("not a NIfTI file", "name a .nii or .nii.gz file");
  }

  const nifti_2_header& raw = layout.raw;
  NiftiHeader& header = layout.header;
  header.compressed = in.compressed();
  if (raw.dim[0] < 1 || raw.dim[0] > 7)
    throw refuse(std::to_string(raw.dim[0]) + " dimensions", "the header is damaged");
  std::size_t voxels = 1;
  for (std::size_t i = 1; i <= 7; ++i) {
    const std::int64_t extent = i <= static_cast<std::size_t>(raw.dim[0]) ? raw.dim[i] : 1;
    if (extent < 1 || !multiply_fits(voxels, static_cast<std::size_t>(extent)))
      throw refuse("a dimension of " + std::to_string(extent), "the header is damaged");
    if (i <= std::max<std::size_t>(3, static_cast<std::size_t>(raw.dim[0])))
      header.dims.push_back(static_cast<std::size_t>(extent));
    if (i == 3 && voxels > max_volume_voxels)
      throw refuse("a volume of " + to_string(header.dims) + " voxels", "at most 2^31 voxels are read");
  }
  const auto dtype = dtype_of_nifti(raw.datatype);
  if (!dtype)
    throw refuse("data type " + std::to_string(raw.datatype) + " (complex, colour, or unknown) is not read",
                 "convert it to integers or float");
  header.dtype = *dtype;
  const std::int64_t least = header.version == 1 ? 352 : 544, offset = raw.vox_offset == 0 ? least : raw.vox_offset;
  if (offset < least) throw refuse("its data cannot begin at byte " + std::to_string(offset), "the header is damaged");
  layout.offset = static_cast<std::size_t>(offset);
  std::size_t bytes_needed = size_of(header.dtype);
  if (!multiply_fits(bytes_needed, voxels) || !add_fits(bytes_needed, layout.offset) || bytes_needed > in.most())
    throw refuse(
        "claims " + to_string(header.dims) + " voxels of " + name(header.dtype) + ", more than the file can hold",
        "the file is truncated or its header damaged");
  if (std::isfinite(raw.scl_slope) && raw.scl_slope != 0) {
    if (!std::isfinite(raw.scl_inter)) throw refuse("a scale without a finite intercept", "repair scl_inter");
    header.slope = raw.scl_slope, header.intercept = raw.scl_inter;
  }
  header.qform = raw.qform_code, header.sform = raw.sform_code;
  header.affine = nifti_affine(raw, header.dims, reader, where);
  return layout;
}

}  // namespace vitals::inline v0::io::detail
