// Implementation of intensity.hpp.
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <vector>

#include <vitals/core/error.hpp>
#include <vitals/core/number_text.hpp>
#include <vitals/data/intensity.hpp>

namespace vitals::inline v0::data {

namespace detail {

// numpy.percentile of what is not sorted; reorders `values`.
inline double percentile_of(std::vector<float>& values, double q) {
  const double at = q * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const auto nth = values.begin() + static_cast<std::ptrdiff_t>(below);
  std::nth_element(values.begin(), nth, values.end());
  const double low = *nth;
  if (below + 1 == values.size()) return low;
  const double high = *std::min_element(nth + 1, values.end());
  return low + (at - static_cast<double>(below)) * (high - low);
}

}  // namespace detail

VITALS_INLINE std::string Intensity::name() const {
  if (rule == Rule::none) return "none";
  return rule == Rule::p5p95 ? "p5p95" : shortest_text(low) + "," + shortest_text(high);
}

VITALS_INLINE Intensity intensity_by_name(std::string_view name) {
  if (name == "none") return {};
  if (name == "p5p95") return {Intensity::Rule::p5p95, 0, 0};
  Intensity range{Intensity::Rule::range, 0, 0};
  const char *begin = name.data(), *end = begin + name.size();
  const auto first = std::from_chars(begin, end, range.low);
  if (first.ec == std::errc() && first.ptr != end && *first.ptr == ',') {
    const auto second = std::from_chars(first.ptr + 1, end, range.high);
    if (second.ec == std::errc() && second.ptr == end && std::isfinite(range.low) && std::isfinite(range.high) &&
        range.low < range.high)
      return range;
  }
  throw ArgumentError("\"" + std::string(name) + "\" is no intensity rule", "",
                      "write none, p5p95 or LOW,HIGH such as -1024,600");
}

VITALS_INLINE void apply_intensity(std::span<float> values, const Intensity& intensity) {
  if (intensity.rule == Intensity::Rule::none || values.empty()) return;
  float low = intensity.low, high = intensity.high;
  if (intensity.rule == Intensity::Rule::p5p95) {
    for (float v : values)
      if (!std::isfinite(v)) throw DataError("NaN or infinite numbers have no percentiles");
    std::vector<float> sorted(values.begin(), values.end());
    low = static_cast<float>(detail::percentile_of(sorted, 0.05));
    high = static_cast<float>(detail::percentile_of(sorted, 0.95));
  }
  for (float& v : values) v = v < low ? low : v > high ? high : v;
}

}  // namespace vitals::inline v0::data
