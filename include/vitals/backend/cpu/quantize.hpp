// Symmetric int8: a row of numbers becomes a scale and whole numbers from -127 to 127, x = scale * q. One scale for each
// row of a weight (output channel), found once; one for each row of activations (token), found anew in every product.
// Jacob et al., "Quantization and training of neural networks", arXiv 1712.05877, without zero points; rows of
// activations as in Yao et al., "ZeroQuant", arXiv 2206.01861.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace vitals::inline v0::backend::cpu {

/// Longest rows of an int8 product: 127 * 127 * 2^16 stays below 2^31, so that 32-bit sums are exact.
inline constexpr std::size_t max_int8_row = 65536;

/// Of a row whose largest magnitude is `largest`: x = scale * q, q = round(x * inverse).
struct RowScale {
  float scale, inverse;
};
/// A row without a number above 2^-100 counts as zeros. A row with NaN or an infinity has the scale NaN, so that all that
/// is computed from it is NaN.
inline RowScale row_scale(float largest) {
  if (!std::isfinite(largest)) return {std::numeric_limits<float>::quiet_NaN(), 0.0f};
  if (largest < 0x1p-100f) return {0.0f, 0.0f};
  return {largest / 127.0f, 127.0f / largest};
}

/// The definition that the vectorised kernels follow to the bit: q[i] = x[i] * inverse rounded to the nearest, halves to
/// even. Returns the scale. With the scale NaN, q is zeros.
inline float quantize_row(const float* x, std::size_t k, std::int8_t* q) {
  float largest = 0;
  for (std::size_t i = 0; i < k; ++i)
    largest = std::isfinite(x[i]) ? std::fmax(largest, std::fabs(x[i])) : std::numeric_limits<float>::infinity();
  const RowScale row = row_scale(largest);
  for (std::size_t i = 0; i < k; ++i)
    q[i] = row.inverse > 0 ? static_cast<std::int8_t>(std::nearbyint(x[i] * row.inverse)) : std::int8_t{0};
  return row.scale;
}

}  // namespace vitals::inline v0::backend::cpu
