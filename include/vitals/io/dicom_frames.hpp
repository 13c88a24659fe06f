// The pixels of a DICOM file (PS3.3 C.7.6.3): what they are, and the numbers of each frame as stored. For dicom.ipp.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <vitals/core/error.hpp>
#include <vitals/io/bytes.hpp>
#include <vitals/io/dicom_codec.hpp>
#include <vitals/io/dicom_elements.hpp>
#include <vitals/io/image.hpp>
#include <vitals/io/tensor_entry.hpp>

namespace vitals::inline v0::io::detail {

/// A file's pixels, frame by frame. The DicomFile must live as long.
class DicomFrames {
 public:
  explicit DicomFrames(const DicomFile& file) : file_(file) {
    const auto codec = dicom_codec(file.transfer_syntax);
    if (!codec)
      throw refuse("transfer syntax " + file.transfer_syntax + " is not read", "convert the file to another one");
    codec_ = *codec;
    for (const DicomTag tag : {dicom_pixels, dicom_float_pixels, dicom_double_pixels})
      if (!element_) element_ = file.find(tag);
    if (!element_) throw refuse("no picture in the file", "name a DICOM image");
    describe();
    if (element_->encapsulated != (codec_ != DicomCodec::none))
      throw refuse(element_->encapsulated ? "compressed pixels in a file that says they are not"
                                          : "plain pixels in a file that says they are compressed",
                   "the file is damaged");
    if (element_->encapsulated)
      find_streams();
    else
      check_native();
  }

  const DicomPixels& pixels() const { return pixels_; }
  /// Of the numbers that values() gives.
  DType dtype() const { return dtype_; }

  /// The numbers of a frame, rows x columns x samples, into `out`, of the type dtype() says.
  template <class T>
  void values(std::size_t frame, std::span<T> out) const {
    if (dtype_ == DType::f32 || dtype_ == DType::f64) {
      const std::size_t width = size_of(dtype_);
      const auto bytes = element_->value.subspan(frame * pixels_.frame_samples() * width);
      for (std::size_t i = 0; i < out.size(); ++i) {
        std::array<std::byte, 8> number{};
        std::copy_n(&bytes[i * width], width, number.begin());
        if (file_.big_endian) std::reverse(number.begin(), number.begin() + static_cast<std::ptrdiff_t>(width));
        out[i] = dtype_ == DType::f32 ? static_cast<T>(load<float>(number.data()))
                                      : static_cast<T>(load<double>(number.data()));
      }
      return;
    }
    if (pixels_.allocated == 1) return bits(frame, out);
    DicomFrame decoded;
    unsigned shift = 0;
    DicomBytes bytes;
    bool swap = false;
    switch (codec_) {
      case DicomCodec::none:
      case DicomCodec::deflated_frames:
        decoded.width = pixels_.allocated / 8, decoded.bits = pixels_.stored, decoded.is_signed = pixels_.is_signed;
        shift = pixels_.high + 1 - pixels_.stored;
        bytes = native_bytes(frame, decoded.bytes);
        swap = file_.big_endian;
        break;
      case DicomCodec::rle:
        decoded = decode_rle(stream(frame, decoded.bytes), pixels_, file_.where);
        shift = pixels_.high + 1 - pixels_.stored;
        break;
      default: {
        std::vector<std::byte> joined;
        decoded = decode_by_gdcm(stream(frame, joined), codec_, pixels_, file_.where);
      }
    }
    if (bytes.empty()) bytes = decoded.bytes;
    const bool planar = pixels_.planar && (codec_ == DicomCodec::none || codec_ == DicomCodec::deflated_frames);
    const std::size_t area = pixels_.rows * pixels_.columns, samples = pixels_.samples;
    const unsigned top = 32 - decoded.bits;
    if (!planar && !halved_ && !swap) {  // nearly every file
      if (decoded.width == 1) return interleaved<std::uint8_t>(bytes, shift, top, decoded.is_signed, out);
      if (decoded.width == 2) return interleaved<std::uint16_t>(bytes, shift, top, decoded.is_signed, out);
    }
    for (std::size_t p = 0, i = 0; p < area; ++p)
      for (std::size_t c = 0; c < samples; ++c, ++i) {
        const std::byte* at = &bytes[(planar ? c * area + p : source(p, c)) * decoded.width];
        std::uint32_t raw = 0;
        for (std::size_t b = 0; b < decoded.width; ++b)
          raw |= std::to_integer<std::uint32_t>(at[b]) << 8 * (swap ? decoded.width - 1 - b : b);
        raw = raw >> shift << top;
        out[i] = decoded.is_signed ? static_cast<T>(static_cast<std::int32_t>(raw) >> top) : static_cast<T>(raw >> top);
      }
  }

  /// Calls f with a number of the type that is stored.
  template <class F>
  void with_type(const F& f) const {
    switch (dtype_) {
      case DType::u8:
        return f(std::uint8_t{});
      case DType::i8:
        return f(std::int8_t{});
      case DType::u16:
        return f(std::uint16_t{});
      case DType::i16:
        return f(std::int16_t{});
      case DType::u32:
        return f(std::uint32_t{});
      case DType::i32:
        return f(std::int32_t{});
      case DType::f64:
        return f(double{});
      default:
        return f(float{});
    }
  }

 private:
  FormatError refuse(const std::string& what, const std::string& advice) const {
    return FormatError("[read_dicom] " + what, file_.where, advice);
  }
  std::size_t number(DicomTag tag, const char* what) const {
    const auto value = file_.short_at(file_.find(tag));
    if (!value) throw refuse(std::string("does not say its ") + what, "the file is damaged, or no image");
    return *value;
  }

  void describe() {
    pixels_.rows = number(0x00280010, "rows"), pixels_.columns = number(0x00280011, "columns");
    pixels_.samples = file_.short_at(file_.find(0x00280002)).value_or(1);
    const bool whole = element_->tag == dicom_pixels;
    pixels_.allocated = element_->tag == dicom_double_pixels ? 64 : 32;
    if (whole) pixels_.allocated = static_cast<unsigned>(number(0x00280100, "bits allocated"));
    pixels_.stored = file_.short_at(file_.find(0x00280101)).value_or(static_cast<std::uint16_t>(pixels_.allocated));
    pixels_.high = file_.short_at(file_.find(0x00280102)).value_or(static_cast<std::uint16_t>(pixels_.stored - 1));
    pixels_.is_signed = file_.short_at(file_.find(0x00280103)).value_or(0) == 1;
    pixels_.planar = pixels_.samples > 1 && file_.short_at(file_.find(0x00280006)).value_or(0) == 1;
    for (const char c : file_.text(file_.find(0x00280004)).substr(0, 16))
      if ((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == ' ') pixels_.photometric += c;
    const auto frames = file_.numbers(file_.find(0x00280008));
    const double count = frames.empty() ? 1 : frames[0];
    if (!(count >= 1 && count <= 1e6) || count != std::floor(count))
      throw refuse("an absurd number of frames", "the file is damaged");
    pixels_.frames = static_cast<std::size_t>(count);

    const std::string size = std::to_string(pixels_.rows) + " x " + std::to_string(pixels_.columns);
    if (pixels_.rows == 0 || pixels_.columns == 0) throw refuse("a size of " + size, "the file is damaged");
    if (pixels_.rows > max_image_pixels / pixels_.columns)
      throw refuse("claims " + size + " pixels", "at most 2^28 pixels a frame are read");
    if (pixels_.samples != 1 && pixels_.samples != 3)
      throw refuse(std::to_string(pixels_.samples) + " samples a pixel", "pictures of 1 or 3 are read");
    const unsigned a = pixels_.allocated;
    if (whole && a != 1 && a != 8 && a != 16 && a != 32)
      throw refuse(std::to_string(a) + " bits allocated", "1, 8, 16 and 32 are read");
    if (whole && (pixels_.stored < 1 || pixels_.stored > a || pixels_.high >= a || pixels_.high + 1 < pixels_.stored))
      throw refuse(std::to_string(pixels_.stored) + " bits stored below bit " + std::to_string(pixels_.high) + " of " +
                       std::to_string(a),
                   "the file is damaged");
    if (!whole)
      dtype_ = element_->tag == dicom_float_pixels ? DType::f32 : DType::f64;
    else if (a == 1)
      dtype_ = DType::u8;
    else
      dtype_ = integer(a / 8, pixels_.is_signed);
    halved_ = pixels_.photometric == "YBR_FULL_422" && codec_ == DicomCodec::none;
    if (halved_ && (pixels_.samples != 3 || pixels_.columns % 2 || a != 8 || pixels_.planar))
      throw refuse("YBR_FULL_422 of an odd form", "convert the file to RGB");
  }
  template <class Raw, class T>
  static void interleaved(DicomBytes bytes, unsigned shift, unsigned top, bool is_signed, std::span<T> out) {
    const std::byte* in = bytes.data();
    if (is_signed)
      for (std::size_t i = 0; i < out.size(); ++i)
        out[i] = static_cast<T>(
            static_cast<std::int32_t>(std::uint32_t{load<Raw>(in + i * sizeof(Raw))} >> shift << top) >> top);
    else
      for (std::size_t i = 0; i < out.size(); ++i)
        out[i] = static_cast<T>(std::uint32_t{load<Raw>(in + i * sizeof(Raw))} >> shift << top >> top);
  }
  static DType integer(std::size_t width, bool is_signed) {
    if (width == 1) return is_signed ? DType::i8 : DType::u8;
    if (width == 2) return is_signed ? DType::i16 : DType::u16;
    return is_signed ? DType::i32 : DType::u32;
  }
  /// Where a sample stands: of YBR_FULL_422 two pixels are four bytes, Y Y Cb Cr.
  std::size_t source(std::size_t pixel, std::size_t sample) const {
    if (!halved_) return pixel * pixels_.samples + sample;
    return pixel / 2 * 4 + (sample == 0 ? pixel % 2 : 1 + sample);
  }
  std::size_t native_frame_bytes() const {
    if (halved_) return pixels_.rows * pixels_.columns * 2;
    return pixels_.frame_samples() * (pixels_.allocated / 8);
  }
  void check_native() {
    std::size_t needed = pixels_.allocated == 1 ? (pixels_.frame_samples() * pixels_.frames + 7) / 8
                                                : native_frame_bytes() * pixels_.frames;
    if (needed > element_->value.size())
      throw refuse("its pixels are " + std::to_string(element_->value.size()) + " bytes, " + std::to_string(needed) +
                       " are needed",
                   "the file is truncated or damaged");
  }
  DicomBytes native_bytes(std::size_t frame, std::vector<std::byte>& kept) const {
    const std::size_t size = native_frame_bytes();
    if (codec_ == DicomCodec::none) return element_->value.subspan(frame * size, size);
    std::vector<std::byte> joined;
    kept = inflate_frame(stream(frame, joined), size, file_.where);
    return kept;
  }
  template <class T>
  void bits(std::size_t frame, std::span<T> out) const {
    const std::size_t n = pixels_.frame_samples();
    std::vector<std::byte> kept, joined;
    DicomBytes bytes = element_->value;
    std::size_t first = frame * n;  // frames follow each other bit by bit
    if (codec_ == DicomCodec::rle)
      kept = decode_rle(stream(frame, joined), pixels_, file_.where).bytes;
    else if (codec_ == DicomCodec::deflated_frames)
      kept = inflate_frame(stream(frame, joined), (n + 7) / 8, file_.where);
    else if (codec_ != DicomCodec::none)
      throw refuse("one-bit pixels in this compression", "convert the file");
    if (codec_ != DicomCodec::none) bytes = kept, first = 0;
    for (std::size_t i = 0; i < n; ++i)
      out[i] = static_cast<T>(std::to_integer<unsigned>(bytes[(first + i) / 8]) >> (first + i) % 8 & 1u);
  }

  /// Which fragments make which frame (PS3.5 A.4): one each; or all one; or from the table of offsets; or a frame begins
  /// where a fragment begins as a stream does.
  void find_streams() {
    const auto& fragments = element_->fragments;
    const std::size_t count = fragments.empty() ? 0 : fragments.size() - 1;
    const std::size_t frames = pixels_.frames;
    if (count < frames)
      throw refuse(std::to_string(count) + " compressed pieces for " + std::to_string(frames) + " frames",
                   "the file is truncated or damaged");
    if (count == frames || frames == 1) {
      for (std::size_t f = 0; f < frames; ++f) starts_.push_back(1 + f);
    } else if (fragments[0].size() == 4 * frames) {
      std::size_t offset = 0, next = 0;
      for (std::size_t k = 1; k <= count && next < frames; ++k) {
        if (load<std::uint32_t>(fragments[0].data() + 4 * next) == offset) starts_.push_back(k), ++next;
        offset += fragments[k].size() + 8;
      }
    } else {
      for (std::size_t k = 1; k <= count; ++k) {
        const auto head = fragments[k].size() < 2 ? 0 : codestream_16(fragments[k], 0);
        if (head == 0xffd8 || head == 0xff4f) starts_.push_back(k);
      }
    }
    if (starts_.size() != frames) throw refuse("compressed pieces that cannot be told apart", "the file is damaged");
    starts_.push_back(count + 1);
    // JPEG 2000 says by itself whether numbers have signs, whatever the file says, and any codec may be wider than the file says.
    if (pixels_.allocated == 1) return;
    std::size_t width = pixels_.allocated / 8;
    bool is_signed = pixels_.is_signed;
    auto first = fragments[starts_[0]];
    std::optional<CodestreamHead> head;
    if (codec_ == DicomCodec::jpeg_2000) head = jpeg_2000_head(first);
    if (codec_ == DicomCodec::jpeg || codec_ == DicomCodec::jpeg_ls) head = jpeg_head(first);
    if (head && codec_ == DicomCodec::jpeg_2000) is_signed = is_signed || head->is_signed;
    if (head && head->precision > 8) width = std::max<std::size_t>(width, 2);
    dtype_ = integer(width, is_signed);
  }
  DicomBytes stream(std::size_t frame, std::vector<std::byte>& joined) const {
    const auto& fragments = element_->fragments;
    const std::size_t begin = starts_[frame], end = starts_[frame + 1];
    if (end == begin + 1) return fragments[begin];
    for (std::size_t k = begin; k < end; ++k) joined.insert(joined.end(), fragments[k].begin(), fragments[k].end());
    return joined;
  }

  const DicomFile& file_;
  const DicomElement* element_ = nullptr;
  DicomCodec codec_ = DicomCodec::none;
  DicomPixels pixels_;
  DType dtype_ = DType::u8;
  bool halved_ = false;              // YBR_FULL_422 as it is
  std::vector<std::size_t> starts_;  // the first fragment of each frame, and the end
};

}  // namespace vitals::inline v0::io::detail
