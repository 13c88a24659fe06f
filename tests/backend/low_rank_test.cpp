// A product with a part of low rank gives what three products give, to the bit, in both layouts of A and B, on every instruction
// set, for any number of rows, threads and ranks; what lies between the rows of Y stays as it was.
#include <vitals/backend/cpu/product.hpp>

#include <cstddef>
#include <vector>

#include <catch2/catch.hpp>

#include "kernels.hpp"

#include <vitals/core/parallel.hpp>

namespace vt = vitals;
namespace cpu = vt::backend::cpu;

namespace {

using test::random;

struct Size {
  std::size_t m, k, n, rank, x_gap, y_gap;
};

// Tails of tiles, panels and pairs; rows of float32 that stand 4 KiB apart; inputs longer than a product sums in one go; more
// rows than are packed at a time; ranks beyond a panel.
constexpr Size sizes[] = {{1, 5, 7, 1, 0, 0},      {12, 32, 32, 8, 0, 0},   {13, 33, 65, 3, 4, 9},    {40, 1024, 70, 16, 0, 0},
                          {25, 1700, 40, 7, 3, 0}, {257, 64, 96, 33, 0, 5}, {30, 48, 130, 70, 1, 1}, {1300, 3400, 20, 5, 0, 0}};

std::vector<float> turned(const std::vector<float>& x, std::size_t rows, std::size_t cols) {
  std::vector<float> out(x.size());
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t j = 0; j < cols; ++j) out[j * rows + i] = x[i * cols + j];
  return out;
}

}  // namespace

TEMPLATE_TEST_CASE("a product with a part of low rank equals three products to the bit", "", float, vt::bfloat16) {
  using T = TestType;
  vt::ThreadPool pools[] = {vt::ThreadPool(1), vt::ThreadPool(2), vt::ThreadPool(3)};
  for (auto isa : test::isas()) {
    cpu::ScopedIsa scoped(isa);
    for (const Size& s : sizes)
      for (const bool adds : {false, true}) {
        INFO(cpu::name(isa) << ", " << s.m << " rows of " << s.k << " to " << s.n << ", rank " << s.rank << ", adds " << adds);
        const std::size_t ldx = s.k + s.x_gap, ldy = s.n + s.y_gap;
        const auto x = random(s.m * ldx, 1), w = random(s.n * s.k, 2), a = random(s.rank * s.k, 3), b = random(s.n * s.rank, 4),
                   bias = random(s.n, 5), gamma = random(s.n, 6), scale = random(s.n, 7), before = random(s.m * ldy, 8);
        const float* scales = adds ? scale.data() : nullptr;
        const cpu::Epilogue<float> epilogue{adds ? cpu::Store::scale_add : cpu::Store::plain, bias.data(),
                                            adds ? gamma.data() : nullptr};
        const auto pack = [&](const std::vector<float>& matrix, std::size_t rows, std::size_t cols) {
          return cpu::PackedMatrix<T>(pools[1], matrix.data(), cols, rows, cols);
        };
        const auto packed = pack(w, s.n, s.k);
        std::vector<float> u(s.m * s.rank), y = before;
        cpu::product<T>(pools[1], x.data(), ldx, s.m, pack(a, s.rank, s.k), u.data(), s.rank);
        cpu::product<T>(pools[1], x.data(), ldx, s.m, packed, y.data(), ldy, epilogue);
        cpu::product<T>(pools[1], u.data(), s.rank, s.m, pack(b, s.n, s.rank), y.data(), ldy,
                        {cpu::Store::scale_add, nullptr, scales});
        const auto a_turned = turned(a, s.rank, s.k), b_turned = turned(b, s.n, s.rank);
        for (auto& pool : pools)
          for (const bool transposed : {false, true}) {
            std::vector<float> got_u(u.size()), got = before;
            cpu::product_with_low_rank<T>(pool, x.data(), ldx, s.m, packed, got.data(), ldy, epilogue,
                                          {s.rank, transposed ? a_turned.data() : a.data(),
                                           transposed ? b_turned.data() : b.data(), scales, got_u.data(), transposed});
            REQUIRE(got_u == u);
            REQUIRE(got == y);
          }
      }
  }
}
