// From a picture to the model's input: sizes, crops, the rules for grey, alpha and 16 bits, and the reference's values.
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <paths.hpp>

#include <vitals/core/parallel.hpp>
#include <vitals/core/rng.hpp>
#include <vitals/data/transforms.hpp>
#include <vitals/io/tensor_file.hpp>

using namespace vitals;
using transforms::Rule;
using transforms::Size;
using Pixels8 = Tensor<std::uint8_t, dyn, dyn, dyn>;
using Pixels16 = Tensor<std::uint16_t, dyn, dyn, dyn>;
using PixelsF = Tensor<float, dyn, dyn, dyn>;

namespace {

Pixels8 noise(std::size_t height, std::size_t width, std::size_t channels) {
  Pixels8 out({height, width, channels});
  const Rng rng(height + width);
  for (std::size_t i = 0; i < out.size(); ++i) out.data()[i] = static_cast<std::uint8_t>(rng.below_at(i, 256));
  return out;
}

bool same(const Tensor<float, dyn, 3, dyn, dyn>& a, const Tensor<float, dyn, 3, dyn, dyn>& b) {
  return a.shape() == b.shape() && std::equal(a.begin(), a.end(), b.begin());
}

/// The grey level that a normalised value of channel 0 came from.
double level(float normalised) { return (normalised * 0.229 + 0.485) * 255; }

}  // namespace

TEST_CASE("dinov2 crops the centre, offsets halfway rounded to even") {
  // The shorter side is already round(56 * 256 / 224) = 64, so nothing is resized; the column says where it came from.
  struct Row {
    std::size_t width, offset;
  };
  for (const Row& row : {Row{64, 4}, Row{97, 20}, Row{98, 21}, Row{99, 22}, Row{101, 22}, Row{103, 24}}) {
    Pixels8 wide({64, row.width, 1}), tall({row.width, 64, 1});
    for (std::size_t y = 0; y < 64; ++y)
      for (std::size_t x = 0; x < row.width; ++x)
        wide(y, x, 0) = tall(x, y, 0) = static_cast<std::uint8_t>(x + (y == 4 ? 100 : 0));
    INFO(row.width);
    const auto a = transforms::dinov2(56)({wide}), b = transforms::dinov2(56)({tall});
    CHECK(a.shape() == std::array<std::size_t, 4>{1, 3, 56, 56});
    CHECK(level(a(0, 0, 0, 0)) == Approx(static_cast<double>(row.offset + 100)));
    CHECK(level(a(0, 0, 1, 55)) == Approx(static_cast<double>(row.offset + 55)));
    CHECK(level(b(0, 0, 0, 0)) == Approx(static_cast<double>(row.offset + 100)));
  }
}

TEST_CASE("dinov2 resizes the shorter side to round(S * 256 / 224), the longer one down") {
  struct Row {
    std::size_t height, width, side;
    Size resized;
  };
  for (const Row& row : {Row{131, 97, 98, {151, 112}}, Row{97, 150, 224, {256, 395}}, Row{90, 70, 56, {82, 64}},
                         Row{50, 50, 42, {48, 48}}, Row{40, 61, 70, {80, 122}}, Row{33, 20, 15, {28, 17}}}) {
    const auto picture = noise(row.height, row.width, 3);
    const auto planes = transforms::resize_pillow(picture, 3, row.resized);
    const auto got = transforms::dinov2(row.side)({picture});
    const auto top = static_cast<std::size_t>(std::nearbyint(static_cast<double>(row.resized.height - row.side) / 2));
    const auto left = static_cast<std::size_t>(std::nearbyint(static_cast<double>(row.resized.width - row.side) / 2));
    INFO(row.height << " x " << row.width << " to " << row.side);
    bool equal = true;
    for (std::size_t c = 0; c < 3; ++c)
      for (std::size_t y = 0; y < row.side; ++y)
        for (std::size_t x = 0; x < row.side; ++x)
          equal &= got(0, c, y, x) == (static_cast<float>(planes(c, y + top, x + left)) / 255 - transforms::mean[c]) /
                                          transforms::std_dev[c];
    CHECK(equal);
  }
}

TEST_CASE("two sides, or no crop, resize straight to the size") {
  const auto picture = noise(40, 30, 1);
  CHECK(transforms::dinov2({28, 42}).name() == "dinov2 no-crop");
  CHECK(transforms::dinov2({28, 42}) == transforms::Transform(Rule::dinov2, {28, 42}));
  CHECK(transforms::dinov2({40, 30})({picture}).data()[5] ==
        (static_cast<float>(picture.data()[5]) / 255 - transforms::mean[0]) / transforms::std_dev[0]);
  const auto got = transforms::dinov2(28, false)({picture});
  const auto planes = transforms::resize_pillow(picture, 1, {28, 28});
  for (std::size_t i = 0; i < planes.size(); ++i)
    REQUIRE(level(got.data()[i]) == Approx(planes.data()[i]).margin(1e-4));
}

TEST_CASE("names") {
  using transforms::by_name;
  CHECK(by_name("dinov2", 224) == transforms::dinov2(224));
  CHECK(by_name("dinov2", 224, false).name() == "dinov2 no-crop");
  CHECK(by_name("paper", {224, 448}) == transforms::paper({224, 448}));
  CHECK(by_name("paper256", 224).name() == "paper256");
  CHECK(by_name("paper256", 224, false) == transforms::paper(224));
  CHECK_THROWS_AS(by_name("Paper", 224), ArgumentError);
  CHECK_THROWS_AS(transforms::paper(0)({noise(4, 4, 1)}), ArgumentError);
}

TEST_CASE("alpha is dropped, grey becomes three equal channels") {
  const auto rgba = noise(33, 47, 4);
  Pixels8 rgb({33, 47, 3}), grey_alpha({33, 47, 2}), grey({33, 47, 1}), grey3({33, 47, 3});
  for (std::size_t i = 0; i < 33 * 47; ++i) {
    for (std::size_t c = 0; c < 3; ++c) {
      rgb.data()[3 * i + c] = rgba.data()[4 * i + c];
      grey3.data()[3 * i + c] = rgba.data()[4 * i];
    }
    grey.data()[i] = grey_alpha.data()[2 * i] = rgba.data()[4 * i];
    grey_alpha.data()[2 * i + 1] = rgba.data()[4 * i + 3];
  }
  for (const auto& transform : {transforms::dinov2(28), transforms::paper({28, 42}), transforms::paper256(28)}) {
    INFO(transform.name());
    CHECK(same(transform({rgba}), transform({rgb})));
    CHECK(same(transform({grey}), transform({grey3})));
    CHECK(same(transform({grey_alpha}), transform({grey})));
    CHECK_FALSE(same(transform({rgb}), transform({grey})));
  }
  CHECK_THROWS_AS(transforms::dinov2(28)({Pixels8({8, 8, 5})}), ShapeError);
  CHECK_THROWS_AS(transforms::dinov2(28)({Pixels8({8, 0, 1})}), ShapeError);
}

TEST_CASE("16 bits: round(v / 257) under dinov2, all of them under paper") {
  const Pixels16 picture({1, 6, 1}, std::vector<std::uint16_t>{0, 128, 129, 385, 386, 65535});
  const auto got = transforms::dinov2({1, 6})({picture});
  const std::vector<double> expected{0, 0, 1, 1, 2, 255};
  for (std::size_t i = 0; i < 6; ++i) CHECK(level(got.data()[i]) == Approx(expected[i]).margin(1e-4));
  const auto paper = transforms::paper({1, 6})({picture});
  CHECK((paper.data()[1] * 0.229f + 0.485f) * 65535 == Approx(128).margin(0.05));
}

TEST_CASE("float pixels: any range under paper, 0 to 255 under dinov2") {
  PixelsF picture({8, 8, 1});
  for (std::size_t i = 0; i < 64; ++i) picture.data()[i] = static_cast<float>(i) * 20 - 1024;
  const auto got = transforms::paper({8, 8})({picture});
  CHECK(got(0, 0, 0, 0) == Approx((0 - 0.485) / 0.229));
  CHECK(got(0, 2, 7, 7) == Approx((1 - 0.406) / 0.225));
  CHECK_THROWS_AS(transforms::dinov2({8, 8})({picture}), DataError);
  for (auto& v : picture) v = (v + 1024) / 5;
  CHECK(level(transforms::dinov2({8, 8}, false)({picture})(0, 0, 0, 3)) == Approx(12));
}

TEST_CASE("NaN and infinity are named by row and column") {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                          -std::numeric_limits<float>::infinity()})
    for (const auto& transform : {transforms::dinov2(14), transforms::paper(14)}) {
      PixelsF picture({20, 30, 3});
      picture(11, 29, 2) = bad;
      CHECK_THROWS_AS(transform({picture}), DataError);
      CHECK_THROWS_WITH(transform({picture}), Catch::Contains("row 11, column 29"));
    }
}

TEST_CASE("a constant picture gives 0 before the normalisation under paper") {
  for (const float value : {0.0f, 7.0f, -1024.0f, 3e7f}) {
    PixelsF picture({31, 45, 1});
    for (auto& v : picture) v = value;
    for (const auto& transform : {transforms::paper(28), transforms::paper256(28), transforms::paper({31, 45})}) {
      const auto got = transform({picture});
      INFO(value << " " << transform.name());
      for (std::size_t c = 0; c < 3; ++c)
        for (const float v : got[0][c]) REQUIRE(v == (0.0f - transforms::mean[c]) / transforms::std_dev[c]);
    }
  }
  // Little contrast is still contrast.
  PixelsF faint({8, 8, 1});
  for (std::size_t i = 0; i < 64; ++i) faint.data()[i] = 1000 + (i % 2 ? 0.05f : 0.0f);
  CHECK(transforms::paper({8, 8})({faint})(0, 0, 0, 1) == Approx((1 - 0.485) / 0.229));
}

TEST_CASE("min and max are those of what is left after the crop") {
  Pixels8 picture({64, 64, 1});
  for (auto& v : picture) v = 50;
  picture(0, 0, 0) = 255;  // outside the centre 56 x 56
  picture(30, 30, 0) = 60;
  const auto got = transforms::paper256(56)({picture});
  CHECK(got(0, 0, 26, 26) == Approx((1 - 0.485) / 0.229));
  CHECK(got(0, 0, 0, 0) == Approx((0 - 0.485) / 0.229));
}

TEST_CASE("one transform serves several threads, into slices of a batch") {
  const auto transform = transforms::dinov2(28);
  const std::vector<Pixels8> pictures{noise(40, 51, 1), noise(90, 30, 3), noise(28, 28, 4), noise(64, 64, 2)};
  Tensor<float, dyn, 3, dyn, dyn> batch({32, 3, 28, 28});
  ThreadPool pool(4);
  pool.run(32, [&](std::size_t i) { transform({pictures[i % 4]}, batch[i]); });
  for (std::size_t i = 0; i < 32; ++i) {
    const auto alone = transform({pictures[i % 4]});
    REQUIRE(std::equal(alone.begin(), alone.end(), batch[i].begin()));
  }
  Tensor<float, 3, dyn, dyn> small({3, 14, 14});
  CHECK_THROWS_AS(transform({pictures[0]}, small), ShapeError);
}

TEST_CASE("goldens: pixels as the reference gives them, from the file") {
  NEEDS_SHARED("goldens/transforms");
  std::size_t checked = 0;
  for (const auto& file : std::filesystem::directory_iterator(test::shared("goldens/transforms"))) {
    if (file.path().extension() != ".png") continue;
    const auto image = io::read_image(file.path());
    const auto goldens = io::TensorFile::open(file.path().string() + ".expected.safetensors");
    const auto check = [&](const std::string& name, const transforms::Transform& transform, double tolerance) {
      const auto* entry = goldens.find(name + "/pixels");
      if (!entry) return;
      std::vector<float> expected(entry->size());
      goldens.read(*entry, std::span<float>(expected));
      const auto got = transform(image);
      REQUIRE(got.size() == expected.size());
      double error = 0;
      for (std::size_t i = 0; i < expected.size(); ++i)
        error = std::max(error, std::abs(double{got.data()[i]} - expected[i]));
      INFO(file.path().filename().string() << " " << name);
      CHECK(error <= tolerance);
      ++checked;
    };
    check("dinov2.56", transforms::dinov2(56), 1e-5);
    check("dinov2.98", transforms::dinov2(98), 1e-5);
    check("paper.56", transforms::paper(56), 1e-4);
    check("paper.28x42", transforms::paper({28, 42}), 1e-4);
    check("paper.64to56", transforms::paper256(56), 1e-4);
  }
  CHECK(checked >= 7 * 4 + 1);
}
