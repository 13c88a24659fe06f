// dW = dY^T X and, on the way, the sums of dY's columns: against plain sums in double, on every instruction set, the same bits
// for any number of threads.
#include <vitals/backend/cpu/gradient_product.hpp>
#include <vitals/backend/cpu/gradient_rowwise.hpp>

#include <cmath>
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
  std::size_t m, n, k, y_gap, x_gap;
};

// Tails of tiles, panels, pairs and pieces of rows; more columns than are packed together; more rows than are summed in one go.
constexpr Size sizes[] = {{1, 1, 1, 0, 0}, {16, 12, 32, 0, 0}, {33, 130, 65, 5, 0}, {47, 257, 5, 0, 3}, {2311, 25, 40, 1, 1}};

/// Sums of products of the numbers as T holds them, and of the numbers themselves.
template <class T>
std::vector<double> plain_weight_gradient(const Size& s, const std::vector<float>& dy, const std::vector<float>& x,
                                          bool rounded) {
  const auto as = [&](float v) { return static_cast<double>(rounded ? static_cast<float>(T(v)) : v); };
  std::vector<double> dw(s.n * s.k);
  for (std::size_t i = 0; i < s.m; ++i)
    for (std::size_t j = 0; j < s.n; ++j)
      for (std::size_t p = 0; p < s.k; ++p)
        dw[j * s.k + p] += as(dy[i * (s.n + s.y_gap) + j]) * as(x[i * (s.k + s.x_gap) + p]);
  return dw;
}

void require_close(const std::vector<float>& got, const std::vector<float>& before, const std::vector<double>& want,
                   double scale) {
  for (std::size_t i = 0; i < got.size(); ++i)
    REQUIRE(std::abs(got[i] - (before.empty() ? 0.0 : before[i]) - want[i]) < 5e-7 * scale);
}

}  // namespace

TEMPLATE_TEST_CASE("a weight's gradient and the sums beside it equal plain sums, the same bits for 1, 2 and 3 threads", "", float,
                   vt::bfloat16) {
  using T = TestType;
  vt::ThreadPool pools[] = {vt::ThreadPool(1), vt::ThreadPool(2), vt::ThreadPool(3)};
  for (auto isa : test::isas()) {
    cpu::ScopedIsa scoped(isa);
    for (const Size& s : sizes)
      for (const bool add : {false, true}) {
        INFO(cpu::name(isa) << ", " << s.m << " rows, " << s.n << " x " << s.k << ", add " << add);
        const std::size_t ldy = s.n + s.y_gap, ldx = s.k + s.x_gap;
        const auto dy = random(s.m * ldy, 1), x = random(s.m * ldx, 2), dw_before = random(s.n * s.k, 3), before = random(s.n, 4);
        std::vector<double> column_sums(s.n);
        for (std::size_t i = 0; i < s.m; ++i)
          for (std::size_t j = 0; j < s.n; ++j) column_sums[j] += dy[i * ldy + j];
        const auto run = [&](vt::Executor& executor, float* sums) {
          auto dw = dw_before;
          cpu::weight_gradient<T>(executor, dy.data(), ldy, x.data(), ldx, s.m, s.n, s.k, dw.data(), add, sums);
          return dw;
        };
        const auto dw = run(pools[0], nullptr);
        const bool rounds = cpu::product_kernels<T>(isa) != nullptr;
        require_close(dw, add ? dw_before : std::vector<float>(), plain_weight_gradient<T>(s, dy, x, rounds), double(s.m) + 10);
        auto alone = before;  // the same bits where the weight does not train
        cpu::column_sums(pools[1], dy.data(), ldy, s.m, s.n, alone.data());
        require_close(alone, before, column_sums, double(s.m) + 10);
        for (auto& pool : pools) {
          auto sums = before;
          REQUIRE(run(pool, sums.data()) == dw);
          REQUIRE(sums == alone);
        }
      }
  }
}

TEST_CASE("a weight's gradient of no rows is zero, and its sums stay") {
  vt::ThreadPool pool(2);
  std::vector<float> dw(6, 5.0f), sums(2, 7.0f);
  cpu::weight_gradient<float>(pool, nullptr, 2, nullptr, 3, 0, 2, 3, dw.data(), false, sums.data());
  CHECK(dw == std::vector<float>(6, 0.0f));
  CHECK(sums == std::vector<float>(2, 7.0f));
}
