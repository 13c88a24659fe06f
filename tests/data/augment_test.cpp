#include <vitals/data/augment.hpp>

#include <cmath>

#include <catch2/catch.hpp>

#include <vitals/core/error.hpp>

namespace vt = vitals;
using vt::data::Crop;

TEST_CASE("crops lie inside, have the area and ratio asked for, and are spread over the picture") {
  vt::Rng rng(1);
  double area = 0, flips = 0, tops = 0;
  std::size_t rooms = 0;
  constexpr int n = 4000;
  for (int i = 0; i < n; ++i) {
    const Crop c = vt::data::random_crop(200, 240, rng);
    REQUIRE(c.top + c.height <= 200);
    REQUIRE(c.left + c.width <= 240);
    const double share = static_cast<double>(c.height * c.width) / (200.0 * 240),
                 ratio = static_cast<double>(c.width) / static_cast<double>(c.height);
    REQUIRE(share > 0.74);
    REQUIRE(ratio > 0.74);
    REQUIRE(ratio < 1.35);
    area += share;
    flips += c.flip;
    if (c.height < 200) tops += static_cast<double>(c.top) / static_cast<double>(200 - c.height), ++rooms;
  }
  CHECK(flips / n == Approx(0.5).margin(0.03));
  CHECK(area / n == Approx(0.86).margin(0.02));
  CHECK(tops / static_cast<double>(rooms) == Approx(0.5).margin(0.03));
}

TEST_CASE("a picture too long for any ratio gives its middle; one pixel gives itself") {
  vt::Rng rng(2);
  const Crop c = vt::data::random_crop(10, 1000, rng);
  CHECK(c.height == 10);
  CHECK(c.width == 13);
  CHECK(c.left == 493);
  const Crop one = vt::data::random_crop(1, 1, rng);
  CHECK(one.height * one.width == 1);
  CHECK_THROWS_AS(vt::data::random_crop(0, 5, rng), vt::ShapeError);
}

TEST_CASE("the crop takes the pixels as they are, mirrored where it says so") {
  vt::Tensor<std::uint16_t, vt::dyn, vt::dyn, vt::dyn> pixels({3, 4, 2});
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels.data()[i] = static_cast<std::uint16_t>(1000 + i);
  const vt::io::Image image{pixels};
  const auto part = vt::data::cropped(image, {1, 1, 2, 3, false});
  const auto& out = std::get<1>(part.pixels);
  CHECK(out.shape() == std::array<std::size_t, 3>{2, 3, 2});
  CHECK(out(0u, 0u, 0u) == 1010);
  CHECK(out(1u, 2u, 1u) == 1023);
  const auto mirrored = vt::data::cropped(image, {1, 1, 2, 3, true});
  CHECK(std::get<1>(mirrored.pixels)(0u, 0u, 1u) == 1015);
  CHECK(std::get<1>(mirrored.pixels)(1u, 2u, 0u) == 1018);
  CHECK_THROWS_AS(vt::data::cropped(image, {2, 0, 2, 1, false}), vt::ShapeError);
  CHECK_THROWS_AS(vt::data::cropped(image, {0, 0, 0, 1, false}), vt::ShapeError);
}
