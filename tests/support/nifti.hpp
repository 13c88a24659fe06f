// NIfTI files byte by byte, as the standard lays them out (nifti1.h, nifti2.h), in either byte order: independent of the reader.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

#include "archives.hpp"

namespace test {

struct Nifti {
  int version = 1;
  bool big_endian = false;
  std::vector<std::int64_t> dims{2, 3, 4};
  int datatype = 4, bitpix = 16;  // int16
  std::array<double, 8> pixdim{1, 1, 1, 1, 1, 1, 1, 1};
  double slope = 1, intercept = 0;
  int qform = 0, sform = 1;
  std::array<double, 6> quaternion{};  // b, c, d, then the offset x, y, z
  std::array<std::array<double, 4>, 3> srow{{{-2, 0, 0, 10}, {0, 3, 0, -20}, {0, 0, 4, 30}}};
  int units = 2;
  std::string data;  // little-endian numbers; turned by bytes() where the file is big-endian
  std::string description;
  double offset = -1;  // of the data; -1: right behind the header

  std::string bytes() const {
    std::string out(version == 1 ? 352 : 544, '\0');
    const auto put = [&](std::size_t at, auto value) {
      char raw[sizeof value];
      std::memcpy(raw, &value, sizeof value);
      if (big_endian) std::reverse(raw, raw + sizeof value);
      std::copy(raw, raw + sizeof value, out.begin() + static_cast<std::ptrdiff_t>(at));
    };
    const double data_at = offset < 0 ? static_cast<double>(out.size()) : offset;
    if (version == 1) {
      put(0, std::int32_t{348});
      for (std::size_t i = 0; i < 8; ++i) {
        put(40 + 2 * i, static_cast<std::int16_t>(i == 0 ? dims.size() : i <= dims.size() ? dims[i - 1] : 1));
        put(76 + 4 * i, static_cast<float>(pixdim[i]));
      }
      put(70, static_cast<std::int16_t>(datatype)), put(72, static_cast<std::int16_t>(bitpix));
      put(108, static_cast<float>(data_at)), put(112, static_cast<float>(slope)),
          put(116, static_cast<float>(intercept));
      out[123] = static_cast<char>(units);
      description.copy(&out[148], 79);
      put(252, static_cast<std::int16_t>(qform)), put(254, static_cast<std::int16_t>(sform));
      for (std::size_t i = 0; i < 6; ++i) put(256 + 4 * i, static_cast<float>(quaternion[i]));
      for (std::size_t i = 0; i < 12; ++i) put(280 + 4 * i, static_cast<float>(srow[i / 4][i % 4]));
      std::memcpy(&out[344], "n+1", 4);
    } else {
      put(0, std::int32_t{540});
      std::memcpy(&out[4], "n+2\0\r\n\032\n", 8);
      put(12, static_cast<std::int16_t>(datatype)), put(14, static_cast<std::int16_t>(bitpix));
      for (std::size_t i = 0; i < 8; ++i) {
        put(16 + 8 * i, i == 0 ? static_cast<std::int64_t>(dims.size()) : i <= dims.size() ? dims[i - 1] : 1);
        put(104 + 8 * i, pixdim[i]);
      }
      put(168, static_cast<std::int64_t>(data_at)), put(176, slope), put(184, intercept);
      description.copy(&out[240], 79);
      put(344, std::int32_t{qform}), put(348, std::int32_t{sform});
      for (std::size_t i = 0; i < 6; ++i) put(352 + 8 * i, quaternion[i]);
      for (std::size_t i = 0; i < 12; ++i) put(400 + 8 * i, srow[i / 4][i % 4]);
      put(500, std::int32_t{units});
    }
    if (data_at > static_cast<double>(out.size()) && data_at < 1e6) out.resize(static_cast<std::size_t>(data_at));
    std::string numbers = data;
    const auto width = static_cast<std::size_t>(bitpix / 8);
    if (big_endian)
      for (std::size_t at = 0; at + width <= numbers.size(); at += width)
        std::reverse(numbers.begin() + static_cast<std::ptrdiff_t>(at),
                     numbers.begin() + static_cast<std::ptrdiff_t>(at + width));
    return out + numbers;
  }
};

/// The numbers as little-endian T.
template <class T>
std::string packed(const std::vector<double>& numbers) {
  std::string out;
  for (const double n : numbers) {
    const T value = static_cast<T>(n);
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  return out;
}

/// n numbers from `first` on.
inline std::vector<double> counted(std::size_t n, double first = 0) {
  std::vector<double> numbers(n);
  std::iota(numbers.begin(), numbers.end(), first);
  return numbers;
}

/// The default file, 2 x 3 x 4, with the numbers -3, -2 ... in the order of the file.
inline Nifti counted_nifti() {
  Nifti file;
  file.data = packed<std::int16_t>(counted(24, -3));
  return file;
}

inline std::string gzipped(const std::string& text) { return deflated(text, 15 + 16, 6); }

}  // namespace test
