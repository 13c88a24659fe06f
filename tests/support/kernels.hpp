// What the tests of the CPU backend share: the instruction sets of this machine, and random numbers.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
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

/// n normal numbers times scale.
inline std::vector<float> random(std::size_t n, std::uint64_t stream, double scale = 1) {
  vitals::Rng rng(1, stream);
  std::vector<float> x(n);
  for (auto& v : x) v = static_cast<float>(scale * rng.normal());
  return x;
}

}  // namespace test
