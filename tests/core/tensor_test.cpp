#include <vitals/core/tensor.hpp>

#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>

#include <catch2/catch.hpp>

#include <vitals/core/half.hpp>
#include <vitals/core/rng.hpp>

namespace vt = vitals;

static_assert(std::is_convertible_v<vt::Tensor<float, vt::dyn, 384>&, vt::TensorView<const float, vt::dyn, vt::dyn>>);
static_assert(!std::is_convertible_v<vt::Tensor<float, vt::dyn, 384>&, vt::TensorView<const float, vt::dyn, 768>>);
static_assert(!std::is_convertible_v<vt::Tensor<float, vt::dyn, vt::dyn>&, vt::TensorView<const float, vt::dyn, 768>>);
static_assert(!std::is_convertible_v<const vt::Tensor<float, 4>&, vt::TensorView<float, 4>>);

TEST_CASE("tensors index row-major, slice by the first axis, copy deeply") {
  vt::Tensor<int, vt::dyn, 3, vt::dyn> t({2, 3, 4});
  CHECK(t(1, 2, 3) == 0);
  std::iota(t.begin(), t.end(), 0);
  CHECK(t(1, 2, 3) == 23);
  CHECK(t[1][0](2) == 14);
  CHECK(reinterpret_cast<std::uintptr_t>(t.data()) % 64 == 0);
  auto copy = t;
  copy(0, 0, 0) = 7;
  CHECK(t(0, 0, 0) == 0);
  auto moved = std::move(copy);
  CHECK(copy.empty());
  CHECK(moved(0, 0, 0) == 7);
}

TEST_CASE("a shape that contradicts a static extent throws and names both") {
  using T = vt::Tensor<float, vt::dyn, 384>;
  CHECK_THROWS_WITH(T({2, 768}), "[Extents] expected (2, 384), got (2, 768)");
  CHECK_THROWS_AS((vt::Tensor<float, 2>({2}, std::vector<float>{1, 2, 3})), vt::ShapeError);
}

TEST_CASE("half types round to nearest even and come back exactly") {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    vt::float16 h;
    h.bits = static_cast<std::uint16_t>(bits);
    const float f = static_cast<float>(h);
    if (std::isnan(f)) CHECK(std::isnan(static_cast<float>(vt::float16(f))));
    else REQUIRE(vt::float16(f).bits == bits);
    vt::bfloat16 b;
    b.bits = static_cast<std::uint16_t>(bits);
    if (!std::isnan(static_cast<float>(b))) REQUIRE(vt::bfloat16(static_cast<float>(b)).bits == bits);
  }
  CHECK(static_cast<float>(vt::float16(65519.0f)) == 65504.0f);
  CHECK(std::isinf(static_cast<float>(vt::float16(65520.0f))));
  CHECK(static_cast<float>(vt::float16(1.0f + 0x1p-11f)) == 1.0f);
  CHECK(static_cast<float>(vt::float16(1.0f + 3 * 0x1p-11f)) == 1.0f + 0x1p-9f);
  CHECK(static_cast<float>(vt::bfloat16(1.0f + 0x1p-8f)) == 1.0f);
  CHECK(std::isnan(static_cast<float>(vt::bfloat16(std::numeric_limits<float>::quiet_NaN()))));
}

TEST_CASE("Philox4x32-10 gives the published test vectors") {  // Random123, kat_vectors
  CHECK(vt::philox4x32({0, 0, 0, 0}, {0, 0}) ==
        std::array<std::uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(vt::philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        std::array<std::uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("random numbers depend on seed, stream and index only and have the right moments") {
  vt::Rng a(1), b(1), other(1, 1);
  double sum = 0, square = 0, mean = 0;
  for (int i = 0; i < 100000; ++i) {
    const double n = a.normal();
    sum += n;
    square += n * n;
    mean += b.uniform_at(static_cast<std::uint64_t>(i));
  }
  CHECK(std::abs(sum / 1e5) < 0.015);
  CHECK(std::abs(square / 1e5 - 1) < 0.02);
  CHECK(std::abs(mean / 1e5 - 0.5) < 0.005);
  CHECK(b.uniform_at(7) == vt::Rng(1).uniform_at(7));
  CHECK(b.uniform_at(7) != other.uniform_at(7));
  auto p = vt::Rng(3).permutation(1000);
  CHECK(p == vt::Rng(3).permutation(1000));
  CHECK(p != vt::Rng(4).permutation(1000));
  std::sort(p.begin(), p.end());
  for (std::size_t i = 0; i < p.size(); ++i) REQUIRE(p[i] == i);
}
