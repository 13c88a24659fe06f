// Implementation of text.hpp.
#pragma once

#include <array>
#include <charconv>
#include <cmath>

#include <vitals/report/text.hpp>

namespace vitals::inline v0::report {

namespace detail {

// Length of the valid UTF-8 sequence at text[i], 0 where there is none (Unicode 15, table 3-7).
inline std::size_t utf8_length(std::string_view text, std::size_t i) {
  const auto byte = [&](std::size_t k) {
    return i + k < text.size() ? static_cast<unsigned>(static_cast<unsigned char>(text[i + k])) : 0u;
  };
  const auto tail = [&](std::size_t k) { return (byte(k) & 0xC0u) == 0x80u; };
  const unsigned a = byte(0), b = byte(1);
  if (a < 0x80) return 1;
  if (a >= 0xC2 && a <= 0xDF) return tail(1) ? 2 : 0;
  if (a >= 0xE0 && a <= 0xEF) {
    const bool second = tail(1) && !(a == 0xE0 && b < 0xA0) && !(a == 0xED && b >= 0xA0);  // overlong, surrogates
    return second && tail(2) ? 3 : 0;
  }
  if (a >= 0xF0 && a <= 0xF4) {
    const bool second = tail(1) && !(a == 0xF0 && b < 0x90) && !(a == 0xF4 && b >= 0x90);
    return second && tail(2) && tail(3) ? 4 : 0;
  }
  return 0;
}

}  // namespace detail

VITALS_INLINE std::string fixed(double value, int digits) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  std::array<char, 400> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed, digits);
  std::string text(buffer.data(), end.ptr);
  if (text[0] == '-' && text.find_first_of("123456789") == std::string::npos) text.erase(0, 1);  // no "-0.000"
  return text;
}

VITALS_INLINE std::string valid_utf8(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t n = detail::utf8_length(text, i);
    if (n)
      out.append(text.substr(i, n));
    else
      out += "\xEF\xBF\xBD";
    i += n ? n : 1;
  }
  return out;
}

VITALS_INLINE std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  for (char c : text) width += (static_cast<unsigned char>(c) & 0xC0u) != 0x80u;
  return width;
}

VITALS_INLINE std::string xml_escape(std::string_view text) {
  std::string out;
  for (char c : valid_utf8(text)) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else if (static_cast<unsigned char>(c) >= 0x20)
      out += c;
  }
  return out;
}

}  // namespace vitals::inline v0::report
