// Implementation of dicom.hpp. dicom_elements.hpp walks the file, dicom_codec.hpp decodes, dicom_frames.hpp gives the stored
// numbers, dicom_geometry.hpp and dicom_view.hpp what they mean.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include <vitals/core/error.hpp>
#include <vitals/io/dicom.hpp>
#include <vitals/io/dicom_codec.hpp>
#include <vitals/io/dicom_elements.hpp>
#include <vitals/io/dicom_frames.hpp>
#include <vitals/io/dicom_geometry.hpp>
#include <vitals/io/dicom_view.hpp>

namespace vitals::inline v0::io {

namespace detail {

inline DicomHeader dicom_header(const DicomFile& file, const DicomFrames& frames) {
  const DicomPixels& pixels = frames.pixels();
  DicomHeader header;
  for (const char c : DicomFile::text(file.find(0x00080060)).substr(0, 16))
    if (c >= 'A' && c <= 'Z') header.modality += c;
  header.transfer_syntax = file.transfer_syntax;
  header.photometric = pixels.photometric;
  header.frames = pixels.frames, header.rows = pixels.rows, header.columns = pixels.columns,
  header.samples = pixels.samples;
  header.bits_allocated = pixels.allocated, header.bits_stored = pixels.stored;
  header.is_signed = frames.dtype() == DType::i8 || frames.dtype() == DType::i16 || frames.dtype() == DType::i32;
  const DicomModality modality(file, 0, header.is_signed);
  header.slope = modality.slope, header.intercept = modality.intercept;
  header.windows = dicom_windows(file, 0);
  header.window_function = dicom_window_function(file, 0);
  header.spacing = dicom_spacing(file, 0);
  header.affine = dicom_affine(file, pixels.frames);
  return header;
}

/// A frame of a grey picture as the modality's values, each given to `put` with its number.
template <class Put>
void modality_values(const DicomFile& file, const DicomFrames& frames, std::size_t frame, const Put& put) {
  frames.with_type([&](auto kind) {
    using T = decltype(kind);
    std::vector<T> stored(frames.pixels().frame_samples());
    frames.values<T>(frame, stored);
    const DicomModality modality(file, frame, std::is_signed_v<T>);
    for (std::size_t i = 0; i < stored.size(); ++i) put(i, modality(static_cast<double>(stored[i])));
  });
}

inline bool is_grey(const DicomPixels& pixels) { return pixels.samples == 1 && pixels.photometric != "PALETTE COLOR"; }

}  // namespace detail

VITALS_INLINE bool is_dicom(const std::filesystem::path& file) {
  const MappedFile map(file);
  const auto bytes = map.bytes();
  if (bytes.size() >= 132 && detail::as_text(bytes.subspan(128, 4)) == "DICM") return true;
  // Group 0008 or 0002, then an element: its number's low byte is free, its kind two capitals or a length below 2^16.
  if (bytes.size() < 8) return false;
  const auto group = detail::load<std::uint16_t>(bytes.data());
  const auto byte = [&](std::size_t i) { return std::to_integer<unsigned>(bytes[i]); };
  const bool kind = byte(4) >= 'A' && byte(4) <= 'Z' && byte(5) >= 'A' && byte(5) <= 'Z';
  return (group == 0x0002 || group == 0x0008) && byte(3) == 0 && (kind || (byte(6) == 0 && byte(7) == 0));
}

VITALS_INLINE DicomHeader read_dicom_header(const std::filesystem::path& path) {
  const detail::DicomFile file(path);
  return detail::dicom_header(file, detail::DicomFrames(file));
}

VITALS_INLINE NpyArray read_dicom_stored(const std::filesystem::path& path) {
  const detail::DicomFile file(path);
  const detail::DicomFrames frames(file);
  const auto& pixels = frames.pixels();
  NpyArray array;
  array.dtype = frames.dtype();
  for (const std::size_t extent : {pixels.frames, pixels.rows, pixels.columns, pixels.samples})
    if (extent > 1) array.shape.push_back(extent);
  frames.with_type([&](auto kind) {
    using T = decltype(kind);
    std::vector<T> values(pixels.frame_samples());
    for (std::size_t f = 0; f < pixels.frames; ++f) {
      frames.values<T>(f, values);
      const auto bytes = std::as_bytes(std::span<const T>(values));
      array.bytes.insert(array.bytes.end(), bytes.begin(), bytes.end());
    }
  });
  return array;
}

VITALS_INLINE Image read_dicom(const std::filesystem::path& path, const DicomView& view) {
  const detail::DicomFile file(path);
  const detail::DicomFrames frames(file);
  const auto& pixels = frames.pixels();
  if (view.frame >= pixels.frames)
    throw ArgumentError(
        "[read_dicom] no frame " + std::to_string(view.frame) + " among " + std::to_string(pixels.frames), file.where,
        "frames count from 0");
  if (!detail::is_grey(pixels)) {
    Image image;
    frames.with_type([&](auto kind) {
      using T = decltype(kind);
      std::vector<T> stored(pixels.frame_samples());
      frames.values<T>(view.frame, stored);
      image.pixels = detail::dicom_colour(file, pixels, stored);
    });
    return image;
  }
  Tensor<float, dyn, dyn, dyn> out({pixels.rows, pixels.columns, 1});
  detail::modality_values(file, frames, view.frame,
                          [&](std::size_t i, double v) { out.data()[i] = static_cast<float>(v); });
  if (view.rule == DicomView::Window::none) return {std::move(out)};

  std::string function = detail::dicom_window_function(file, view.frame);
  DicomWindow window = view.window;
  if (view.rule == DicomView::Window::header) {
    const auto windows = detail::dicom_windows(file, view.frame);
    if (!windows.empty()) {
      window = windows[0];
    } else {
      const auto [low, high] = std::minmax_element(out.begin(), out.end());
      const double from = *low, to = *high;
      window = {(from + to) / 2, to > from ? to - from : 1};
      function = "LINEAR_EXACT";
    }
  }
  if (!(window.width > 0) || !std::isfinite(window.center) || (function == "LINEAR" && window.width < 1))
    throw ArgumentError("[read_dicom] a window of width " + std::to_string(window.width), file.where,
                        "give a width of 1 or more and a finite centre");
  const bool inverse = pixels.photometric == "MONOCHROME1";
  for (float& v : out) {
    const double shade = detail::windowed(v, window, function);
    v = static_cast<float>(inverse ? 255 - shade : shade);
  }
  return {std::move(out)};
}

VITALS_INLINE Volume read_dicom_volume(const std::filesystem::path& path) {
  const detail::DicomFile file(path);
  const detail::DicomFrames frames(file);
  const auto& pixels = frames.pixels();
  if (!detail::is_grey(pixels))
    throw DataError("[read_dicom_volume] a picture in colour", file.where, "volumes are grey");
  if (pixels.rows * pixels.columns > (std::size_t{1} << 31) / pixels.frames)
    throw FormatError("[read_dicom_volume] more than 2^31 voxels", file.where);
  Volume volume;
  if (const auto affine = detail::dicom_affine(file, pixels.frames)) {
    volume.affine = *affine;
  } else {
    if (pixels.frames > 1 && detail::dicom_plane(file, 0) && file.find(0x52009230))
      throw DataError("[read_dicom_volume] frames whose positions are not evenly spaced along a line", file.where,
                      "read its frames one by one");
    const auto mm = detail::dicom_spacing(file, 0);
    if (mm[0] > 0) volume.affine[0][0] = mm[1], volume.affine[1][1] = mm[0];
  }
  volume.values = Tensor<float, dyn, dyn, dyn>({pixels.columns, pixels.rows, pixels.frames});
  std::vector<float> plane(pixels.rows * pixels.columns);
  float* out = volume.values.data();
  for (std::size_t f = 0; f < pixels.frames; ++f) {
    detail::modality_values(file, frames, f, [&](std::size_t i, double v) { plane[i] = static_cast<float>(v); });
    for (std::size_t c = 0; c < pixels.columns; ++c)
      for (std::size_t r = 0; r < pixels.rows; ++r)
        out[(c * pixels.rows + r) * pixels.frames + f] = plane[r * pixels.columns + c];
  }
  return volume;
}

}  // namespace vitals::inline v0::io
