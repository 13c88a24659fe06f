// From stored numbers to what is looked at: modality values, windows (PS3.3 C.11.1, C.11.2), palettes (C.7.9), YBR
// (C.7.6.3.1.2). For dicom.ipp.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <vitals/core/error.hpp>
#include <vitals/io/dicom_frames.hpp>
#include <vitals/io/dicom_geometry.hpp>
#include <vitals/io/dicom_header.hpp>

namespace vitals::inline v0::io::detail {

/// A look-up table: three numbers describe it (entries, first value mapped, bits), then come its entries.
struct DicomTable {
  long first = 0;
  std::vector<std::uint16_t> entries;

  std::uint16_t operator()(double stored) const {
    const double at = std::clamp(stored - static_cast<double>(first), 0.0, static_cast<double>(entries.size() - 1));
    return entries[static_cast<std::size_t>(at)];
  }
};

inline DicomTable dicom_table(const DicomFile& file, const DicomElement* described, const DicomElement* data,
                              bool is_signed) {
  const auto count = file.short_at(described, 0), first = file.short_at(described, 1),
             bits = file.short_at(described, 2);
  if (!count || !first || !bits || !data)
    throw FormatError("[read_dicom] a look-up table is incomplete", file.where, "the file is damaged");
  DicomTable table;
  table.first = is_signed ? static_cast<std::int16_t>(*first) : *first;
  const std::size_t entries = *count == 0 ? 65536 : *count;
  if (data->value.size() >= 2 * entries) {
    for (std::size_t i = 0; i < entries; ++i) table.entries.push_back(*file.short_at(data, i));
  } else if (data->value.size() >= entries && *bits == 8) {  // packed in bytes
    for (std::size_t i = 0; i < entries; ++i) table.entries.push_back(std::to_integer<std::uint16_t>(data->value[i]));
  } else {
    throw FormatError("[read_dicom] a look-up table of " + std::to_string(entries) + " entries in " +
                          std::to_string(data->value.size()) + " bytes",
                      file.where, "the file is damaged");
  }
  return table;
}

/// Stored numbers to the modality's values: a table, or slope and intercept.
struct DicomModality {
  double slope = 1, intercept = 0;
  DicomTable table;

  DicomModality(const DicomFile& file, std::size_t frame, bool is_signed) {
    const auto* tables = file.find(0x00283000);
    if (tables && !tables->items.empty()) {
      table = dicom_table(file, DicomFile::find(tables->items[0], 0x00283002),
                          DicomFile::find(tables->items[0], 0x00283006), is_signed);
      return;
    }
    const auto value = [&](DicomTag tag, double none) {
      const auto numbers = DicomFile::numbers(find_for_frame(file, frame, 0x00289145, tag));
      if (numbers.empty()) return none;
      if (!std::isfinite(numbers[0]))
        throw FormatError("[read_dicom] a rescale that is no number", file.where, "the file is damaged");
      return numbers[0];
    };
    slope = value(0x00281053, 1), intercept = value(0x00281052, 0);
  }
  double operator()(double stored) const { return table.entries.empty() ? stored * slope + intercept : table(stored); }
};

inline std::vector<DicomWindow> dicom_windows(const DicomFile& file, std::size_t frame) {
  const auto centers = DicomFile::numbers(find_for_frame(file, frame, 0x00289132, 0x00281050));
  const auto widths = DicomFile::numbers(find_for_frame(file, frame, 0x00289132, 0x00281051));
  std::vector<DicomWindow> windows;
  for (std::size_t i = 0; i < std::min(centers.size(), widths.size()); ++i)
    if (std::isfinite(centers[i]) && widths[i] > 0) windows.push_back({centers[i], widths[i]});
  return windows;
}
inline std::string dicom_window_function(const DicomFile& file, std::size_t frame) {
  const auto name = DicomFile::text(find_for_frame(file, frame, 0x00289132, 0x00281056));
  return name == "LINEAR_EXACT" || name == "SIGMOID" ? name : "LINEAR";
}

/// 0 to 255, PS3.3 C.11.2.1.2.
inline double windowed(double x, const DicomWindow& window, const std::string& function) {
  const double c = window.center, w = window.width;
  if (function == "SIGMOID") return 255 / (1 + std::exp(-4 * (x - c) / w));
  if (function == "LINEAR_EXACT") return 255 * std::clamp((x - c) / w + 0.5, 0.0, 1.0);
  const double low = c - 0.5 - (w - 1) / 2, high = c - 0.5 + (w - 1) / 2;
  if (x <= low) return 0;
  if (x > high) return 255;
  return 255 * std::clamp((x - (c - 0.5)) / (w - 1) + 0.5, 0.0, 1.0);
}

/// Three samples of YBR_FULL (ITU-R BT.601, all of 0 to 255) to RGB.
inline std::array<std::uint8_t, 3> rgb_of_ybr(double y, double b, double r) {
  const auto rounded = [](double v) { return static_cast<std::uint8_t>(std::clamp(std::floor(v + 0.5), 0.0, 255.0)); };
  b -= 128, r -= 128;
  return {rounded(y + 1.402 * r), rounded(y - 0.344136 * b - 0.714136 * r), rounded(y + 1.772 * b)};
}

/// A frame of colour as RGB, uint8 (H, W, 3).
template <class T>
Tensor<std::uint8_t, dyn, dyn, dyn> dicom_colour(const DicomFile& file, const DicomPixels& pixels,
                                                 const std::vector<T>& stored) {
  Tensor<std::uint8_t, dyn, dyn, dyn> out({pixels.rows, pixels.columns, 3});
  const std::size_t area = pixels.rows * pixels.columns;
  if (pixels.photometric == "PALETTE COLOR") {
    if (file.find(0x00281221))
      throw FormatError("[read_dicom] a segmented palette is not read", file.where, "convert the file to RGB");
    for (std::size_t c = 0; c < 3; ++c) {
      const auto n = static_cast<DicomTag>(c);
      const auto table = dicom_table(file, file.find(0x00281101 + n), file.find(0x00281201 + n), pixels.is_signed);
      // Entries of 16 bits lose their low byte; careless writers put 8 bits into a table of 16.
      const bool wide = *std::max_element(table.entries.begin(), table.entries.end()) > 255;
      for (std::size_t p = 0; p < area; ++p)
        out.data()[3 * p + c] = static_cast<std::uint8_t>(wide ? table(static_cast<double>(stored[p])) >> 8
                                                               : table(static_cast<double>(stored[p])));
    }
    return out;
  }
  const bool ybr = pixels.photometric == "YBR_FULL" || pixels.photometric == "YBR_FULL_422";
  // Of JPEG 2000 the codec has undone the colours already.
  if (!ybr && pixels.photometric != "RGB" && pixels.photometric != "YBR_RCT" && pixels.photometric != "YBR_ICT")
    throw FormatError("[read_dicom] colours of the kind '" + pixels.photometric + "' are not read", file.where,
                      "convert the file to RGB");
  const double scale = 255 / (std::ldexp(1.0, static_cast<int>(pixels.stored)) - 1);
  const auto sample = [&](std::size_t i) { return std::clamp(static_cast<double>(stored[i]) * scale, 0.0, 255.0); };
  for (std::size_t p = 0; p < area; ++p) {
    std::uint8_t* to = out.data() + 3 * p;
    if (ybr) {
      const auto rgb = rgb_of_ybr(sample(3 * p), sample(3 * p + 1), sample(3 * p + 2));
      std::copy(rgb.begin(), rgb.end(), to);
    } else {
      for (std::size_t c = 0; c < 3; ++c) to[c] = static_cast<std::uint8_t>(sample(3 * p + c) + 0.5);
    }
  }
  return out;
}

}  // namespace vitals::inline v0::io::detail
