// The feed-forward part of a block as one operation gives what its two products give, to the bit, in every precision and on
// every instruction set, for any number of rows, threads and inner numbers.
#include <vitals/backend/cpu/cpu.hpp>

#include <cstdint>
#include <vector>

#include <catch2/catch.hpp>

#include "kernels.hpp"

#include <vitals/core/parallel.hpp>

namespace vt = vitals;
namespace cpu = vt::backend::cpu;

namespace {

using test::random;

struct Size {
  std::size_t m, in, hidden, out;
};

// Tails of tiles, panels and pairs; 1024 inner numbers, whose float32 rows must not stand 4 KiB apart; inputs longer than a
// product sums in one go; more rows than fit a core's cache.
constexpr Size sizes[] = {{1, 5, 7, 3},        {12, 16, 32, 32},    {13, 33, 65, 31},  {5, 40, 1024, 24},
                          {40, 1700, 70, 40},  {257, 64, 256, 64},  {700, 96, 384, 96}};

}  // namespace

TEMPLATE_TEST_CASE("a feed-forward part equals its two products to the bit", "", float, vt::bfloat16, std::int8_t) {
  using B = vt::Cpu<TestType>;
  for (auto isa : test::isas()) {
    cpu::ScopedIsa scoped(isa);
    for (const Size& s : sizes) {
      INFO(cpu::name(isa) << ", " << s.m << " rows of " << s.in << ", inner " << s.hidden << ", out " << s.out);
      const auto x = random(s.m * s.in, 1), b1 = random(s.hidden, 2), b2 = random(s.out, 3), gamma = random(s.out, 4),
                 residual = random(s.m * s.out, 5);
      vt::ThreadPool pool(2);
      const auto w1 = B::pack(pool, random(s.hidden * s.in, 6).data(), s.hidden, s.in);
      const auto w2 = B::pack(pool, random(s.out * s.hidden, 7).data(), s.out, s.hidden);
      std::vector<float> hidden(s.m * s.hidden), want = residual;
      B::linear_gelu(pool, x.data(), s.m, w1, b1.data(), hidden.data());
      B::linear_scale_add(pool, hidden.data(), s.m, w2, b2.data(), gamma.data(), want.data());
      REQUIRE(want != residual);
      for (unsigned threads : {1u, 2u, 3u}) {
        vt::ThreadPool some(threads);
        std::vector<float> got = residual;
        B::feed_forward(some, x.data(), s.m, w1, b1.data(), w2, b2.data(), gamma.data(), got.data());
        REQUIRE(got == want);
      }
    }
  }
}
