// What the tests of the CPU backend share: the instruction sets of this machine, and random numbers.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <type_traits>
#include <vector>

#include <vitals/backend/cpu/isa.hpp>
#include <vitals/core/rng.hpp>

namespace test {

/// Every instruction set that this machine and this build have.
inline std::vector<vitals::backend::cpu::Isa> isas() {
  namespace cpu = vitals::backend::cpu;
  std::vector<cpu::Isa> out;
  std::copy_if(std::begin(cpu::all_isas), std::end(cpu::all_isas), std::back_inserter(out), cpu::supported);
  return out;
}

/// What GELU(x) in the store of a product of numbers T may be wrong by beyond what it may in float: the stated error of Phi
/// times |x|; far below zero the last value of Phi stays.
template <class T>
double coarse_gelu_error(double x) {
  return std::is_same_v<T, float> ? 0 : 1.5e-5 * std::max(6.0, std::abs(x));
}

/// n normal numbers times scale.
inline std::vector<float> random(std::size_t n, std::uint64_t stream, double scale = 1) {
  vitals::Rng rng(1, stream);
  std::vector<float> x(n);
  for (auto& v : x) v = static_cast<float>(scale * rng.normal());
  return x;
}

}  // namespace test
