// Pictures for the data benchmark, drawn and encoded here: a chest-like grey picture (two dark ovals on a bright ground,
// ribs, noise of the last bits, as real films have), so that decoders meet files about as large as real ones.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#include <stb/stb_image_write.h>
#include <zlib.h>

#include <vitals/core/error.hpp>
#include <vitals/core/rng.hpp>
#include <vitals/core/tensor.hpp>
#include <vitals/io/atomic_file.hpp>
#include <vitals/io/image.hpp>

namespace bench {

/// side x side numbers in [0, 1].
inline std::vector<double> draw(std::size_t side) {
  std::vector<double> out(side * side);
  const vitals::Rng rng(side);
  for (std::size_t i = 0; i < side; ++i)
    for (std::size_t j = 0; j < side; ++j) {
      const double y = 2 * (static_cast<double>(i) + 0.5) / static_cast<double>(side) - 1;
      const double x = 2 * (static_cast<double>(j) + 0.5) / static_cast<double>(side) - 1;
      double value = 0.85 - 0.3 * (x * x + 0.5 * y * y);
      for (double centre : {-0.42, 0.42}) {
        const double r = (x - centre) * (x - centre) / 0.09 + y * y / 0.4;
        value -= 0.45 / (1 + std::exp(12 * (r - 1)));
      }
      value += 0.04 * std::sin(22 * (y + 0.3 * x * x)) + 0.012 * (rng.uniform_at(i * side + j) - 0.5);
      out[i * side + j] = std::min(1.0, std::max(0.0, value));
    }
  return out;
}

/// 8-bit grey PNG.
inline void write_png8(const std::filesystem::path& file, std::size_t side) {
  const auto picture = draw(side);
  vitals::Tensor<std::uint8_t, vitals::dyn, vitals::dyn, vitals::dyn> pixels({side, side, 1});
  for (std::size_t i = 0; i < picture.size(); ++i) pixels.data()[i] = static_cast<std::uint8_t>(255 * picture[i]);
  vitals::io::write_png(file, pixels);
}

namespace detail {
inline void big_endian(std::string& out, std::uint32_t v) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(v >> shift));
}
inline void png_chunk(std::string& out, std::string_view type, std::string_view body) {
  big_endian(out, static_cast<std::uint32_t>(body.size()));
  std::string checked(type);
  checked += body;
  out += checked;
  big_endian(out, static_cast<std::uint32_t>(
                      ::crc32(0, reinterpret_cast<const Bytef*>(checked.data()), static_cast<uInt>(checked.size()))));
}
}  // namespace detail

/// 16-bit grey PNG, each row as the difference from the one above (what encoders choose for such pictures).
inline void write_png16(const std::filesystem::path& file, std::size_t side) {
  const auto picture = draw(side);
  std::string raw;
  std::vector<std::uint8_t> above(2 * side, 0), row(2 * side);
  for (std::size_t i = 0; i < side; ++i) {
    for (std::size_t j = 0; j < side; ++j) {
      const auto v = static_cast<std::uint16_t>(65535 * picture[i * side + j]);
      row[2 * j] = static_cast<std::uint8_t>(v >> 8), row[2 * j + 1] = static_cast<std::uint8_t>(v);
    }
    raw.push_back(2);
    for (std::size_t b = 0; b < row.size(); ++b) raw.push_back(static_cast<char>(row[b] - above[b]));
    above = row;
  }
  uLongf size = ::compressBound(static_cast<uLong>(raw.size()));
  std::string packed(size, '\0');
  ::compress2(reinterpret_cast<Bytef*>(packed.data()), &size, reinterpret_cast<const Bytef*>(raw.data()),
              static_cast<uLong>(raw.size()), 6);
  packed.resize(size);
  std::string png("\x89PNG\r\n\x1a\n", 8), header;
  detail::big_endian(header, static_cast<std::uint32_t>(side));
  detail::big_endian(header, static_cast<std::uint32_t>(side));
  header += std::string("\x10\0\0\0\0", 5);  // 16 bit, grey
  detail::png_chunk(png, "IHDR", header);
  detail::png_chunk(png, "IDAT", packed);
  detail::png_chunk(png, "IEND", "");
  vitals::io::write_text_file(file, png);
}

/// JPEG of quality 90 in colour (three equal channels).
inline void write_jpeg(const std::filesystem::path& file, std::size_t side) {
  const auto picture = draw(side);
  std::vector<std::uint8_t> pixels(3 * picture.size());
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(255 * picture[i / 3]);
  std::string bytes;
  const auto append = [](void* to, void* data, int size) {
    static_cast<std::string*>(to)->append(static_cast<const char*>(data), static_cast<std::size_t>(size));
  };
  const int n = static_cast<int>(side);
  if (!::stbi_write_jpg_to_func(append, &bytes, n, n, 3, pixels.data(), 90))
    throw vitals::IoError("the JPEG encoder failed", file.string());
  vitals::io::write_text_file(file, bytes);
}

}  // namespace bench
