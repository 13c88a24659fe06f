// The two bicubic resizings against values worked out by hand and against Pillow's and PyTorch's own results.
#include <cstdint>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <paths.hpp>

#include <vitals/core/rng.hpp>
#include <vitals/data/resize.hpp>
#include <vitals/io/tensor_file.hpp>

using namespace vitals;
using transforms::resize_pillow;
using transforms::resize_tensor;
using transforms::Size;
using transforms::Window;
using Pixels8 = Tensor<std::uint8_t, dyn, dyn, dyn>;
using PixelsF = Tensor<float, dyn, dyn, dyn>;

namespace {

Pixels8 grey(std::size_t height, std::size_t width, const std::vector<std::uint8_t>& values) {
  return Pixels8({height, width, 1}, values);
}

Pixels8 noise(std::size_t height, std::size_t width, std::size_t channels) {
  Pixels8 out({height, width, channels});
  const Rng rng(height * width);
  for (std::size_t i = 0; i < out.size(); ++i) out.data()[i] = static_cast<std::uint8_t>(rng.below_at(i, 256));
  return out;
}

template <class T>
std::vector<double> all(const Tensor<T, dyn, dyn, dyn>& t) {
  return {t.begin(), t.end()};
}

}  // namespace

// Halving 0 100 200 40 with the widened kernel: distances 1/4, 3/4, 5/4 have the weights 0.8671875, 0.2265625,
// -0.0703125 (a = -0.5), their sum over the four pixels inside is 1.890625.
//   (86.71875 + 45.3125 - 2.8125) / 1.890625 = 68.35 and (34.6875 + 173.4375 + 22.65625) / 1.890625 = 122.07
TEST_CASE("Pillow's bicubic widens its kernel when shrinking") {
  const std::vector<double> expected{68, 122};
  CHECK(all(resize_pillow(grey(1, 4, {0, 100, 200, 40}), 1, {1, 2})) == expected);
  CHECK(all(resize_pillow(grey(4, 1, {0, 100, 200, 40}), 1, {2, 1})) == expected);
  // A black line between white ones: overshoot is cut at 0 and 255.
  CHECK(all(resize_pillow(grey(1, 3, {255, 0, 255}), 1, {1, 9}))[4] == 0);
  CHECK(all(resize_pillow(grey(1, 4, {255, 255, 255, 0}), 1, {1, 16}))[9] == 255);
}

// The same row by PyTorch: half way between two pixels, the four next ones have -0.09375, 0.59375, 0.59375, -0.09375.
//   0.59375 * 100 - 0.09375 * 200 = 40.625 (the left border repeated); -9.375 + 118.75 + 23.75 - 3.75 = 129.375
TEST_CASE("PyTorch's bicubic takes four taps at any scale and does not cut overshoot") {
  const std::vector<double> expected{40.625, 129.375};
  CHECK(all(resize_tensor(grey(1, 4, {0, 100, 200, 40}), 1, {1, 2})) == expected);
  CHECK(all(resize_tensor(grey(4, 1, {0, 100, 200, 40}), 1, {2, 1})) == expected);
  CHECK(all(resize_tensor(Tensor<std::uint16_t, dyn, dyn, dyn>({1, 4, 1}, std::vector<std::uint16_t>{0, 100, 200, 40}),
                          1, {1, 2})) == expected);
  CHECK(all(resize_tensor(PixelsF({1, 4, 1}, std::vector<float>{0, 100, 200, 40}), 1, {1, 2})) == expected);
  // 1 to 8 taps apart: 0 0 0 255 0 0 0 0 shrunk to 1 does not see the line; the antialiased one does.
  const auto line = grey(1, 8, {0, 255, 0, 0, 0, 0, 0, 0});
  CHECK(all(resize_tensor(line, 1, {1, 1})) == std::vector<double>{0});
  CHECK(all(resize_pillow(line, 1, {1, 1}))[0] > 15);
}

TEST_CASE("Pillow's passes: columns first, rows first where the height loses more than twice as much as the width") {
  struct Row {
    Size from, to;
    bool rows_first;
  };
  for (const Row& row :
       {Row{{40, 30}, {20, 20}, false}, Row{{40, 30}, {19, 20}, true}, Row{{40, 30}, {39, 31}, true},
        Row{{40, 30}, {41, 60}, false}, Row{{40, 30}, {20, 10}, false}, Row{{90, 30}, {45, 15}, true}}) {
    const auto picture = noise(row.from.height, row.from.width, 1);
    const auto then = [&](Size first) {
      const auto half = resize_pillow(picture, 1, first);
      return resize_pillow(Pixels8({first.height, first.width, 1}, half.span()), 1, row.to);
    };
    const auto columns_first = then({row.from.height, row.to.width}),
               rows_first = then({row.to.height, row.from.width});
    INFO(row.to.height << " x " << row.to.width);
    REQUIRE(all(columns_first) != all(rows_first));
    CHECK(all(resize_pillow(picture, 1, row.to)) == all(row.rows_first ? rows_first : columns_first));
  }
}

TEST_CASE("the same size and a constant picture stay as they are") {
  const auto picture = noise(17, 23, 3);
  const auto pillow = resize_pillow(picture, 3, {17, 23});
  const auto tensor = resize_tensor(picture, 3, {17, 23});
  for (std::size_t y = 0; y < 17; ++y)
    for (std::size_t x = 0; x < 23; ++x)
      for (std::size_t c = 0; c < 3; ++c) {
        REQUIRE(pillow(c, y, x) == picture(y, x, c));
        REQUIRE(tensor(c, y, x) == static_cast<float>(picture(y, x, c)));
      }
  const auto seven = grey(9, 31, std::vector<std::uint8_t>(9 * 31, 7));
  for (const Size to : {Size{4, 5}, Size{40, 50}, Size{9, 50}, Size{1, 1}}) {
    for (const auto v : resize_pillow(seven, 1, to)) REQUIRE(v == 7);
    for (const auto v : resize_tensor(seven, 1, to)) REQUIRE(v == Approx(7).margin(1e-5));
  }
}

TEST_CASE("channels are resized alone, and a window is cut out of the whole") {
  const auto picture = noise(50, 41, 4);
  const Size to{21, 33};
  const Window window{3, 11, {14, 9}};
  const auto whole = resize_pillow(picture, 4, to), part = resize_pillow(picture, 3, to, window);
  const auto whole_f = resize_tensor(picture, 4, to), part_f = resize_tensor(picture, 3, to, window);
  CHECK(part.shape() == std::array<std::size_t, 3>{3, 14, 9});
  for (std::size_t c = 0; c < 3; ++c) {
    std::vector<std::uint8_t> plane;
    for (std::size_t i = 0; i < 50 * 41; ++i) plane.push_back(picture.data()[4 * i + c]);
    const auto alone = resize_pillow(grey(50, 41, plane), 1, to);
    for (std::size_t y = 0; y < 14; ++y)
      for (std::size_t x = 0; x < 9; ++x) {
        REQUIRE(part(c, y, x) == whole(c, y + 3, x + 11));
        REQUIRE(part(c, y, x) == alone(0, y + 3, x + 11));
        REQUIRE(part_f(c, y, x) == whole_f(c, y + 3, x + 11));
      }
  }
}

TEST_CASE("impossible requests are ShapeErrors") {
  const auto picture = noise(5, 6, 2);
  CHECK_THROWS_AS(resize_pillow(Pixels8({0, 6, 1}), 1, {4, 4}), ShapeError);
  CHECK_THROWS_AS(resize_pillow(picture, 3, {4, 4}), ShapeError);
  CHECK_THROWS_AS(resize_pillow(picture, 1, {0, 4}), ShapeError);
  CHECK_THROWS_AS(resize_pillow(picture, 1, {4, 4}, {0, 1, {4, 4}}), ShapeError);
  CHECK_THROWS_AS(resize_tensor(picture, 1, {4, 4}, {5, 0, {1, 1}}), ShapeError);
  CHECK_THROWS_AS(resize_tensor(PixelsF({6, 0, 1}), 1, {4, 4}), ShapeError);
}

TEST_CASE("goldens: equal to Pillow byte for byte and to PyTorch up to rounding") {
  NEEDS_SHARED("goldens/transforms");
  std::size_t pillow_checked = 0, tensor_checked = 0;
  for (const auto& file : std::filesystem::directory_iterator(test::shared("goldens/transforms"))) {
    if (file.path().extension() != ".safetensors") continue;
    const auto goldens = io::TensorFile::open(file.path());
    const auto* rgb = goldens.find("rgb");
    const auto* raw = goldens.find("raw");
    REQUIRE(rgb);
    const auto read = [&](const io::TensorEntry& entry) {
      std::vector<double> values(entry.size());
      goldens.read(entry, std::span<double>(values));
      return values;
    };
    const auto eight = read(*rgb), exact = raw ? read(*raw) : eight;
    const std::array<std::size_t, 3> shape{rgb->shape[0], rgb->shape[1], 3};
    const Pixels8 picture(shape, std::vector<std::uint8_t>(eight.begin(), eight.end()));
    const PixelsF picture_f(shape, std::vector<float>(exact.begin(), exact.end()));
    const double largest = *std::max_element(exact.begin(), exact.end());
    for (const auto& entry : goldens.entries()) {
      const auto slash = entry.name.find("/resized");
      if (slash == std::string::npos) continue;
      INFO(file.path().filename().string() << " " << entry.name);
      const auto expected = read(entry);
      if (entry.name.rfind("dinov2", 0) == 0) {  // (h, w, 3)
        const Size to{entry.shape[0], entry.shape[1]};
        const auto got = resize_pillow(picture, 3, to);
        std::size_t different = 0;
        for (std::size_t i = 0; i < expected.size(); ++i)
          different += got(i % 3, i / 3 / to.width, i / 3 % to.width) != expected[i];
        CHECK(different == 0);
        ++pillow_checked;
      } else {  // (3, h, w)
        const auto got = resize_tensor(picture_f, 3, {entry.shape[1], entry.shape[2]});
        double error = 0;
        for (std::size_t i = 0; i < expected.size(); ++i)
          error = std::max(error, std::abs(got.data()[i] - expected[i]));
        CHECK(error <= 2e-6 * largest);  // about ten roundings of the weights and sums in float
        ++tensor_checked;
      }
    }
  }
  CHECK(pillow_checked >= 15);
  CHECK(tensor_checked >= 7);
}
