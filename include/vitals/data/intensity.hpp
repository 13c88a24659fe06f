// How the numbers of a slice enter the transform: clipped to percentiles of the slice or to a range, as the radiology
// study (arXiv 2312.02366) does before its min-max.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include <vitals/core/config.hpp>

namespace vitals::inline v0::data {

struct Intensity {
  enum class Rule {
    none,   ///< as they are
    p5p95,  ///< clipped to the 5th and 95th percentile of the slice (linear interpolation), as the study does with MSD
    range   ///< clipped to [low, high] (AMOS: -1024, 600)
  };
  Rule rule = Rule::none;
  float low = 0, high = 0;

  /// "none", "p5p95", "-1024,600": as reports say it.
  std::string name() const;
  friend bool operator==(const Intensity&, const Intensity&) = default;
};

/// By the name that programs use: "none", "p5p95" or "LOW,HIGH". Throws ArgumentError.
Intensity intensity_by_name(std::string_view name);

/// Applies a rule to the numbers of one slice. Throws DataError for NaN or infinite numbers under p5p95.
void apply_intensity(std::span<float> values, const Intensity& intensity);

}  // namespace vitals::inline v0::data

#if VITALS_HEADER_ONLY
#include <vitals/data/intensity.ipp>
#endif
