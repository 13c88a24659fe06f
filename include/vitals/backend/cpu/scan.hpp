// The inner loops of an exact nearest-neighbour search, as a table of functions for each instruction set (as kernels.hpp):
// what is left when the products that make the similarities run at full speed.
#pragma once

#include <cstddef>
#include <cstdint>

#include <vitals/backend/cpu/isa.hpp>
#include <vitals/core/config.hpp>

namespace vitals::inline v0::backend::cpu {

/// Every instruction set gives the same bits, except in the last two (what is made of them are bounds and candidates).
struct ScanKernels {
  /// Where rows x cols numbers, one row after the other, are at least their row's threshold: positions r * cols + c in
  /// ascending order, to `positions` (room for all). Returns how many.
  std::size_t (*at_least)(const float* x, std::size_t rows, std::size_t cols, const float* thresholds,
                          std::uint32_t* positions);
  /// How many of n numbers are at least `threshold`.
  std::size_t (*count_at_least)(const float* x, std::size_t n, float threshold);
  /// out[i] = sum of a[i][d] * b[i][d] over `dim` numbers, in double: eight lanes (d mod 8), each from its first number
  /// to its last, then ((0 + 4) + (1 + 5)) + ((2 + 6) + (3 + 7)). A product of two float32 is exact in double, so
  /// fused or not is the same.
  void (*dots)(const float* const* a, const float* const* b, std::size_t count, std::size_t dim, double* out);
  /// out[d] = x[d] * scale - shift[d], computed in double.
  void (*scale_and_shift)(const float* x, double scale, const float* shift, std::size_t dim, float* out);
  /// The sum of (x - bfloat16(x))^2 of n finite numbers, summed in float32.
  float (*rounding_loss)(const float* x, std::size_t n);
};

const ScanKernels& scan_kernels(Isa isa);

}  // namespace vitals::inline v0::backend::cpu

#if VITALS_HEADER_ONLY
#include <vitals/backend/cpu/scan.ipp>
#endif
