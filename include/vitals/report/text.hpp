// Numbers and names as text, the same on every machine: no locale, valid UTF-8.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <vitals/core/config.hpp>

namespace vitals::inline v0::report {

/// `value` with `digits` places after the point: fixed(0.12345, 3) == "0.123". "nan" and "inf" for what is not finite.
std::string fixed(double value, int digits);
/// `text` with every byte that is no part of valid UTF-8 replaced by U+FFFD: file names may hold any bytes.
std::string valid_utf8(std::string_view text);
/// How many columns of a terminal `text` takes: its code points.
std::size_t display_width(std::string_view text);
/// `text` with & < > " written as XML entities, control characters left out, UTF-8 made valid.
std::string xml_escape(std::string_view text);

}  // namespace vitals::inline v0::report

#if VITALS_HEADER_ONLY
#include <vitals/report/text.ipp>
#endif
