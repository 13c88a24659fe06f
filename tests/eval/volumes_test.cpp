#include <vitals/eval/volumes.hpp>

#include <catch2/catch.hpp>

#include <vitals/core/error.hpp>
#include <vitals/data/slices.hpp>

namespace vt = vitals;
using Pixels = vt::TensorView<const float, vt::dyn, 3, vt::dyn, vt::dyn>;
using Logits = vt::Tensor<float, vt::dyn, vt::dyn, vt::dyn, vt::dyn>;

namespace {

// A model that calls bright pixels (above the middle of the normalised range) class 2, others class 0; counts its calls.
struct Bright {
  int calls = 0;
  std::size_t largest_batch = 0;
  Logits operator()(Pixels pixels) {
    ++calls;
    largest_batch = std::max(largest_batch, pixels.extent(0));
    Logits out({pixels.extent(0), pixels.extent(2), pixels.extent(3), 3});
    for (std::size_t b = 0; b < out.extent(0); ++b)
      for (std::size_t y = 0; y < out.extent(1); ++y)
        for (std::size_t x = 0; x < out.extent(2); ++x) {
          const bool bright = pixels(b, 0u, y, x) > (0.5f - vt::transforms::mean[0]) / vt::transforms::std_dev[0];
          out(b, y, x, bright ? 2u : 0u) = 4;
        }
    return out;
  }
};

vt::io::Volume blocks(std::array<std::size_t, 3> shape) {
  vt::io::Volume volume{vt::Tensor<float, vt::dyn, vt::dyn, vt::dyn>(shape), {}};
  volume.affine[0][3] = 11;
  for (std::size_t i = 0; i < shape[0]; ++i)
    for (std::size_t j = 0; j < shape[1]; ++j)
      for (std::size_t k = 0; k < shape[2]; ++k)
        volume.values(i, j, k) = (i / 4 + j / 4 + k / 4) % 2 ? 300.0f : -200.0f;
  return volume;
}

}  // namespace

TEST_CASE("a volume comes back slice by slice on its own grid, along every axis, in any batch") {
  const auto volume = blocks({8, 12, 16});
  for (std::size_t axis = 0; axis < 3; ++axis)
    for (std::size_t batch : {1u, 5u, 64u}) {
      Bright model;
      std::size_t last = 0;
      const auto mask =
          vt::eval::predict_volume([&](Pixels p) { return model(p); }, volume, vt::transforms::paper(16),
                                   {.axis = axis,
                                    .batch = batch,
                                    .progress = [&](const std::string& stage, std::size_t done, std::size_t total) {
                                      CHECK(stage == "slices");
                                      CHECK(total == volume.values.extent(axis));
                                      last = done;
                                    }});
      CHECK(last == volume.values.extent(axis));
      CHECK(model.largest_batch == std::min(batch, volume.values.extent(axis)));
      CHECK(mask.affine[0][3] == 11);
      std::size_t wrong = 0;
      for (std::size_t i = 0; i < mask.values.size(); ++i)
        wrong += mask.values.data()[i] != (volume.values.data()[i] > 0 ? 2 : 0);
      CHECK(wrong < mask.values.size() / 8);  // bicubic to 16 x 16 and back blurs no more than edges
      if (axis == 0) CHECK(wrong == 0);       // 12 x 16: one side exact, the other to blocks of whole pixels
    }
  CHECK_THROWS_AS(vt::eval::predict_volume(Bright(), volume, vt::transforms::paper(16), {.axis = 3}),
                  vt::ArgumentError);
  CHECK_THROWS_AS(vt::eval::predict_volume(
                      [](Pixels) {
                        return Logits({1, 2, 2, 2});
                      },
                      volume, vt::transforms::paper(16)),
                  vt::ShapeError);
  auto broken = volume;
  broken.values(3u, 3u, 5u) = NAN;
  CHECK_THROWS_WITH(vt::eval::predict_volume(Bright(), broken, vt::transforms::paper(16)), Catch::Contains("slice 5"));
}

TEST_CASE("sliding windows: a picture larger than the model keeps its resolution; a small one is enlarged") {
  vt::Tensor<float, vt::dyn, vt::dyn, vt::dyn> pixels({50, 71, 1});
  for (std::size_t y = 0; y < 50; ++y)
    for (std::size_t x = 0; x < 71; ++x) pixels(y, x, 0u) = (x * 7 + y * 3) % 5 < 2 ? 900.0f : 100.0f;  // single pixels
  for (double overlap : {0.0, 0.5, 0.8}) {
    Bright model;
    const auto mask = vt::eval::sliding_windows([&](Pixels p) { return model(p); }, vt::io::Image{pixels},
                                                vt::transforms::paper(28), {.overlap = overlap, .batch = 3});
    CHECK(model.largest_batch == 3);
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < mask.size(); ++i) wrong += mask.data()[i] != (pixels.data()[i] > 500 ? 2 : 0);
    CHECK(wrong == 0);
  }
  // Where windows disagree the one whose middle is nearer wins: each window calls itself by its brightness at the corner.
  int call = 0;
  const auto halves = vt::eval::sliding_windows(
      [&](Pixels p) {
        Logits out({1, p.extent(2), p.extent(3), 2});
        for (std::size_t i = 0; i < out.size() / 2; ++i) out.data()[2 * i + static_cast<std::size_t>(call)] = 3;
        ++call;
        return out;
      },
      vt::io::Image{vt::Tensor<float, vt::dyn, vt::dyn, vt::dyn>({20, 30, 1})}, vt::transforms::paper(20),
      {.overlap = 0.5, .batch = 1});
  CHECK(call == 2);
  CHECK(halves(10u, 3u) == 0);
  CHECK(halves(10u, 14u) == 0);
  CHECK(halves(10u, 16u) == 1);
  CHECK(halves(10u, 29u) == 1);
  vt::Tensor<float, vt::dyn, vt::dyn, vt::dyn> small({10, 5, 1});
  for (std::size_t y = 5; y < 10; ++y)
    for (std::size_t x = 0; x < 5; ++x) small(y, x, 0u) = 1;
  const auto mask = vt::eval::sliding_windows(Bright(), vt::io::Image{small}, vt::transforms::paper(20));
  CHECK(mask.extent(0) == 10);
  CHECK(mask(2u, 2u) == 0);
  CHECK(mask(8u, 2u) == 2);
  CHECK_THROWS_AS(vt::eval::sliding_windows(Bright(), vt::io::Image{small}, vt::transforms::paper(20), {.overlap = 1}),
                  vt::ArgumentError);
}
