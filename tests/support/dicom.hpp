// DICOM files element by element (PS3.5, PS3.10), in explicit or implicit little endian or explicit big endian: independent of the reader.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace test {

class Dicom {
 public:
  std::string syntax = "1.2.840.10008.1.2.1";
  bool preamble = true, explicit_kinds = true, big_endian = false;

  Dicom& text(std::uint32_t tag, const char* kind, const std::string& value) {
    elements_[tag] = {kind, value.size() % 2 ? value + " " : value};
    return *this;
  }
  Dicom& shorts(std::uint32_t tag, const std::vector<int>& values, const char* kind = "US") {
    std::string bytes;
    for (const int v : values) bytes += number(static_cast<std::uint32_t>(v), 2);
    elements_[tag] = {kind, bytes};
    return *this;
  }
  Dicom& raw(std::uint32_t tag, const char* kind, const std::string& bytes) {
    elements_[tag] = {kind, bytes};
    return *this;
  }
  /// A sequence of one item.
  Dicom& sequence(std::uint32_t tag, const Dicom& item) {
    const std::string inner = item.body();
    elements_[tag] = {
        "SQ", number(0xfffe, 2) + number(0xe000, 2) + number(static_cast<std::uint32_t>(inner.size()), 4) + inner};
    return *this;
  }
  /// Compressed pixels: an empty table of offsets, then the fragments.
  Dicom& fragments(const std::vector<std::string>& pieces) {
    std::string bytes = number(0xfffe, 2) + number(0xe000, 2) + number(0, 4);
    for (auto piece : pieces) {
      if (piece.size() % 2) piece += '\0';
      bytes += number(0xfffe, 2) + number(0xe000, 2) + number(static_cast<std::uint32_t>(piece.size()), 4) + piece;
    }
    elements_[0x7fe00010] = {"OB", bytes + number(0xfffe, 2) + number(0xe0dd, 2) + number(0, 4)};
    encapsulated_ = true;
    return *this;
  }
  Dicom& remove(std::uint32_t tag) {
    elements_.erase(tag);
    return *this;
  }

  /// Numbers of 16 bits, in the byte order of the file.
  std::string numbers16(const std::vector<int>& values) const {
    std::string bytes;
    for (const int v : values) bytes += number(static_cast<std::uint32_t>(v), 2);
    return bytes;
  }

  std::string body() const {
    std::string out;
    for (const auto& [tag, element] : elements_) {
      const auto& [kind, value] = element;
      const bool undefined = encapsulated_ && tag == 0x7fe00010;
      const auto length = undefined ? 0xffffffffu : static_cast<std::uint32_t>(value.size());
      out += number(tag >> 16, 2) + number(tag & 0xffff, 2);
      if (!explicit_kinds) {
        out += number(length, 4);
      } else {
        out += kind;
        const bool wide = kind == "OB" || kind == "OW" || kind == "SQ" || kind == "UN" || kind == "OF";
        out += wide ? std::string(2, '\0') + number(length, 4) : number(length, 2);
      }
      out += value;
    }
    return out;
  }
  std::string bytes() const {
    std::string out;
    if (preamble) out = std::string(128, '\0') + "DICM";
    if (!syntax.empty()) {
      std::string uid = syntax;
      if (uid.size() % 2) uid += '\0';
      out += std::string("\x02\x00\x10\x00UI", 6) + static_cast<char>(uid.size()) + '\0' + uid;
    }
    return out + body();
  }

 private:
  std::string number(std::uint32_t value, std::size_t width) const {
    std::string bytes;
    for (std::size_t i = 0; i < width; ++i) bytes += static_cast<char>(value >> 8 * i & 255);
    if (big_endian) std::reverse(bytes.begin(), bytes.end());
    return bytes;
  }

  std::map<std::uint32_t, std::pair<std::string, std::string>> elements_;  // in the order of the tags
  bool encapsulated_ = false;
};

/// A grey picture of 3 rows and 2 columns, 16 bits; the caller adds or replaces elements.
inline Dicom grey_dicom(const std::vector<int>& values = {0, 1, 2, 3, 4, 5}, bool big_endian = false,
                        bool explicit_kinds = true) {
  Dicom d;
  d.big_endian = big_endian, d.explicit_kinds = explicit_kinds;
  d.syntax = big_endian ? "1.2.840.10008.1.2.2" : explicit_kinds ? "1.2.840.10008.1.2.1" : "1.2.840.10008.1.2";
  d.text(0x00080060, "CS", "CT").text(0x00100010, "PN", "QUXLEY^ZEBEDIAH").text(0x00100020, "LO", "ZQ-998877");
  d.text(0x0020000e, "UI", "1.2.3").shorts(0x00280002, {1}).text(0x00280004, "CS", "MONOCHROME2");
  d.shorts(0x00280010, {3}).shorts(0x00280011, {2}).shorts(0x00280100, {16}).shorts(0x00280101, {16});
  d.shorts(0x00280102, {15}).shorts(0x00280103, {0});
  return d.raw(0x7fe00010, "OW", d.numbers16(values));
}

}  // namespace test
