// Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
// A number is a pure function of (seed, stream, index), so any thread may draw any part of a sequence and the result
// does not depend on how work was split.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

namespace vitals::inline v0 {

/// One block of Philox4x32-10: four 32-bit numbers for a 128-bit counter and a 64-bit key.
constexpr std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                                  std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * counter[0], p1 = std::uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<std::uint32_t>(p1 >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(p1),
               static_cast<std::uint32_t>(p0 >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(p0)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return counter;
}

/// A random sequence named by (seed, stream). `at` functions are pure; `next` functions walk the sequence.
class Rng {
 public:
  explicit constexpr Rng(std::uint64_t seed = 0, std::uint64_t stream = 0) : seed_(seed), stream_(stream) {}

  /// The i-th 32-bit number of the sequence.
  constexpr std::uint32_t bits_at(std::uint64_t i) const { return block(i / 4)[i % 4]; }
  /// Uniform in [0, 1), 53 bits; uses its own pair of words.
  constexpr double uniform_at(std::uint64_t i) const {
    const auto b = block(i / 2);
    const std::uint64_t hi = b[2 * (i % 2)], lo = b[2 * (i % 2) + 1];
    return static_cast<double>((hi << 21) ^ (lo >> 11)) * 0x1p-53;
  }
  /// Standard normal (Box-Muller on the pair of uniforms 2i, 2i + 1).
  double normal_at(std::uint64_t i) const {
    const double u = 1.0 - uniform_at(2 * i), v = uniform_at(2 * i + 1);  // u in (0, 1]
    return std::sqrt(-2.0 * std::log(u)) * std::cos(6.283185307179586476925286766559 * v);
  }
  /// An integer in [0, n), 0 < n < 2^32 (multiply-shift of 64 random bits; bias below 2^-32).
  constexpr std::uint64_t below_at(std::uint64_t i, std::uint64_t n) const {
    const auto b = block(i / 2);
    const std::uint64_t hi = b[2 * (i % 2)], lo = b[2 * (i % 2) + 1];
    return (hi * n + ((lo * n) >> 32)) >> 32;
  }

  constexpr double uniform() { return uniform_at(next_++); }
  double normal() { return normal_at(next_++); }
  constexpr std::uint64_t below(std::uint64_t n) { return below_at(next_++, n); }

  /// A random order of 0 .. n-1 (Fisher-Yates).
  std::vector<std::size_t> permutation(std::size_t n) {
    std::vector<std::size_t> order(n);
    std::iota(order.begin(), order.end(), std::size_t{0});
    for (std::size_t i = n; i > 1; --i) std::swap(order[i - 1], order[below(i)]);
    return order;
  }

 private:
  constexpr std::array<std::uint32_t, 4> block(std::uint64_t b) const {
    return philox4x32({static_cast<std::uint32_t>(b), static_cast<std::uint32_t>(b >> 32),
                       static_cast<std::uint32_t>(stream_), static_cast<std::uint32_t>(stream_ >> 32)},
                      {static_cast<std::uint32_t>(seed_), static_cast<std::uint32_t>(seed_ >> 32)});
  }
  std::uint64_t seed_, stream_, next_ = 0;
};

}  // namespace vitals::inline v0
