// Pictures: PNG and JPEG in (stb_image), PNG out. Numbers stay as stored: 8 or 16 bit, 1 to 4 channels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <variant>

#include <vitals/core/config.hpp>
#include <vitals/core/tensor.hpp>

namespace vitals::inline v0::io {

/// A decoded picture, (H, W, C) row-major; C is 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGBA). A palette is expanded.
/// float holds what medical formats give (any range).
struct Image {
  std::variant<Tensor<std::uint8_t, dyn, dyn, dyn>, Tensor<std::uint16_t, dyn, dyn, dyn>, Tensor<float, dyn, dyn, dyn>>
      pixels;

  std::size_t height() const;
  std::size_t width() const;
  std::size_t channels() const;
};

/// Pictures with more pixels are refused before anything is allocated for them.
inline constexpr std::size_t max_image_pixels = std::size_t{1} << 28;

/// Reads a PNG or JPEG file, found out from its content; EXIF turns are not applied. Of 16-bit PNGs all bits are kept;
/// grey of 1, 2 or 4 bits is scaled to 0..255, transparency given by a colour becomes an alpha channel. A JPEG in CMYK
/// becomes RGB.
/// Throws IoError (cannot be read) or FormatError (not such a picture, truncated, damaged, more than max_image_pixels,
/// more pixels than its bytes can hold, a kind that is not supported such as 12-bit or lossless JPEG), naming the file.
/// A PNG is checked by the checksums of its chunks. A JPEG has none: of damage inside its picture data only what
/// contradicts the format is seen, but a file that ends early is always an error.
Image read_image(const std::filesystem::path& file);

/// Writes 8-bit pixels (H, W, C), C 1 to 4, as PNG, atomically. Throws IoError, ShapeError (empty, C out of range, more
/// than 2^30 bytes).
void write_png(const std::filesystem::path& file, TensorView<const std::uint8_t, dyn, dyn, dyn> pixels);

}  // namespace vitals::inline v0::io

#if VITALS_HEADER_ONLY
#include <vitals/io/image.ipp>
#endif
