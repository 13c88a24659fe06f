// The loops of the nearest-neighbour search on every instruction set against plain ones.
#include <vitals/backend/cpu/scan.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <catch2/catch.hpp>

#include <vitals/core/half.hpp>
#include <vitals/core/rng.hpp>

namespace vt = vitals;
namespace cpu = vt::backend::cpu;

namespace {

std::vector<float> random(std::size_t n, std::uint64_t stream) {
  vt::Rng rng(3, stream);
  std::vector<float> x(n);
  for (auto& v : x) v = static_cast<float>(rng.normal());
  return x;
}

template <class Body>
void on_every_isa(Body&& body) {
  for (auto isa : cpu::all_isas)
    if (cpu::supported(isa)) {
      INFO(cpu::name(isa));
      body(cpu::scan_kernels(isa));
    }
}

}  // namespace

TEST_CASE("numbers at or above their row's threshold are found in order, whatever the width") {
  on_every_isa([](const cpu::ScanKernels& scan) {
    for (std::size_t rows : {1u, 3u, 12u})
      for (std::size_t cols : {1u, 7u, 8u, 16u, 31u, 32u, 50u}) {
        CAPTURE(rows, cols);
        auto x = random(rows * cols, rows);
        auto thresholds = random(rows, cols);
        thresholds[0] = x[cols / 2];  // equal counts
        if (rows > 1) thresholds[1] = std::numeric_limits<float>::infinity(), x[cols] = thresholds[1];
        if (rows > 2) thresholds[2] = -9, x[2 * cols] = -std::numeric_limits<float>::infinity();
        std::vector<std::uint32_t> expected, found(rows * cols);
        for (std::size_t i = 0; i < x.size(); ++i)
          if (x[i] >= thresholds[i / cols]) expected.push_back(static_cast<std::uint32_t>(i));
        found.resize(scan.at_least(x.data(), rows, cols, thresholds.data(), found.data()));
        CHECK(found == expected);
        std::size_t count = 0;
        for (float v : x) count += v >= thresholds[0];
        CHECK(scan.count_at_least(x.data(), x.size(), thresholds[0]) == count);
      }
  });
}

TEST_CASE("dot products in double: the same bits on every instruction set, right to the last place") {
  for (std::size_t dim : {1u, 5u, 8u, 24u, 100u, 384u})
    for (std::size_t count : {1u, 3u, 4u, 9u}) {
      CAPTURE(dim, count);
      const auto x = random(count * dim, 1), y = random(count * dim, 2);
      std::vector<const float*> a, b;
      for (std::size_t i = 0; i < count; ++i) a.push_back(x.data() + i * dim), b.push_back(y.data() + i * dim);
      std::vector<double> expected(count);
      cpu::scan_kernels(cpu::Isa::portable).dots(a.data(), b.data(), count, dim, expected.data());
      for (std::size_t i = 0; i < count; ++i) {
        long double sum = 0;
        for (std::size_t d = 0; d < dim; ++d) sum += static_cast<long double>(a[i][d]) * b[i][d];
        REQUIRE(std::abs(expected[i] - sum) < 1e-13);
      }
      on_every_isa([&](const cpu::ScanKernels& scan) {
        std::vector<double> out(count);
        scan.dots(a.data(), b.data(), count, dim, out.data());
        CHECK(out == expected);
      });
    }
}

TEST_CASE("rows are scaled and shifted, and what rounding to bfloat16 loses is measured") {
  on_every_isa([](const cpu::ScanKernels& scan) {
    for (std::size_t dim : {1u, 8u, 23u, 384u}) {
      const auto x = random(dim, 1), shift = random(dim, 2);
      std::vector<float> out(dim);
      scan.scale_and_shift(x.data(), 0.3, shift.data(), dim, out.data());
      double lost = 0;
      for (std::size_t d = 0; d < dim; ++d) {
        const double want = 0.3 * static_cast<double>(x[d]) - static_cast<double>(shift[d]);
        REQUIRE(std::abs(static_cast<double>(out[d]) - want) <= 0x1.01p-24 * std::abs(want));
        const double rest = static_cast<double>(out[d]) - static_cast<double>(static_cast<float>(vt::bfloat16(out[d])));
        lost += rest * rest;
      }
      CHECK(static_cast<double>(scan.rounding_loss(out.data(), dim)) == Approx(lost).epsilon(1e-5));
    }
  });
}
