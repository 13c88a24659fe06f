// The elements of a DICOM file (PS3.5 7, PS3.10 7): tag, kind, where the value lies. For dicom.ipp. Every length is checked
// against the file; only elements on a list are kept, so that what is said of a patient is passed over unseen.
#pragma once

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <zlib.h>

#include <vitals/core/error.hpp>
#include <vitals/io/bytes.hpp>
#include <vitals/io/mapped_file.hpp>

namespace vitals::inline v0::io::detail {

using DicomTag = std::uint32_t;  // group << 16 | element

struct DicomElement;
using DicomSet = std::vector<DicomElement>;

struct DicomElement {
  DicomTag tag = 0;
  std::span<const std::byte> value;
  std::vector<DicomSet> items;                        // of a sequence
  std::vector<std::span<const std::byte>> fragments;  // of compressed pixels; the first is the table of offsets
  bool encapsulated = false;
};

inline constexpr DicomTag dicom_pixels = 0x7fe00010, dicom_float_pixels = 0x7fe00008, dicom_double_pixels = 0x7fe00009;
inline constexpr DicomTag dicom_item = 0xfffee000, dicom_item_end = 0xfffee00d, dicom_sequence_end = 0xfffee0dd;

/// What is kept: group 0028 describes the picture, the others say where it lies. Nothing here identifies anybody, but for the
/// UID of the series, which is compared and never shown.
inline bool dicom_kept(DicomTag tag) {
  switch (tag) {
    case 0x00080060:  // modality
    case 0x0020000e:  // series instance UID
    case 0x00200032:  // image position
    case 0x00200037:  // image orientation
    case 0x00180050:  // slice thickness
    case 0x00180088:  // spacing between slices
    case 0x00181164:  // imager pixel spacing
    case 0x00209113:  // plane position sequence
    case 0x00209116:  // plane orientation sequence
    case 0x52009229:  // shared functional groups
    case 0x52009230:  // functional groups of each frame
    case dicom_pixels:
    case dicom_float_pixels:
    case dicom_double_pixels:
      return true;
    default:
      return tag >> 16 == 0x0028;
  }
}

/// Walks the elements. `explicit_kinds`: each element says its VR.
class DicomWalker {
 public:
  DicomWalker(std::span<const std::byte> bytes, bool explicit_kinds, bool big_endian, const std::string& where)
      : bytes_(bytes), explicit_(explicit_kinds), big_(big_endian), where_(where) {}

  std::uint16_t number16(std::size_t at) const {
    const auto v = load<std::uint16_t>(&bytes_[at]);
    return big_ ? static_cast<std::uint16_t>(v >> 8 | v << 8) : v;
  }
  std::uint32_t number32(std::size_t at) const {
    if (!big_) return load<std::uint32_t>(&bytes_[at]);
    return static_cast<std::uint32_t>(number16(at)) << 16 | number16(at + 2);
  }

  /// The elements from `at` to `end`, or to the end of an item; `at` moves behind them. At the top level walking ends with the
  /// pixels, so that what stands behind them does not matter.
  DicomSet elements(std::size_t& at, std::size_t end, int depth, bool keep) {
    if (depth > 24) throw damaged("sequences nested more than 24 deep", at);
    DicomSet set;
    while (at < end) {
      if (end - at < 8) {
        // Padding of a careless writer behind the last element.
        if (depth == 0) break;
        throw damaged("an element is cut off", at);
      }
      DicomElement element;
      element.tag = static_cast<DicomTag>(number16(at)) << 16 | number16(at + 2);
      if (element.tag == dicom_item_end || element.tag == dicom_sequence_end) {
        at += 8;
        break;
      }
      std::uint32_t length = 0;
      bool sequence = false, unknown = false;
      const std::size_t start = at;
      read_head(at, end, length, sequence, unknown);
      const bool wanted = keep && dicom_kept(element.tag);
      if (length == 0xffffffffu) {
        if (element.tag == dicom_pixels && !sequence) {
          read_fragments(element, at, end);
        } else if (unknown) {  // an unknown element of undefined length holds implicit elements (PS3.5 6.2.2)
          const bool before = std::exchange(explicit_, false);
          read_items(element, at, end, true, depth, wanted);
          explicit_ = before;
        } else {
          read_items(element, at, end, true, depth, wanted);
        }
      } else {
        if (length > end - at)
          throw damaged("an element of " + std::to_string(length) + " bytes goes beyond the end", start);
        element.value = bytes_.subspan(at, length);
        const std::size_t after = at + length;
        if (wanted && (sequence || dicom_is_sequence(element.tag)))
          read_items(element, at, after, false, depth, wanted);
        at = after;
      }
      const bool pixels =
          element.tag >> 16 == 0x7fe0 && depth == 0 &&
          (element.tag == dicom_pixels || element.tag == dicom_float_pixels || element.tag == dicom_double_pixels);
      if (wanted) set.push_back(std::move(element));
      if (pixels) break;
    }
    return set;
  }

  FormatError damaged(const std::string& what, std::size_t at) const {
    return FormatError("[read_dicom] " + what + " at byte " + std::to_string(at), where_,
                       "the file is truncated or damaged");
  }

 private:
  static bool dicom_is_sequence(DicomTag tag) {
    return tag == 0x52009229 || tag == 0x52009230 || tag == 0x00209113 || tag == 0x00209116 || tag == 0x00289110 ||
           tag == 0x00289145 || tag == 0x00289132 || tag == 0x00283000 || tag == 0x00283010;
  }

  // Behind the tag: VR and length. `at` moves to the value.
  void read_head(std::size_t& at, std::size_t end, std::uint32_t& length, bool& sequence, bool& unknown) {
    const char a = static_cast<char>(bytes_[at + 4]), b = static_cast<char>(bytes_[at + 5]);
    const bool said = explicit_ && a >= 'A' && a <= 'Z' && b >= 'A' && b <= 'Z';
    const bool item = number16(at) == 0xfffe;
    if (!said || item) {  // also one element of a careless writer among explicit ones
      length = number32(at + 4);
      at += 8;
      return;
    }
    const std::string kind{a, b};
    sequence = kind == "SQ", unknown = kind == "UN";
    for (const char* wide : {"OB", "OW", "OF", "OD", "OL", "OV", "SQ", "UC", "UR", "UT", "UN", "SV", "UV"})
      if (kind == wide) {
        if (end - at < 12) throw damaged("an element is cut off", at);
        length = number32(at + 8);
        at += 12;
        return;
      }
    length = number16(at + 6);
    at += 8;
  }

  void read_items(DicomElement& element, std::size_t& at, std::size_t end, bool undefined, int depth, bool keep) {
    while (at < end) {
      if (end - at < 8) throw damaged("a sequence is cut off", at);
      const DicomTag tag = static_cast<DicomTag>(number16(at)) << 16 | number16(at + 2);
      const std::uint32_t length = number32(at + 4);
      if (tag == dicom_sequence_end) {
        at += 8;
        return;
      }
      if (tag != dicom_item) throw damaged("a sequence without items", at);
      at += 8;
      if (length == 0xffffffffu) {
        auto set = elements(at, end, depth + 1, keep);
        if (keep) element.items.push_back(std::move(set));
      } else {
        if (length > end - at) throw damaged("an item of " + std::to_string(length) + " bytes goes beyond the end", at);
        const std::size_t after = at + length;
        if (keep) element.items.push_back(elements(at, after, depth + 1, true));
        at = after;
      }
    }
    if (undefined) throw damaged("a sequence without an end", at);
  }

  void read_fragments(DicomElement& element, std::size_t& at, std::size_t end) {
    element.encapsulated = true;
    while (end - at >= 8) {
      const DicomTag tag = static_cast<DicomTag>(number16(at)) << 16 | number16(at + 2);
      const std::uint32_t length = number32(at + 4);
      if (tag != dicom_item) return;  // the end; what else may stand there does not matter
      at += 8;
      if (length > end - at)
        throw damaged("a fragment of " + std::to_string(length) + " bytes goes beyond the end", at);
      element.fragments.push_back(bytes_.subspan(at, length));
      at += length;
    }
  }

  std::span<const std::byte> bytes_;
  bool explicit_, big_;
  const std::string& where_;
};

/// A file with the elements that were kept.
struct DicomFile {
  explicit DicomFile(const std::filesystem::path& file) : where(file.string()), map(file) { open(); }

  const DicomElement* find(DicomTag tag) const { return find(set, tag); }
  static const DicomElement* find(const DicomSet& in, DicomTag tag) {
    for (const auto& element : in)
      if (element.tag == tag) return &element;
    return nullptr;
  }
  /// Text without its padding; empty where there is none.
  static std::string text(const DicomElement* element) {
    if (!element) return {};
    std::string out(as_text(element->value.first(std::min<std::size_t>(element->value.size(), 4096))));
    while (!out.empty() && (out.back() == ' ' || out.back() == '\0')) out.pop_back();
    out.erase(0, out.find_first_not_of(' '));
    return out;
  }
  /// The numbers of a decimal or integer string, joined by backslashes; an unreadable one is NaN.
  static std::vector<double> numbers(const DicomElement* element) {
    std::vector<double> values;
    const std::string all = text(element);
    if (all.empty()) return values;
    for (std::size_t begin = 0; begin <= all.size();) {
      const std::size_t end = std::min(all.find('\\', begin), all.size());
      const std::string one = all.substr(begin, end - begin);
      char* rest = nullptr;
      const double value = std::strtod(one.c_str(), &rest);
      const bool whole = rest != one.c_str() && std::all_of(rest, const_cast<char*>(one.c_str()) + one.size(),
                                                            [](char c) { return c == ' ' || c == '\0'; });
      values.push_back(whole && std::isfinite(value) ? value : std::nan(""));
      begin = end + 1;
    }
    return values;
  }
  /// Value `i` of unsigned 16-bit numbers.
  std::optional<std::uint16_t> short_at(const DicomElement* element, std::size_t i = 0) const {
    if (!element || element->value.size() < 2 * i + 2) return std::nullopt;
    const auto v = load<std::uint16_t>(element->value.data() + 2 * i);
    return big_endian ? static_cast<std::uint16_t>(v >> 8 | v << 8) : v;
  }

  std::string where;
  MappedFile map;
  std::vector<std::byte> inflated;
  std::string transfer_syntax;
  bool big_endian = false;
  DicomSet set;

 private:
  static std::string uid_of(std::span<const std::byte> value) {
    std::string uid;
    for (const std::byte b : value.first(std::min<std::size_t>(value.size(), 64))) {
      const char c = static_cast<char>(b);
      if ((c >= '0' && c <= '9') || c == '.')
        uid += c;
      else
        break;
    }
    return uid;
  }

  void open() {
    std::span<const std::byte> bytes = map.bytes();
    std::size_t at = bytes.size() >= 132 && as_text(bytes.subspan(128, 4)) == "DICM" ? 132 : 0;
    const auto group = [&](std::size_t p) {
      return bytes.size() - p >= 8 ? load<std::uint16_t>(&bytes[p]) : std::uint16_t{0xffff};
    };
    if (at == 0 && group(0) != 0x0002 && group(0) != 0x0008)
      throw FormatError("[read_dicom] not a DICOM file", where, "name a DICOM file");
    // The head, group 0002, is explicit little endian whatever follows.
    while (group(at) == 0x0002) {
      const auto element = load<std::uint16_t>(&bytes[at + 2]);
      const std::string kind(as_text(bytes.subspan(at + 4, 2)));
      std::size_t length = load<std::uint16_t>(&bytes[at + 6]), value = at + 8;
      if (kind == "OB" || kind == "UN" || kind == "OW" || kind == "UT" || kind == "SQ") {
        if (bytes.size() - at < 12)
          throw FormatError("[read_dicom] the head is cut off", where, "the file is truncated");
        length = load<std::uint32_t>(&bytes[at + 8]), value = at + 12;
      }
      if (length > bytes.size() - value)
        throw FormatError("[read_dicom] the head is cut off", where, "the file is truncated or damaged");
      if (element == 0x0010) transfer_syntax = uid_of(bytes.subspan(value, length));
      at = value + length;
    }
    big_endian = transfer_syntax == "1.2.840.10008.1.2.2";
    if (transfer_syntax == "1.2.840.10008.1.2.1.99") {
      inflated = inflate_rest(bytes.subspan(at));
      bytes = inflated;
      at = 0;
    }
    // Whether VRs are said: the transfer syntax tells, but some writers do otherwise, and some files have no head.
    bool said = bytes.size() - at >= 8;
    for (std::size_t i = at + 4; said && i < at + 6; ++i)
      said = std::isupper(static_cast<unsigned char>(bytes[i])) != 0;
    DicomWalker walker(bytes, said, big_endian, where);
    set = walker.elements(at, bytes.size(), 0, true);
  }

  std::vector<std::byte> inflate_rest(std::span<const std::byte> packed) const {
    constexpr std::size_t most = std::size_t{1} << 31;
    std::vector<std::byte> out;
    z_stream stream{};
    if (::inflateInit2(&stream, -MAX_WBITS) != Z_OK) throw IoError("[read_dicom] not enough memory", where);
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(packed.data()));
    stream.avail_in = static_cast<uInt>(std::min<std::size_t>(packed.size(), most));
    int status = Z_OK;
    while (status == Z_OK && out.size() < most) {
      const std::size_t before = out.size();
      out.resize(before + std::max<std::size_t>(before, 1 << 16));
      stream.next_out = reinterpret_cast<Bytef*>(out.data() + before);
      stream.avail_out = static_cast<uInt>(out.size() - before);
      status = ::inflate(&stream, Z_NO_FLUSH);
      out.resize(out.size() - stream.avail_out);
    }
    ::inflateEnd(&stream);
    if (status != Z_STREAM_END)
      throw FormatError("[read_dicom] the deflated elements are cut short or damaged", where, "fetch the file again");
    return out;
  }
};

}  // namespace vitals::inline v0::io::detail
