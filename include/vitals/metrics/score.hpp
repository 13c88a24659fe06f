// What a metric gives: a number, or the reason why there is none. Never a silent 0.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace vitals::inline v0::metrics {

/// A value, or nothing with its reason ("no positive targets", "score is NaN").
struct Score {
  std::optional<double> value;
  std::string undefined;  ///< empty where there is a value

  Score(double v) : value(v) {}
  static Score none(std::string why) { return Score(std::move(why), 0); }
  explicit operator bool() const { return value.has_value(); }

 private:
  Score(std::string why, int) : undefined(std::move(why)) {}
};

/// A 95 % (or other) interval.
struct Interval {
  double low = 0, high = 0;
};

}  // namespace vitals::inline v0::metrics
