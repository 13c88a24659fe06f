// Logistic functions that do not overflow. Internal to the room.
#pragma once

#include <algorithm>
#include <cmath>

namespace vitals::inline v0::eval::detail {

/// log(1 + exp(z)).
inline double softplus(double z) { return std::max(z, 0.0) + std::log1p(std::exp(-std::abs(z))); }
/// 1 / (1 + exp(-z)).
inline double sigmoid(double z) { return z >= 0 ? 1 / (1 + std::exp(-z)) : std::exp(z) / (1 + std::exp(z)); }

}  // namespace vitals::inline v0::eval::detail
