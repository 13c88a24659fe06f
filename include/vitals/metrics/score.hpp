// What a metric gives: a number, or the reason why there is none. Never a silent 0.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <vitals/core/error.hpp>

namespace vitals::inline v0::metrics {

/// A value, or nothing with its reason ("no positive item", "score is NaN").
struct Score {
  std::optional<double> value;
  std::string undefined;  ///< empty where there is a value

  Score(double v) : value(v) {}
  static Score none(std::string why) { return Score(std::move(why), 0); }
  explicit operator bool() const { return value.has_value(); }
  /// The number. Throws DataError with the reason where there is none.
  double operator*() const {
    if (!value) throw DataError("[metrics] undefined: " + undefined);
    return *value;
  }

 private:
  Score(std::string why, int) : undefined(std::move(why)) {}
};

/// A 95 % (or other) interval.
struct Interval {
  double low = 0, high = 0;
};

/// A metric of several classes: each class's own and the mean over them.
struct PerClass {
  Score macro = Score::none("not computed");
  std::vector<Score> per_class;
};

/// The reason of a score that is NaN: a fault of the model, not a property of the data.
inline constexpr std::string_view nan_score = "score is NaN";

/// Macro mean: over the classes that are defined. None where no class is, and where a class has NaN scores (leaving a
/// broken class out would flatter the model).
inline Score macro(std::span<const Score> per_class) {
  double sum = 0;
  std::size_t defined = 0;
  for (std::size_t k = 0; k < per_class.size(); ++k) {
    if (per_class[k])
      sum += *per_class[k].value, ++defined;
    else if (per_class[k].undefined == nan_score)
      return Score::none(std::string(nan_score) + ", class " + std::to_string(k));
  }
  if (defined) return sum / static_cast<double>(defined);
  return Score::none(per_class.empty() ? "no classes" : "no class is defined: " + per_class[0].undefined);
}

/// The study's macro mean ("paper mode", as torchmetrics 1.0): a class without items of one label counts as 0 and stays
/// in the mean. NaN scores are still no number.
inline Score macro_study(std::span<const Score> per_class) {
  if (per_class.empty()) return Score::none("no classes");
  double sum = 0;
  for (std::size_t k = 0; k < per_class.size(); ++k) {
    if (per_class[k].undefined == nan_score)
      return Score::none(std::string(nan_score) + ", class " + std::to_string(k));
    sum += per_class[k].value.value_or(0);
  }
  return sum / static_cast<double>(per_class.size());
}

}  // namespace vitals::inline v0::metrics
