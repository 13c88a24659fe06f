// Implementation of image.hpp: the structure of a file (its kind, size, end and checksums) is checked here, then
// stb_image decodes it from memory.
#pragma once

#include <cerrno>
#include <cstdio>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <zlib.h>

#include <vitals/core/error.hpp>
#include <vitals/io/atomic_file.hpp>
#include <vitals/io/image.hpp>
#include <vitals/io/stb.hpp>

namespace vitals::inline v0::io {

namespace detail {

using ImageBytes = std::span<const unsigned char>;

/// What the header of a picture says.
struct ImageHeader {
  std::size_t width = 0, height = 0;
  bool sixteen_bit = false;
};

struct CloseFile {
  void operator()(std::FILE* f) const { std::fclose(f); }
};

inline std::vector<unsigned char> read_image_bytes(const std::filesystem::path& file) {
  std::error_code error;
  if (std::filesystem::is_directory(file, error))
    throw IoError("[read_image] is a folder", file.string(), "name a PNG or JPEG file");
  const std::unique_ptr<std::FILE, CloseFile> in(std::fopen(file.c_str(), "rb"));
  if (!in)
    throw IoError(std::string("[read_image] cannot be opened (") + std::strerror(errno) + ")", file.string(),
                  "check the path and its permissions");
  std::vector<unsigned char> bytes;
  constexpr std::size_t piece = 1 << 16, most = std::numeric_limits<int>::max();
  for (std::size_t got = piece; got == piece;) {
    const std::size_t size = bytes.size();
    if (size > most - piece) throw FormatError("[read_image] larger than 2 GiB", file.string());
    if (bytes.capacity() < size + piece) bytes.reserve(std::max(size + piece, 2 * size));
    bytes.resize(size + piece);
    got = std::fread(bytes.data() + size, 1, piece, in.get());
    bytes.resize(size + got);
  }
  if (std::ferror(in.get())) throw IoError("[read_image] cannot be read", file.string());
  return bytes;
}

inline std::size_t big_endian_16(const unsigned char* p) { return std::size_t{p[0]} << 8 | p[1]; }
inline std::size_t big_endian_32(const unsigned char* p) { return big_endian_16(p) << 16 | big_endian_16(p + 2); }

/// Refuses what is absurd before anything is allocated. `least_bytes`: the fewest bytes that can hold the picture.
inline void check_image_size(const ImageHeader& header, std::size_t least_bytes, std::size_t bytes,
                             const std::string& where) {
  const std::string size = std::to_string(header.height) + " x " + std::to_string(header.width);
  if (header.width == 0 || header.height == 0) throw FormatError("[read_image] a size of " + size, where);
  if (header.height > max_image_pixels / header.width)
    throw FormatError("[read_image] claims " + size + " pixels", where, "at most 2^28 pixels are read");
  if (least_bytes > bytes)
    throw FormatError(
        "[read_image] claims " + size + " pixels, more than its " + std::to_string(bytes) + " bytes can hold", where,
        "the file is truncated or damaged");
}

inline constexpr std::array<unsigned char, 8> png_signature{0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};

/// Walks the chunks of a PNG (length, type, data, CRC-32) from IHDR to IEND.
inline ImageHeader check_png(ImageBytes bytes, const std::string& where) {
  ImageHeader header;
  std::size_t at = png_signature.size(), bits_per_pixel = 0, data_bytes = 0;
  for (bool first = true;; first = false) {
    if (bytes.size() - at < 12)
      throw FormatError("[read_image] PNG ends before its last chunk", where, "the file is truncated");
    const std::size_t length = big_endian_32(&bytes[at]);
    const std::string type(reinterpret_cast<const char*>(&bytes[at + 4]), 4);
    if (length > bytes.size() - at - 12)
      throw FormatError("[read_image] PNG ends inside a chunk", where, "the file is truncated or damaged");
    const unsigned char* data = &bytes[at] + 8;
    if (::crc32(::crc32(0, nullptr, 0), data - 4, static_cast<uInt>(length + 4)) != big_endian_32(data + length))
      throw FormatError("[read_image] PNG has a wrong checksum at byte " + std::to_string(at), where,
                        "the file is damaged");
    if (first != (type == "IHDR") || (first && length != 13))
      throw FormatError("[read_image] PNG does not begin with one header", where, "the file is damaged");
    if (first) {
      const std::size_t depth = data[8], color = data[9];
      const std::size_t samples = color == 2 ? 3 : color == 4 ? 2 : color == 6 ? 4 : 1;
      header = {big_endian_32(data), big_endian_32(data + 4), depth == 16};
      bits_per_pixel = depth * samples;
      check_image_size(header, 0, bytes.size(), where);
    } else if (type == "IDAT") {
      data_bytes += length;
    } else if (type == "IEND") {
      break;
    }
    at += 12 + length;
  }
  // Deflate makes its input at most 1032 times smaller (RFC 1951: 258 bytes for two bits).
  check_image_size(header, header.width * header.height / 8 * bits_per_pixel / 1032, data_bytes, where);
  return header;
}

/// Huffman tables (DHT, B.2.4.2): at most 256 codes each and inside their segment; stb_image trusts them in that.
inline void check_huffman_tables(ImageBytes segment, const std::string& where) {
  while (!segment.empty()) {
    std::size_t codes = 0;
    if (segment.size() >= 17)
      for (std::size_t i = 1; i <= 16; ++i) codes += segment[i];
    if (segment.size() < 17 || codes > 256 || segment.size() - 17 < codes)
      throw FormatError("[read_image] JPEG has a Huffman table of a wrong size", where, "the file is damaged");
    segment = segment.subspan(17 + codes);
  }
}

/// Walks the segments of a JPEG (ITU-T T.81, annex B) from SOI to EOI, through the entropy-coded data.
inline ImageHeader check_jpeg(ImageBytes bytes, const std::string& where) {
  const auto truncated = [&]() -> FormatError {
    return FormatError("[read_image] JPEG ends before its end marker", where, "the file is truncated");
  };
  ImageHeader header;
  std::size_t blocks = 0;
  for (std::size_t at = 2;;) {
    while (at < bytes.size() && bytes[at] != 0xff) ++at;  // entropy-coded data, or filling that decoders skip
    while (at < bytes.size() && bytes[at] == 0xff) ++at;
    if (at >= bytes.size()) throw truncated();
    const unsigned marker = bytes[at++];
    if (marker == 0xd9) break;                                                             // EOI
    if (marker == 0x00 || marker == 0x01 || (marker >= 0xd0 && marker <= 0xd8)) continue;  // stuffing, TEM, RST, SOI
    if (bytes.size() - at < 2) throw truncated();
    const std::size_t length = big_endian_16(&bytes[at]);
    if (length < 2 || length > bytes.size() - at)
      throw FormatError("[read_image] JPEG has a segment longer than the file at byte " + std::to_string(at), where,
                        "the file is truncated or damaged");
    if (marker == 0xc4) check_huffman_tables(bytes.subspan(at + 2, length - 2), where);
    if (marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc) {  // a frame header
      const std::size_t components = length >= 8 ? bytes[at + 7] : 0;
      if (components == 0 || length != 8 + 3 * components)
        throw FormatError("[read_image] JPEG has a frame header of a wrong length", where, "the file is damaged");
      header = {big_endian_16(&bytes[at + 5]), big_endian_16(&bytes[at + 3]), false};
      check_image_size(header, 0, bytes.size(), where);
      std::size_t h_max = 1, v_max = 1;
      for (std::size_t c = 0; c < components; ++c) {
        h_max = std::max<std::size_t>(h_max, bytes[at + 9 + 3 * c] >> 4);
        v_max = std::max<std::size_t>(v_max, bytes[at + 9 + 3 * c] & 15);
      }
      blocks = 0;  // 8 x 8 blocks of all components
      for (std::size_t c = 0; c < components; ++c) {
        const std::size_t h = bytes[at + 9 + 3 * c] >> 4, v = bytes[at + 9 + 3 * c] & 15;
        blocks += (header.width * h / h_max) / 8 * ((header.height * v / v_max) / 8);
      }
    }
    at += length;
  }
  if (header.width == 0) throw FormatError("[read_image] JPEG without a frame", where, "the file is damaged");
  check_image_size(header, blocks / 8, bytes.size(), where);  // a block takes at least one bit
  return header;
}

struct FreeStb {
  void operator()(void* p) const { std::free(p); }
};

template <class T>
Tensor<T, dyn, dyn, dyn> decode_with_stb(ImageBytes bytes, const ImageHeader& header, const std::string& where) {
  // Samples of 16 bits in 4 channels, sides padded as JPEG pads its blocks, doubled as the inflater grows its buffer.
  stb_allocation_limit = 2 * 8 * (header.width + 64) * (header.height + 64) + 2 * bytes.size() + (1 << 20);
  int width = 0, height = 0, channels = 0;
  const int size = static_cast<int>(bytes.size());
  std::unique_ptr<T, FreeStb> pixels;
  try {
    if constexpr (sizeof(T) == 2)
      pixels.reset(stb::stbi_load_16_from_memory(bytes.data(), size, &width, &height, &channels, 0));
    else
      pixels.reset(stb::stbi_load_from_memory(bytes.data(), size, &width, &height, &channels, 0));
  } catch (const StbContradiction&) {
    throw FormatError("[read_image] cannot be decoded", where, "the file is damaged");
  }
  if (!pixels) {
    const char* reason = stb::stbi_failure_reason();
    throw FormatError(std::string("[read_image] cannot be decoded (") + (reason ? reason : "no reason given") + ")",
                      where, "the file is damaged or of an unsupported kind");
  }
  const std::array<std::size_t, 3> shape{static_cast<std::size_t>(height), static_cast<std::size_t>(width),
                                         static_cast<std::size_t>(channels)};
  if (shape[0] != header.height || shape[1] != header.width || channels < 1 || channels > 4)
    throw FormatError("[read_image] decodes to " + to_string(shape) + ", unlike its header", where,
                      "the file is damaged");
  return Tensor<T, dyn, dyn, dyn>(shape, std::span<const T>(pixels.get(), shape[0] * shape[1] * shape[2]));
}

}  // namespace detail

VITALS_INLINE std::size_t Image::height() const {
  return std::visit([](const auto& p) { return p.extent(0); }, pixels);
}
VITALS_INLINE std::size_t Image::width() const {
  return std::visit([](const auto& p) { return p.extent(1); }, pixels);
}
VITALS_INLINE std::size_t Image::channels() const {
  return std::visit([](const auto& p) { return p.extent(2); }, pixels);
}

VITALS_INLINE Image read_image(const std::filesystem::path& file) {
  const std::vector<unsigned char> bytes = detail::read_image_bytes(file);
  const std::string where = file.string();
  const bool png = bytes.size() >= detail::png_signature.size() &&
                   std::equal(detail::png_signature.begin(), detail::png_signature.end(), bytes.begin());
  const bool jpeg = bytes.size() >= 3 && bytes[0] == 0xff && bytes[1] == 0xd8 && bytes[2] == 0xff;
  if (bytes.empty()) throw FormatError("[read_image] is empty", where);
  if (!png && !jpeg) throw FormatError("[read_image] neither a PNG nor a JPEG", where, "convert it to one of them");
  const auto header = png ? detail::check_png(bytes, where) : detail::check_jpeg(bytes, where);
  if (header.sixteen_bit) return {detail::decode_with_stb<std::uint16_t>(bytes, header, where)};
  return {detail::decode_with_stb<std::uint8_t>(bytes, header, where)};
}

VITALS_INLINE void write_png(const std::filesystem::path& file, TensorView<const std::uint8_t, dyn, dyn, dyn> pixels) {
  const auto [height, width, channels] = pixels.shape();
  if (pixels.empty() || channels > 4)
    throw ShapeError("[write_png] cannot write a picture of shape " + to_string(pixels.shape()), file.string(),
                     "give (H, W, C) with C 1 to 4");
  constexpr std::size_t most = std::numeric_limits<int>::max() / 2;
  if (height > most / channels / width)
    throw ShapeError("[write_png] too large, " + to_string(pixels.shape()), file.string(), "at most 2^30 bytes");
  int size = 0;
  const std::unique_ptr<unsigned char, detail::FreeStb> png(
      detail::stb::stbi_write_png_to_mem(pixels.data(), static_cast<int>(width * channels), static_cast<int>(width),
                                         static_cast<int>(height), static_cast<int>(channels), &size));
  if (!png) throw IoError("[write_png] not enough memory for " + to_string(pixels.shape()), file.string());
  AtomicFile out(file);
  out.write(std::as_bytes(std::span<const unsigned char>(png.get(), static_cast<std::size_t>(size))));
  out.commit();
}

}  // namespace vitals::inline v0::io
