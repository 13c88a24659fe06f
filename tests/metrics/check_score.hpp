// Comparing a Score with a number, or with the reason why there is none.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include <vitals/core/rng.hpp>
#include <vitals/metrics/score.hpp>

namespace test {

inline void check_value(double actual, double expected, double tolerance = 1e-12) {
  INFO("actual " << actual << ", expected " << expected << ", difference " << actual - expected);
  CHECK((actual == expected || std::abs(actual - expected) <= tolerance));
}

inline void check_score(const vitals::metrics::Score& score, double expected, double tolerance = 1e-12) {
  INFO("undefined: " << score.undefined);
  REQUIRE(score);
  CHECK(score.undefined.empty());
  check_value(*score, expected, tolerance);
}

inline void check_none(const vitals::metrics::Score& score, const std::string& why) {
  CHECK_FALSE(score);
  CHECK(score.undefined == why);
}

/// n items, scores of `levels` different values (many ties when few), positives higher on average.
inline std::pair<std::vector<std::uint8_t>, std::vector<double>> random_items(std::size_t n, double share,
                                                                              std::size_t levels, std::uint64_t seed) {
  vitals::Rng rng(seed);
  std::pair<std::vector<std::uint8_t>, std::vector<double>> items;
  for (std::size_t i = 0; i < n; ++i) {
    const bool positive = rng.uniform() < share;
    const double s = 0.7 * rng.uniform() + (positive ? 0.3 : 0.0);
    items.first.push_back(positive);
    items.second.push_back(std::floor(s * static_cast<double>(levels)) / static_cast<double>(levels));
  }
  return items;
}

}  // namespace test
