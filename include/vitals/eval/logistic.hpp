// Logistic functions that do not overflow, and numbers as text. Internal to the room.
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>

namespace vitals::inline v0::eval::detail {

/// log(1 + exp(z)).
inline double softplus(double z) { return std::max(z, 0.0) + std::log1p(std::exp(-std::abs(z))); }
/// 1 / (1 + exp(-z)).
inline double sigmoid(double z) { return z >= 0 ? 1 / (1 + std::exp(-z)) : std::exp(z) / (1 + std::exp(z)); }

/// The shortest decimal that reads back as the same double.
inline std::string shortest(double value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

}  // namespace vitals::inline v0::eval::detail
