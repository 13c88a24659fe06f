// The compressed pixels of one DICOM frame. JPEG, JPEG-LS and JPEG 2000 are decoded by GDCM's codecs, after the head of the
// stream has been compared with the file's: a codec given other sizes than it was told writes where it must not. RLE
// (PS3.5 annex G) and deflated frames are small enough to be read here.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <zlib.h>

#include <gdcmImage.h>
#include <gdcmSequenceOfFragments.h>

#include <vitals/core/error.hpp>
#include <vitals/io/bytes.hpp>
#include <vitals/io/silenced.hpp>

namespace vitals::inline v0::io::detail {

using DicomBytes = std::span<const std::byte>;

/// What the pixels of a file are, checked.
struct DicomPixels {
  std::size_t frames = 1, rows = 0, columns = 0, samples = 1;
  unsigned allocated = 0, stored = 0, high = 0;
  bool is_signed = false, planar = false;
  std::string photometric;

  std::size_t frame_samples() const { return rows * columns * samples; }
};

/// A decoded frame: interleaved samples of `width` bytes, little-endian, of which the low `bits` count.
struct DicomFrame {
  std::vector<std::byte> bytes;
  std::size_t width = 1;
  unsigned bits = 8;
  bool is_signed = false;
};

/// The head of a JPEG, JPEG-LS or JPEG 2000 stream.
struct CodestreamHead {
  std::size_t width = 0, height = 0, components = 0;
  unsigned precision = 0;
  bool is_signed = false, lossless = false;
};

enum class DicomCodec { none, rle, deflated_frames, jpeg, jpeg_ls, jpeg_2000 };

/// The codec of a transfer syntax (PS3.6 annex A); nothing for one that is not read.
inline std::optional<DicomCodec> dicom_codec(const std::string& transfer_syntax) {
  const std::string head = "1.2.840.10008.1.2";
  if (transfer_syntax.empty() || transfer_syntax == head) return DicomCodec::none;
  if (transfer_syntax.compare(0, head.size() + 1, head + ".") != 0) return std::nullopt;
  const std::string tail = transfer_syntax.substr(head.size() + 1);
  if (tail == "1" || tail == "2" || tail == "1.99") return DicomCodec::none;
  if (tail == "5") return DicomCodec::rle;
  if (tail == "8.1") return DicomCodec::deflated_frames;
  if (tail == "4.50" || tail == "4.51" || tail == "4.57" || tail == "4.70") return DicomCodec::jpeg;
  if (tail == "4.80" || tail == "4.81") return DicomCodec::jpeg_ls;
  if (tail == "4.90" || tail == "4.91" || tail == "4.201" || tail == "4.202" || tail == "4.203")
    return DicomCodec::jpeg_2000;
  return std::nullopt;
}

inline std::size_t codestream_16(DicomBytes b, std::size_t at) {
  return std::to_integer<std::size_t>(b[at]) << 8 | std::to_integer<std::size_t>(b[at + 1]);
}
inline std::size_t codestream_32(DicomBytes b, std::size_t at) {
  return codestream_16(b, at) << 16 | codestream_16(b, at + 2);
}

/// ITU-T T.81 B.2, T.87 C.2: the frame header.
inline std::optional<CodestreamHead> jpeg_head(DicomBytes b) {
  if (b.size() < 4 || codestream_16(b, 0) != 0xffd8) return std::nullopt;
  std::optional<CodestreamHead> head;
  for (std::size_t at = 2; at + 4 <= b.size();) {
    if (b[at] != std::byte{0xff}) return std::nullopt;
    const auto marker = std::to_integer<unsigned>(b[at + 1]);
    if (marker == 0xff) {
      ++at;
      continue;
    }
    const std::size_t length = codestream_16(b, at + 2);
    if (length < 2 || length > b.size() - at - 2) return std::nullopt;
    const bool frame = (marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc);
    if (frame || marker == 0xf7) {
      if (length < 8 || head) return std::nullopt;
      head = CodestreamHead{codestream_16(b, at + 7),
                            codestream_16(b, at + 5),
                            std::to_integer<std::size_t>(b[at + 9]),
                            std::to_integer<unsigned>(b[at + 4]),
                            false,
                            false};
      if (length != 8 + 3 * head->components) return std::nullopt;
    }
    if (marker == 0xda) return head;  // a scan
    at += 2 + length;
  }
  return std::nullopt;
}

/// ISO/IEC 15444-1 A.5.1: SIZ, right behind the start of the stream, also inside a JP2 box.
inline std::optional<CodestreamHead> jpeg_2000_head(DicomBytes& b) {
  if (b.size() > 12 && codestream_32(b, 0) == 12 && codestream_32(b, 4) == 0x6a502020) {
    for (std::size_t at = 0; at + 8 <= b.size();) {
      const std::size_t length = codestream_32(b, at), kind = codestream_32(b, at + 4);
      if (kind == 0x6a703263) {  // jp2c
        b = b.subspan(at + 8);
        break;
      }
      if (length < 8 || length > b.size() - at) return std::nullopt;
      at += length;
    }
  }
  if (b.size() < 51 || codestream_32(b, 0) != 0xff4fff51) return std::nullopt;
  const std::size_t length = codestream_16(b, 4), components = codestream_16(b, 40);
  if (length != 38 + 3 * components || components == 0 || length + 4 > b.size()) return std::nullopt;
  const std::size_t x = codestream_32(b, 8), y = codestream_32(b, 12), x0 = codestream_32(b, 16),
                    y0 = codestream_32(b, 20);
  const std::size_t tile_x = codestream_32(b, 24), tile_y = codestream_32(b, 28);
  if (x <= x0 || y <= y0 || tile_x == 0 || tile_y == 0) return std::nullopt;
  const auto kind = std::to_integer<unsigned>(b[42]);
  CodestreamHead head{x - x0, y - y0, components, (kind & 0x7f) + 1, (kind & 0x80) != 0, false};
  for (std::size_t c = 0; c < components; ++c)
    if (std::to_integer<unsigned>(b[42 + 3 * c]) != kind || b[43 + 3 * c] != std::byte{1} ||
        b[44 + 3 * c] != std::byte{1})
      return std::nullopt;
  // More tiles than a few thousand are a damaged head and hours of work.
  if ((x / tile_x + 1) * (y / tile_y + 1) > 4096) return std::nullopt;
  return head;
}

/// Through GDCM: one frame, told exactly what its stream holds.
inline DicomFrame decode_by_gdcm(DicomBytes stream, DicomCodec codec, const DicomPixels& pixels,
                                 const std::string& where) {
  const auto refuse = [&](const std::string& what) {
    return FormatError("[read_dicom] " + what, where, "the file is damaged, or of a kind that is not read");
  };
  const auto head = codec == DicomCodec::jpeg_2000 ? jpeg_2000_head(stream) : jpeg_head(stream);
  if (!head) throw refuse("the compressed pixels have no proper head");
  if (head->width != pixels.columns || head->height != pixels.rows || head->components != pixels.samples)
    throw refuse("the compressed pixels are " + std::to_string(head->height) + " x " + std::to_string(head->width) +
                 " x " + std::to_string(head->components) + ", unlike what the file says");
  if (head->precision < 1 || head->precision > 16)
    throw refuse("compressed pixels of " + std::to_string(head->precision) + " bits");
  DicomFrame frame;
  frame.width = head->precision > 8 ? 2 : 1;
  const bool by_stream = codec == DicomCodec::jpeg_2000;  // the others do not say whether numbers have signs
  frame.is_signed = by_stream ? head->is_signed || pixels.is_signed : pixels.is_signed;
  frame.bits = by_stream ? head->precision : std::min<unsigned>(pixels.stored, 8 * static_cast<unsigned>(frame.width));
  frame.bytes.resize(pixels.frame_samples() * frame.width);

  bool decoded = false;
  const auto decode = [&] {
    gdcm::Image image;
    image.SetNumberOfDimensions(2);
    image.SetDimension(0, static_cast<unsigned>(pixels.columns));
    image.SetDimension(1, static_cast<unsigned>(pixels.rows));
    const auto bits = static_cast<unsigned short>(head->precision);
    image.SetPixelFormat(gdcm::PixelFormat(static_cast<unsigned short>(pixels.samples),
                                           static_cast<unsigned short>(8 * frame.width), bits,
                                           static_cast<unsigned short>(bits - 1), frame.is_signed ? 1 : 0));
    // YBR stays YBR: the codec is not asked to change colours, whatever it finds in the stream.
    const bool ybr = pixels.photometric.rfind("YBR", 0) == 0 && codec == DicomCodec::jpeg;
    image.SetPhotometricInterpretation(pixels.samples == 1 ? gdcm::PhotometricInterpretation::MONOCHROME2
                                       : ybr               ? gdcm::PhotometricInterpretation::YBR_FULL
                                                           : gdcm::PhotometricInterpretation::RGB);
    image.SetTransferSyntax(codec == DicomCodec::jpeg_2000 ? gdcm::TransferSyntax::JPEG2000
                            : codec == DicomCodec::jpeg_ls ? gdcm::TransferSyntax::JPEGLSNearLossless
                            : head->lossless               ? gdcm::TransferSyntax::JPEGLosslessProcess14_1
                            : head->precision > 8          ? gdcm::TransferSyntax::JPEGExtendedProcess2_4
                                                           : gdcm::TransferSyntax::JPEGBaselineProcess1);
    auto fragments = gdcm::SequenceOfFragments::New();
    gdcm::Fragment fragment;
    fragment.SetByteValue(reinterpret_cast<const char*>(stream.data()), static_cast<std::uint32_t>(stream.size()));
    fragments->AddFragment(fragment);
    gdcm::DataElement element(gdcm::Tag(0x7fe0, 0x0010));
    element.SetValue(*fragments);
    image.SetDataElement(element);
    decoded =
        image.GetBufferLength() == frame.bytes.size() && image.GetBuffer(reinterpret_cast<char*>(frame.bytes.data()));
  };
  std::string said;
  try {
    said = silenced(decode);         // GDCM and the libraries under it write to the standard error
  } catch (const std::exception&) {  // its words may hold anything
  }
  // libjpeg draws on behind a code that is none and only says so; the picture is then wrong from there on.
  if (!decoded || said.find("Corrupt JPEG data") != std::string::npos)
    throw refuse("the compressed pixels cannot be decoded");
  return frame;
}

/// PS3.5 annex G: a head of 16 numbers, then each byte of each sample as a segment of PackBits, highest byte first. One-bit
/// pictures are packed before.
inline DicomFrame decode_rle(DicomBytes stream, const DicomPixels& pixels, const std::string& where) {
  const auto refuse = [&](const std::string& what) {
    return FormatError("[read_dicom] run-length pixels " + what, where, "the file is truncated or damaged");
  };
  const bool one_bit = pixels.allocated == 1;
  DicomFrame frame;
  frame.width = one_bit ? 1 : pixels.allocated / 8;
  frame.bits = pixels.stored, frame.is_signed = pixels.is_signed;
  const std::size_t planes = one_bit ? 1 : pixels.samples * frame.width;
  const std::size_t area = one_bit ? (pixels.frame_samples() + 7) / 8 : pixels.rows * pixels.columns;
  if (stream.size() < 64 || load<std::uint32_t>(stream.data()) != planes)
    throw refuse("whose head does not fit the picture");
  if (area > stream.size() * 64 + 64) throw refuse("too short for the picture");  // two bytes give 128 at most
  std::vector<std::byte> out(one_bit ? area : pixels.frame_samples() * frame.width);
  for (std::size_t plane = 0; plane < planes; ++plane) {
    std::size_t at = load<std::uint32_t>(stream.data() + 4 + 4 * plane);
    const std::size_t end = plane + 1 < planes ? load<std::uint32_t>(stream.data() + 8 + 4 * plane) : stream.size();
    if (at < 64 || end > stream.size() || at > end) throw refuse("with a segment outside the stream");
    const std::size_t sample = one_bit ? 0 : plane / frame.width,
                      byte = one_bit ? 0 : frame.width - 1 - plane % frame.width;
    const std::size_t step = one_bit ? 1 : pixels.samples * frame.width, first = sample * frame.width + byte;
    std::size_t n = 0;
    while (n < area && at < end) {
      const auto control = std::to_integer<unsigned>(stream[at++]);
      if (control == 128) continue;
      const std::size_t count = control < 128 ? control + 1 : 257 - control;
      const std::size_t take = std::min(count, area - n);
      if (control < 128) {
        if (count > end - at) throw refuse("with a run beyond its segment");
        for (std::size_t i = 0; i < take; ++i) out[first + (n + i) * step] = stream[at + i];
        at += count;
      } else {
        if (at >= end) throw refuse("with a run beyond its segment");
        for (std::size_t i = 0; i < take; ++i) out[first + (n + i) * step] = stream[at];
        ++at;
      }
      n += take;
    }
    if (n < area) throw refuse("that end early");
  }
  frame.bytes = std::move(out);
  return frame;
}

/// 1.2.840.10008.1.2.8.1: the native bytes of a frame, deflated (RFC 1951).
inline std::vector<std::byte> inflate_frame(DicomBytes stream, std::size_t size, const std::string& where) {
  const auto refuse = [&] {
    return FormatError("[read_dicom] a deflated frame is cut short or damaged", where, "fetch the file again");
  };
  if (size / 1032 > stream.size()) throw refuse();
  std::vector<std::byte> out(size);
  z_stream z{};
  if (::inflateInit2(&z, -MAX_WBITS) != Z_OK) throw IoError("[read_dicom] not enough memory", where);
  z.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(stream.data()));
  z.avail_in = static_cast<uInt>(stream.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  const int status = ::inflate(&z, Z_FINISH);
  const bool whole = z.avail_out == 0 && (status == Z_STREAM_END || status == Z_OK || status == Z_BUF_ERROR);
  ::inflateEnd(&z);
  if (!whole) throw refuse();
  return out;
}

}  // namespace vitals::inline v0::io::detail
