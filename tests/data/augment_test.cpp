#include <vitals/data/augment.hpp>

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <variant>
#include <vector>

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

TEST_CASE("a turn by right angles moves pixels, counter-clockwise; others mix the four around, with 0 outside") {
  vt::Tensor<std::uint8_t, vt::dyn, vt::dyn, vt::dyn> grey({3, 3, 1});
  for (std::size_t i = 0; i < 9; ++i) grey.data()[i] = static_cast<std::uint8_t>(10 * (i + 1));
  const auto turned = [](const auto& pixels, double degrees) {
    const auto image = vt::data::rotated(vt::io::Image{pixels}, degrees);
    const auto& out = std::get<std::remove_cvref_t<decltype(pixels)>>(image.pixels);
    return std::vector(out.data(), out.data() + out.size());
  };
  using Bytes = std::vector<std::uint8_t>;
  CHECK(turned(grey, 0) == Bytes{10, 20, 30, 40, 50, 60, 70, 80, 90});
  CHECK(turned(grey, 90) == Bytes{30, 60, 90, 20, 50, 80, 10, 40, 70});
  CHECK(turned(grey, -90) == Bytes{70, 40, 10, 80, 50, 20, 90, 60, 30});
  CHECK(turned(grey, 180) == Bytes{90, 80, 70, 60, 50, 40, 30, 20, 10});

  vt::Tensor<float, vt::dyn, vt::dyn, vt::dyn> two({3, 3, 2});
  std::fill_n(two.data(), two.size(), 0.0f);
  two(0u, 1u, 1u) = 1;  // above the middle, in the second channel
  const auto eighth = turned(two, 45);
  // The corner looks at a point sqrt 2 above the middle: row 1 - sqrt 2, between row 0 and what lies outside.
  CHECK(eighth[1] == Approx(2 - std::sqrt(2.0)).margin(1e-6));
  CHECK(eighth[0] == 0);
  CHECK(turned(two, 30)[1] < 1);
  CHECK_THROWS_AS(vt::data::rotated(vt::io::Image{grey}, std::nan("")), vt::ArgumentError);
}
