// Products of 2,000 random shapes, strides, tails and epilogues, in float32 and bfloat16 and on every instruction set,
// against a plain loop in double. What lies around the result must stay as it was.
#include <vitals/backend/cpu/gradient_product.hpp>
#include <vitals/backend/cpu/product.hpp>

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <vector>

#include <catch2/catch.hpp>

#include "kernels.hpp"

#include <vitals/core/parallel.hpp>
#include <vitals/core/rng.hpp>

namespace vt = vitals;
namespace cpu = vt::backend::cpu;

namespace {

constexpr std::size_t around = 40;  // numbers before and behind each matrix that nobody may touch

std::vector<float> random(std::size_t n, std::uint64_t stream) {
  const vt::Rng rng(5, stream);
  std::vector<float> x(n);
  for (std::size_t i = 0; i < n; ++i) x[i] = static_cast<float>(rng.bits_at(i)) * 0x1p-31f - 1.0f;
  return x;
}

struct Case {
  std::size_t m, n, k, ldx, ldw, ldy;
  cpu::Store store;
  bool bias, gamma;
};

// Mostly small, a third at the edges of tiles and panels (multiples of 4 to 64, one less, one more), some larger.
Case draw(vt::Rng& rng) {
  const auto size = [&](std::size_t small, std::size_t large) -> std::size_t {
    switch (rng.below(12)) {
      case 0:
      case 1:
      case 2:
      case 3: {
        constexpr std::size_t steps[] = {4, 6, 8, 12, 16, 24, 32, 48, 64};
        const std::size_t edge = steps[rng.below(std::size(steps))] * (1 + rng.below(2));
        return std::min(large, edge - 1 + rng.below(3));
      }
      case 4:
        return 1 + rng.below(static_cast<std::uint32_t>(large));
      case 5:
        return 1;
      default:
        return 1 + rng.below(static_cast<std::uint32_t>(small));
    }
  };
  Case c{};
  c.m = size(30, 300), c.n = size(40, 300), c.k = size(50, 700);
  c.ldx = c.k + (rng.below(2) ? rng.below(20) : 0);
  c.ldw = c.k + (rng.below(2) ? rng.below(20) : 0);
  c.ldy = c.n + (rng.below(2) ? rng.below(20) : 0);
  c.store = static_cast<cpu::Store>(rng.below(3));
  c.bias = rng.below(2), c.gamma = rng.below(2);
  return c;
}

double gelu(double x) { return 0.5 * x * std::erfc(-x / std::sqrt(2.0)); }

// Row-major numbers rounded as T rounds them, in double.
template <class T>
std::vector<double> rounded(const float* x, std::size_t ld, std::size_t rows, std::size_t cols) {
  std::vector<double> out;
  out.reserve(rows * cols);
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t j = 0; j < cols; ++j) out.push_back(static_cast<double>(static_cast<float>(T(x[i * ld + j]))));
  return out;
}

// Sums and the sums of absolute values, which the rounding error is measured by.
struct Sums {
  std::vector<double> sum, size;
};
template <class T>
Sums plain_product(const Case& c, const float* x, const float* w) {
  const auto left = rounded<T>(x, c.ldx, c.m, c.k), right = rounded<T>(w, c.ldw, c.n, c.k);
  Sums out{std::vector<double>(c.m * c.n), std::vector<double>(c.m * c.n)};
  for (std::size_t i = 0; i < c.m; ++i)
    for (std::size_t j = 0; j < c.n; ++j) {
      double sum = 0, size = 0;
      for (std::size_t p = 0; p < c.k; ++p) {
        const double product = left[i * c.k + p] * right[j * c.k + p];
        sum += product, size += std::abs(product);
      }
      out.sum[i * c.n + j] = sum, out.size[i * c.n + j] = size;
    }
  return out;
}

using test::isas;

}  // namespace

TEMPLATE_TEST_CASE("2,000 random products equal a plain loop in double and touch nothing else", "", float,
                   vt::bfloat16) {
  using T = TestType;
  vt::ThreadPool pool(2);
  vt::Rng rng(std::is_same_v<T, float> ? 2024 : 2025);
  const auto numbers = random(1 << 20, 1);
  for (int round = 0; round < 2000; ++round) {
    const Case c = draw(rng);
    const float* x = numbers.data() + rng.below(1000);
    const float* w = numbers.data() + 400'000 + rng.below(1000);
    const float* bias = c.bias ? numbers.data() + 800'000 : nullptr;
    const float* gamma = c.gamma ? numbers.data() + 900'000 : nullptr;
    const auto before = random(2 * around + c.m * c.ldy, 2 + static_cast<std::uint64_t>(round));
    const Sums plain = plain_product<T>(c, x, w);
    for (auto isa : isas()) {
      cpu::ScopedIsa scoped(isa);
      INFO(cpu::name(isa) << ", round " << round << ": m " << c.m << " n " << c.n << " k " << c.k << " ldx " << c.ldx
                          << " ldw " << c.ldw << " ldy " << c.ldy << " store " << static_cast<int>(c.store) << " bias "
                          << c.bias << " gamma " << c.gamma);
      auto all = before;
      float* y = all.data() + around;
      const cpu::PackedMatrix<T> packed(pool, w, c.ldw, c.n, c.k);
      cpu::product<T>(pool, x, c.ldx, c.m, packed, y, c.ldy, {c.store, bias, gamma});
      bool untouched = std::equal(all.begin(), all.begin() + around, before.begin()) &&
                       std::equal(all.end() - around, all.end(), before.end() - around);
      double worst = 0;  // error over what float32 sums may lose
      for (std::size_t i = 0; i < c.m; ++i) {
        for (std::size_t j = 0; j < c.n; ++j) {
          const double old = static_cast<double>(before[around + i * c.ldy + j]);
          double want = plain.sum[i * c.n + j], size = plain.size[i * c.n + j];
          if (bias) want += static_cast<double>(bias[j]), size += std::abs(static_cast<double>(bias[j]));
          const double own = c.store == cpu::Store::gelu ? test::coarse_gelu_error<T>(want) : 0;
          if (c.store == cpu::Store::gelu) want = gelu(want);
          if (c.store == cpu::Store::scale_add) {
            want = old + (gamma ? static_cast<double>(gamma[j]) : 1.0) * want;
            size += std::abs(old);
          }
          // Sums of k products in any order, one rounding each; GELU's own error is 3e-7 in float (its slope is below 1.13).
          const double allowed = (static_cast<double>(c.k) + 4) * 0x1p-24 * 1.2 * size +
                                 (c.store == cpu::Store::gelu ? 4e-7 * (1 + std::abs(want)) : 0.0) + own;
          worst = std::max(worst, std::abs(static_cast<double>(y[i * c.ldy + j]) - want) / (allowed + 1e-30));
        }
        for (std::size_t j = c.n; j < c.ldy; ++j) untouched &= y[i * c.ldy + j] == before[around + i * c.ldy + j];
      }
      REQUIRE(untouched);
      REQUIRE(worst <= 1.0);
    }
  }
}

TEMPLATE_TEST_CASE("random products have the same bits for 1, 2 and 3 threads", "", float, vt::bfloat16) {
  using T = TestType;
  vt::ThreadPool pools[] = {vt::ThreadPool(1), vt::ThreadPool(2), vt::ThreadPool(3)};
  vt::Rng rng(77);
  const auto numbers = random(1 << 20, 3);
  for (int round = 0; round < 100; ++round) {
    const Case c = draw(rng);
    for (auto isa : isas()) {
      cpu::ScopedIsa scoped(isa);
      INFO(cpu::name(isa) << " m " << c.m << " n " << c.n << " k " << c.k);
      std::vector<float> results[3];
      for (std::size_t t = 0; t < 3; ++t) {
        results[t].assign(c.m * c.ldy, 0.5f);
        const cpu::PackedMatrix<T> packed(pools[t], numbers.data() + 400'000, c.ldw, c.n, c.k);
        cpu::product<T>(pools[t], numbers.data(), c.ldx, c.m, packed, results[t].data(), c.ldy,
                        {c.store, numbers.data(), numbers.data() + 1000});
      }
      REQUIRE(results[0] == results[1]);
      REQUIRE(results[0] == results[2]);
    }
  }
}

TEMPLATE_TEST_CASE("instruction sets differ by rounding alone", "", float, vt::bfloat16) {
  using T = TestType;
  vt::ThreadPool pool(2);
  vt::Rng rng(78);
  const auto numbers = random(1 << 20, 4);
  for (int round = 0; round < 100; ++round) {
    const Case c = draw(rng);
    std::vector<float> first;
    for (auto isa : isas()) {
      cpu::ScopedIsa scoped(isa);
      INFO(cpu::name(isa) << " m " << c.m << " n " << c.n << " k " << c.k);
      std::vector<float> y(c.m * c.n);
      const cpu::PackedMatrix<T> packed(pool, numbers.data() + 400'000, c.ldw, c.n, c.k);
      cpu::product<T>(pool, numbers.data(), c.ldx, c.m, packed, y.data(), c.n, {});
      if (first.empty()) first = y;
      for (std::size_t i = 0; i < y.size(); ++i)  // numbers are below 1, so k bounds a sum of products
        REQUIRE(std::abs(y[i] - first[i]) <= 0x1p-24f * static_cast<float>(c.k + 2) * 0.5f * static_cast<float>(c.k));
    }
  }
}

TEMPLATE_TEST_CASE("rows of a gradient are scaled and multiplied with W's", "", float, vt::bfloat16) {
  using T = TestType;
  const std::size_t n = 45, k = 39;  // neither whole panels nor whole squares
  const auto w = random(n * k, 1), g = random(n * k, 2), scale = random(n, 3);
  const auto held = rounded<T>(w.data(), k, n, k);
  for (auto isa : isas()) {
    INFO(cpu::name(isa));
    cpu::ScopedIsa here(isa);
    vt::ThreadPool pool(2);
    const cpu::PackedMatrix<T> packed(pool, w.data(), k, n, k);
    std::vector<float> dw(n * k, 7.0f), sums(n, 2.0f);
    cpu::scale_rows_and_dots<T>(pool, packed, g.data(), scale.data(), dw.data(), false, sums.data());
    cpu::scale_rows_and_dots<T>(pool, packed, g.data(), scale.data(), dw.data(), true, nullptr);
    for (std::size_t i = 0; i < n; ++i) {
      double sum = 2;
      for (std::size_t p = 0; p < k; ++p) {
        const double product = static_cast<double>(g[i * k + p]);
        sum += held[i * k + p] * product;
        REQUIRE(std::abs(dw[i * k + p] - 2 * static_cast<double>(scale[i]) * product) < 1e-6);
      }
      REQUIRE(std::abs(sums[i] - sum) < 1e-5);
    }
  }
}
