// Implementation of nifti.hpp. nifti_layout.hpp reads and checks the header; here the voxels go from the file's order (x
// fastest) to ours (z fastest) in slabs, so that a volume is in memory once.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <future>
#include <limits>
#include <vector>

#include <vitals/io/nifti.hpp>
#include <vitals/io/nifti_layout.hpp>
#include <vitals/io/orientation.hpp>

namespace vitals::inline v0::io {

namespace detail {

/// "12" or "0.25", for messages.
inline std::string short_number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

template <class Stored>
Stored nifti_number(const std::byte* p, bool swap) {
  if constexpr (sizeof(Stored) == 1) return load<Stored>(p);
  if (!swap) return load<Stored>(p);
  std::array<std::byte, sizeof(Stored)> turned;
  std::reverse_copy(p, p + sizeof(Stored), turned.begin());
  return load<Stored>(turned.data());
}

/// A stored number as the value of an image.
struct ImageValue {
  double slope, intercept;
  bool scaled;
  template <class Stored>
  float operator()(Stored v, std::size_t, std::size_t, std::size_t) const {
    if (!scaled) return static_cast<float>(v);
    const double value = static_cast<double>(v) * slope + intercept;
    // Beyond float's range a conversion is not defined.
    constexpr double most = std::numeric_limits<float>::max();
    if (std::abs(value) > most)
      return value > 0 ? std::numeric_limits<float>::infinity() : -std::numeric_limits<float>::infinity();
    return static_cast<float>(value);
  }
  float operator()(double v, std::size_t, std::size_t, std::size_t) const {
    const double value = scaled ? v * slope + intercept : v;
    constexpr double most = std::numeric_limits<float>::max();
    if (std::abs(value) > most)
      return value > 0 ? std::numeric_limits<float>::infinity() : -std::numeric_limits<float>::infinity();
    return static_cast<float>(value);
  }
};

/// A stored number as a class.
struct LabelValue {
  double slope, intercept;
  bool scaled;
  const std::string& where;
  template <class Stored>
  std::uint8_t operator()(Stored v, std::size_t i, std::size_t j, std::size_t k) const {
    const double value = scaled ? static_cast<double>(v) * slope + intercept : static_cast<double>(v);
    if (!(value >= 0 && value <= 255) || value != std::floor(value))
      throw DataError("[read_nifti_labels] a label of " + short_number(value) + " at voxel (" + std::to_string(i) +
                          ", " + std::to_string(j) + ", " + std::to_string(k) + ")",
                      where, "labels are whole numbers 0 to 255");
    return static_cast<std::uint8_t>(value);
  }
};

/// 16 planes at a time: what is read runs along x, what is written fills whole cache lines along z. Of a large volume the next planes
/// are read (and inflated, which takes longest) while these are put in their places.
template <class Stored, class T, class Value>
void read_voxels(GzipReader& in, bool swap, Tensor<T, dyn, dyn, dyn>& out, const Value& value) {
  const auto [X, Y, Z] = out.shape();
  constexpr std::size_t planes = 64 / sizeof(float), worth_a_thread = std::size_t{1} << 20;
  const std::size_t plane = X * Y * sizeof(Stored), depth = Z;
  const auto count = [&](std::size_t first) { return std::min(planes, depth - first); };
  std::vector<std::byte> slab(count(0) * plane), ahead;
  const bool together = Z > planes && slab.size() >= worth_a_thread;
  if (together) ahead.resize(slab.size());
  in.read_all(slab);
  for (std::size_t first = 0; first < Z; first += planes) {
    const std::size_t next = first + planes;
    std::future<void> reading;  // what it throws comes from get(), or is lost with another error
    if (together && next < Z)
      reading = std::async(std::launch::async, [&, next] { in.read_all(std::span(ahead).first(count(next) * plane)); });
    for (std::size_t j = 0; j < Y; ++j)
      for (std::size_t i = 0; i < X; ++i) {
        T* to = out.data() + (i * Y + j) * Z + first;
        const std::byte* from = slab.data() + (j * X + i) * sizeof(Stored);
        for (std::size_t k = 0; k < count(first); ++k)
          to[k] = value(nifti_number<Stored>(from + k * plane, swap), i, j, first + k);
      }
    if (next >= Z) break;
    if (!together) {
      in.read_all(std::span(slab).first(count(next) * plane));
      continue;
    }
    reading.get();
    slab.swap(ahead);
  }
}

template <class T, class Value>
Tensor<T, dyn, dyn, dyn> read_frame(GzipReader& in, const NiftiHeader& header, const Value& value) {
  Tensor<T, dyn, dyn, dyn> out({header.dims[0], header.dims[1], header.dims[2]});
  const bool swap = header.big_endian;
  switch (header.dtype) {
    case DType::u8:
      read_voxels<std::uint8_t>(in, swap, out, value);
      break;
    case DType::i8:
      read_voxels<std::int8_t>(in, swap, out, value);
      break;
    case DType::u16:
      read_voxels<std::uint16_t>(in, swap, out, value);
      break;
    case DType::i16:
      read_voxels<std::int16_t>(in, swap, out, value);
      break;
    case DType::u32:
      read_voxels<std::uint32_t>(in, swap, out, value);
      break;
    case DType::i32:
      read_voxels<std::int32_t>(in, swap, out, value);
      break;
    case DType::u64:
      read_voxels<std::uint64_t>(in, swap, out, value);
      break;
    case DType::i64:
      read_voxels<std::int64_t>(in, swap, out, value);
      break;
    case DType::f64:
      read_voxels<double>(in, swap, out, value);
      break;
    default:
      read_voxels<float>(in, swap, out, value);
      break;
  }
  return out;
}

/// Opens, checks, goes to the frame, reads it.
template <class T, class MakeValue>
VolumeOf<T> read_nifti_volume(const std::filesystem::path& file, std::optional<std::size_t> frame, const char* reader,
                              const MakeValue& make_value) {
  GzipReader in(file, reader);
  const std::string where = file.string(), head = std::string("[") + reader + "] ";
  const auto layout = read_nifti_layout(in, reader, where);
  const NiftiHeader& header = layout.header;
  const std::size_t frames = header.frames();
  for (std::size_t d = 4; d < header.dims.size(); ++d)
    if (header.dims[d] > 1)
      throw FormatError(head + "sizes " + to_string(header.dims), where,
                        "volumes of three or four dimensions are read");
  if (!frame && frames > 1)
    throw DataError(head + "holds " + std::to_string(frames) + " volumes (" + to_string(header.dims) + ")", where,
                    "say which frame to read");
  if (frame && *frame >= frames)
    throw ArgumentError(head + "no frame " + std::to_string(*frame) + " among " + std::to_string(frames), where,
                        "frames count from 0");
  const std::size_t read = header.version == 1 ? sizeof(nifti_1_header) : sizeof(nifti_2_header);
  in.skip(layout.offset - read + frame.value_or(0) * layout.frame_bytes());
  VolumeOf<T> volume;
  volume.affine = header.affine;
  volume.values = read_frame<T>(in, header, make_value(header, where));
  in.check_end();
  return volume;
}

/// The bytes of a file with this geometry and our numbers behind it.
template <class T>
void write_nifti_file(const std::filesystem::path& file, const Tensor<T, dyn, dyn, dyn>& values, nifti_2_header raw,
                      int version) {
  const auto [X, Y, Z] = values.shape();
  raw.sizeof_hdr = version == 1 ? 348 : 540;
  const std::int64_t dims[8] = {
      3, static_cast<std::int64_t>(X), static_cast<std::int64_t>(Y), static_cast<std::int64_t>(Z), 1, 1, 1, 1};
  std::copy(std::begin(dims), std::end(dims), raw.dim);
  raw.datatype = sizeof(T) == 1 ? DT_UINT8 : DT_FLOAT32;
  raw.bitpix = static_cast<std::int16_t>(8 * sizeof(T));
  raw.scl_slope = 1, raw.scl_inter = 0;
  raw.intent_code = sizeof(T) == 1 ? NIFTI_INTENT_LABEL : NIFTI_INTENT_NONE;
  raw.vox_offset = version == 1 ? 352 : 544;
  std::vector<std::byte> head(static_cast<std::size_t>(raw.vox_offset));  // four zero bytes behind it: no extensions
  if (version == 2) {
    std::memcpy(raw.magic, "n+2\0\r\n\032\n", 8);
    std::memcpy(head.data(), &raw, sizeof raw);
  } else {
    nifti_1_header h{};
    h.sizeof_hdr = 348, h.regular = 'r';
    h.datatype = raw.datatype, h.bitpix = raw.bitpix, h.intent_code = static_cast<short>(raw.intent_code);
    for (std::size_t i = 0; i < 8; ++i)
      h.dim[i] = static_cast<short>(raw.dim[i]), h.pixdim[i] = static_cast<float>(raw.pixdim[i]);
    h.vox_offset = 352, h.scl_slope = 1;
    h.qform_code = static_cast<short>(raw.qform_code), h.sform_code = static_cast<short>(raw.sform_code);
    h.quatern_b = static_cast<float>(raw.quatern_b), h.quatern_c = static_cast<float>(raw.quatern_c);
    h.quatern_d = static_cast<float>(raw.quatern_d), h.qoffset_x = static_cast<float>(raw.qoffset_x);
    h.qoffset_y = static_cast<float>(raw.qoffset_y), h.qoffset_z = static_cast<float>(raw.qoffset_z);
    for (std::size_t i = 0; i < 4; ++i) {
      h.srow_x[i] = static_cast<float>(raw.srow_x[i]), h.srow_y[i] = static_cast<float>(raw.srow_y[i]);
      h.srow_z[i] = static_cast<float>(raw.srow_z[i]);
    }
    h.xyzt_units = static_cast<char>(raw.xyzt_units);
    std::memcpy(h.magic, "n+1", 4);
    std::memcpy(head.data(), &h, sizeof h);
  }
  GzipWriter out(file, file.extension() == ".gz");
  out.write(head);
  std::vector<T> plane(X * Y);
  for (std::size_t k = 0; k < Z; ++k) {
    for (std::size_t i = 0; i < X; ++i)
      for (std::size_t j = 0; j < Y; ++j) plane[j * X + i] = values(i, j, k);
    out.write(std::as_bytes(std::span(plane)));
  }
  out.commit();
}

/// A header that says this affine, in millimetres.
inline nifti_2_header nifti_header_of(const Affine& affine, const std::filesystem::path& file) {
  check_affine(affine, "write_nifti", file.string());
  nifti_2_header raw{};
  raw.sform_code = NIFTI_XFORM_SCANNER_ANAT;
  raw.xyzt_units = NIFTI_UNITS_MM;
  nifti_dmat44 m{};
  for (std::size_t r = 0; r < 3; ++r)
    for (std::size_t c = 0; c < 4; ++c) m.m[r][c] = affine[r][c];
  m.m[3][3] = 1;
  for (std::size_t c = 0; c < 4; ++c) raw.srow_x[c] = m.m[0][c], raw.srow_y[c] = m.m[1][c], raw.srow_z[c] = m.m[2][c];
  ::nifti_dmat44_to_quatern(m, &raw.quatern_b, &raw.quatern_c, &raw.quatern_d, &raw.qoffset_x, &raw.qoffset_y,
                            &raw.qoffset_z, &raw.pixdim[1], &raw.pixdim[2], &raw.pixdim[3], &raw.pixdim[0]);
  double skew = 0;  // the largest cosine between two axes: a quaternion cannot say it
  for (std::size_t a = 0; a < 3; ++a) {
    const std::size_t b = (a + 1) % 3;
    double product = 0;
    for (std::size_t r = 0; r < 3; ++r) product += affine[r][a] * affine[r][b];
    skew = std::max(skew, std::abs(product) / (raw.pixdim[a + 1] * raw.pixdim[b + 1]));
  }
  raw.qform_code = skew < 1e-5 ? NIFTI_XFORM_SCANNER_ANAT : NIFTI_XFORM_UNKNOWN;
  return raw;
}

template <class T>
void write_nifti_by_itself(const std::filesystem::path& file, const VolumeOf<T>& volume) {
  if (volume.values.empty()) throw ShapeError("[write_nifti] an empty volume", file.string());
  const auto& shape = volume.values.shape();
  write_nifti_file(file, volume.values, nifti_header_of(volume.affine, file),
                   *std::max_element(shape.begin(), shape.end()) > 32767 ? 2 : 1);
}

}  // namespace detail

VITALS_INLINE NiftiHeader read_nifti_header(const std::filesystem::path& file) {
  detail::GzipReader in(file, "read_nifti_header");
  return detail::read_nifti_layout(in, "read_nifti_header", file.string()).header;
}

VITALS_INLINE Volume read_nifti(const std::filesystem::path& file, std::optional<std::size_t> frame) {
  return detail::read_nifti_volume<float>(file, frame, "read_nifti", [](const NiftiHeader& h, const std::string&) {
    return detail::ImageValue{h.slope, h.intercept, h.slope != 1 || h.intercept != 0};
  });
}

VITALS_INLINE LabelVolume read_nifti_labels(const std::filesystem::path& file, std::optional<std::size_t> frame) {
  return detail::read_nifti_volume<std::uint8_t>(
      file, frame, "read_nifti_labels", [](const NiftiHeader& h, const std::string& where) {
        return detail::LabelValue{h.slope, h.intercept, h.slope != 1 || h.intercept != 0, where};
      });
}

VITALS_INLINE NpyArray read_nifti_stored(const std::filesystem::path& file) {
  detail::GzipReader in(file, "read_nifti_stored");
  const auto layout = detail::read_nifti_layout(in, "read_nifti_stored", file.string());
  const NiftiHeader& header = layout.header;
  NpyArray array;
  array.dtype = header.dtype;
  array.shape.assign(header.dims.rbegin(), header.dims.rend());
  in.skip(layout.offset - (header.version == 1 ? sizeof(nifti_1_header) : sizeof(nifti_2_header)));
  array.bytes.resize(layout.frame_bytes() * header.frames());
  in.read_all(array.bytes);
  in.check_end();
  if (header.big_endian && size_of(header.dtype) > 1)
    ::nifti_swap_Nbytes(static_cast<std::int64_t>(array.size()), static_cast<int>(size_of(header.dtype)),
                        array.bytes.data());
  return array;
}

VITALS_INLINE void write_nifti_labels(const std::filesystem::path& file, const LabelVolume& labels,
                                      const std::filesystem::path& like) {
  detail::GzipReader in(like, "write_nifti_labels");
  auto layout = detail::read_nifti_layout(in, "write_nifti_labels", like.string());
  const auto letters = orientation(layout.header.affine);
  LabelVolume turned;
  const bool turn = orientation(labels.affine) != letters;
  if (turn) turned = reoriented(labels, letters);
  const LabelVolume& aligned = turn ? turned : labels;
  const auto& shape = aligned.values.shape();
  const auto& dims = layout.header.dims;
  if (!std::equal(shape.begin(), shape.end(), dims.begin()))
    throw ShapeError("[write_nifti_labels] labels of " + to_string(shape) + " voxels, the image " + like.string() +
                         " has " + to_string(std::span(dims).first(3)),
                     file.string());
  const auto spacing = aligned.spacing();
  const double voxel = *std::min_element(spacing.begin(), spacing.end());
  for (std::size_t corner = 0; corner < 8; ++corner)
    for (std::size_t r = 0; r < 3; ++r) {
      double difference = aligned.affine[r][3] - layout.header.affine[r][3];
      for (std::size_t axis = 0; axis < 3; ++axis)
        if (corner >> axis & 1)
          difference +=
              (aligned.affine[r][axis] - layout.header.affine[r][axis]) * static_cast<double>(shape[axis] - 1);
      if (!(std::abs(difference) <= 1e-3 * voxel))
        throw DataError("[write_nifti_labels] labels whose affine is not that of the image " + like.string(),
                        file.string(), "give the labels the affine of the image they belong to");
    }
  detail::write_nifti_file(file, aligned.values, detail::geometry_of(layout.raw), layout.header.version);
}

VITALS_INLINE void write_nifti(const std::filesystem::path& file, const Volume& volume) {
  detail::write_nifti_by_itself(file, volume);
}
VITALS_INLINE void write_nifti(const std::filesystem::path& file, const LabelVolume& labels) {
  detail::write_nifti_by_itself(file, labels);
}

}  // namespace vitals::inline v0::io
