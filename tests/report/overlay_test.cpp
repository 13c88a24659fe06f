#include <vitals/report/overlay.hpp>

#include <cmath>
#include <limits>

#include <catch2/catch.hpp>

#include <paths.hpp>
#include <vitals/core/error.hpp>
#include <vitals/core/rng.hpp>
#include <vitals/io/image.hpp>

namespace vt = vitals;
using vt::dyn;

TEST_CASE("the first component shows the strongest direction of the tokens") {
  // Tokens of a 4 x 6 grid: one direction separates left from right, a weaker one top from bottom, noise is smaller yet.
  constexpr std::size_t rows = 4, columns = 6, dim = 16;
  vt::Tensor<float, dyn, dyn> tokens({rows * columns, dim});
  vt::Rng rng(7);
  for (std::size_t y = 0; y < rows; ++y)
    for (std::size_t x = 0; x < columns; ++x)
      for (std::size_t d = 0; d < dim; ++d) {
        const double side = x < columns / 2 ? -5 : 5, height = y < rows / 2 ? -1 : 1;
        tokens(y * columns + x, d) =
            static_cast<float>((d == 3 ? side : 0) + (d == 9 ? height : 0) + 0.01 * rng.normal());
      }
  const auto picture = vt::report::patch_pca(tokens, rows, columns);
  REQUIRE(picture.shape() == std::array<std::size_t, 3>{rows, columns, 3});
  for (std::size_t y = 0; y < rows; ++y)
    for (std::size_t x = 0; x < columns; ++x) {
      CHECK(int(picture(y, x, 0u)) == (x < columns / 2 ? Approx(0).margin(3) : Approx(255).margin(3)));
      CHECK(int(picture(y, x, 1u)) == (y < rows / 2 ? Approx(0).margin(8) : Approx(255).margin(8)));
    }
}

TEST_CASE("tokens that are all alike give grey, NaN and wrong grids are errors") {
  vt::Tensor<float, dyn, dyn> tokens({6, 4});
  for (auto& v : tokens) v = 2;
  for (int v : vt::report::patch_pca(tokens, 2, 3)) CHECK(v == 128);
  CHECK_THROWS_AS(vt::report::patch_pca(tokens, 2, 2), vt::ShapeError);
  tokens(1, 1) = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_AS(vt::report::patch_pca(tokens, 2, 3), vt::DataError);
}

TEST_CASE("normalised pixels become the picture again; pictures grow and stand side by side") {
  vt::Tensor<float, dyn, dyn, dyn> pixels({3, 1, 2});
  const float mean[3] = {0.485f, 0.456f, 0.406f}, deviation[3] = {0.229f, 0.224f, 0.225f};
  for (std::size_t c = 0; c < 3; ++c) {
    pixels(c, 0u, 0u) = (100 / 255.0f - mean[c]) / deviation[c];
    pixels(c, 0u, 1u) = (2.0f - mean[c]) / deviation[c];  // above white
  }
  const auto picture = vt::report::picture_of(pixels);
  for (std::size_t c = 0; c < 3; ++c) {
    CHECK(int(picture(0u, 0u, c)) == 100);
    CHECK(int(picture(0u, 1u, c)) == 255);
  }
  const auto wide = vt::report::enlarge(picture, 1, 4);
  CHECK(int(wide(0u, 0u, 0u)) == 100);
  CHECK(int(wide(0u, 1u, 0u)) == 139);  // 100 + 155 / 4, rounded
  CHECK(int(wide(0u, 3u, 0u)) == 255);
  const auto both = vt::report::beside(picture, wide, 1);
  CHECK(both.shape() == std::array<std::size_t, 3>{1, 7, 3});
  CHECK(int(both(0u, 2u, 1u)) == 255);
  CHECK(int(both(0u, 3u, 1u)) == 100);
}

TEST_CASE("the picture of components is a PNG of twice the width and the gap") {
  test::TemporaryFolder folder;
  vt::Tensor<float, dyn, dyn, dyn> pixels({3, 28, 42});
  vt::Tensor<float, dyn, dyn> tokens({6, 8});
  vt::Rng rng(1);
  for (auto& v : tokens) v = static_cast<float>(rng.normal());
  vt::report::save_patch_pca(folder / "pca.png", pixels, tokens, 14);
  const auto image = vt::io::read_image(folder / "pca.png");
  CHECK(image.height() == 28);
  CHECK(image.width() == 42 + 8 + 42);
  CHECK_THROWS_AS(vt::report::save_patch_pca(folder / "pca.png", pixels, tokens, 7), vt::ShapeError);
}
