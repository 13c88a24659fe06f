// The protocol of segmentation on drawn squares and a made-up backbone: it learns, its bits depend on nothing but seed and data, it
// goes on where it was interrupted, and what cannot work is an error that says why.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include <vitals/data/paired.hpp>
#include <vitals/eval/segmentation.hpp>
#include <vitals/io/image.hpp>
#include <vitals/metrics/overlap.hpp>

#include <catch2/catch.hpp>

#include "paths.hpp"

namespace vt = vitals;
using vt::dyn;
using vt::data::Split;

namespace {

/// Tokens of a patch of 4 x 4 pixels: its mean and those of its quarters, mixed a little differently by each block.
class FakeBackbone final : public vt::Backbone {
 public:
  FakeBackbone() {
    info_.preset = "fake";
    info_.dim = 8;
    info_.depth = 5;
    info_.patch = 4;
  }
  const vt::BackboneInfo& info() const override { return info_; }
  vt::Features features(vt::TensorView<const float, dyn, 3, dyn, dyn> pixels,
                        const vt::FeatureRequest& request) const override {
    images += pixels.extent(0);
    vt::Features out;
    const std::size_t h = pixels.extent(2) / 4, w = pixels.extent(3) / 4;
    for (std::size_t block = 0; block < request.blocks; ++block) {
      auto& tokens = out.block_patches.emplace_back(std::array<std::size_t, 3>{pixels.extent(0), h * w, 8});
      for (std::size_t b = 0; b < pixels.extent(0); ++b)
        for (std::size_t p = 0; p < h * w; ++p)
          for (std::size_t y = 0; y < 4; ++y)
            for (std::size_t x = 0; x < 4; ++x) {
              const float v = pixels(b, 0, p / w * 4 + y, p % w * 4 + x);
              tokens(b, p, 0) += v / 16;
              tokens(b, p, 1 + y / 2 * 2 + x / 2) += v / 4;
              tokens(b, p, 5 + (x + y + block) % 3) += v / 5;
            }
      if (broken) tokens(0, 0, 0) = std::numeric_limits<float>::quiet_NaN();
    }
    return out;
  }
  mutable std::atomic<std::size_t> images = 0;
  bool broken = false;

 private:
  vt::BackboneInfo info_;
};

/// Pictures of a bright square on noise, as files; odd sizes, so that masks are really resized.
struct Squares {
  test::TemporaryFolder folder;
  vt::data::SegmentationDataset dataset;

  Squares() {
    dataset.root = folder.path();
    dataset.source = "squares.csv";
    dataset.sha256 = "squares";
    dataset.classes = {"background", "square"};
    vt::Rng rng(1);
    for (std::size_t i = 0; i < 20; ++i) {
      const std::size_t h = 33 + i % 3, w = 40, side = 12 + rng.below(6), top = rng.below(h - side),
                        left = rng.below(w - side);
      vt::Tensor<std::uint8_t, dyn, dyn, dyn> image({h, w, 1}), mask({h, w, 1});
      for (std::size_t y = 0; y < h; ++y)
        for (std::size_t x = 0; x < w; ++x) {
          const bool in = y >= top && y < top + side && x >= left && x < left + side;
          mask(y, x, 0) = in;
          image(y, x, 0) = static_cast<std::uint8_t>((in ? 150 : 60) + rng.below(40));
        }
      const std::string name = std::to_string(i) + ".png";
      vt::io::write_png(folder / ("image" + name), image);
      vt::io::write_png(folder / ("mask" + name), mask);
      vt::data::SegmentationItem item;
      item.path = "image" + name;
      item.mask = "mask" + name;
      item.split = i < 12 ? Split::train : i < 15 ? Split::val : Split::test;
      item.line = i + 2;
      dataset.items.push_back(item);
      dataset.slices.push_back({i, 0});
    }
  }
};

const auto transform = vt::transforms::paper({32, 32});

double dice_of(const vt::eval::Segmentation& result) {
  vt::metrics::Confusion counts(2);
  for (const auto& p : result.predictions)
    counts += vt::metrics::label_counts(p.at_model.span(), p.true_at_model.span(), 2);
  return *vt::metrics::dice(counts).macro;
}

std::vector<float> numbers_of(const vt::eval::Segmentation& result) {
  std::vector<float> all;
  for (const auto& row : result.decoder->rows()) {
    std::vector<float> some(row.size());
    row.read(some);
    all.insert(all.end(), some.begin(), some.end());
  }
  for (const auto& p : result.predictions) all.insert(all.end(), p.stored.begin(), p.stored.end());
  return all;
}

vt::eval::SegmentationOptions quick(vt::heads::DecoderKind kind) {
  vt::eval::SegmentationOptions options;
  options.decoder = kind;
  options.loss = vt::losses::SegmentationLoss::combined;
  options.lrs = {0.001, 0.1};
  options.epochs = 6;
  options.batch = 4;
  return options;
}

}  // namespace

TEST_CASE("a decoder on a frozen backbone finds squares; the better rate is chosen") {
  const Squares squares;
  const FakeBackbone backbone;
  for (const auto kind : {vt::heads::DecoderKind::linear, vt::heads::DecoderKind::unet})
    for (const auto norm : {vt::nn::NormMode::running, vt::nn::NormMode::train}) {
      auto options = quick(kind);
      options.norm = norm;
      options.retrain = norm == vt::nn::NormMode::train;
      std::size_t told = 0, last = 0, all = 0;
      options.on_prediction = [&](const vt::eval::SlicePrediction&) { ++told; };
      options.progress = [&](const std::string& stage, std::size_t done, std::size_t total) {
        if (stage == "training") last = done, all = total;
      };
      const auto result = vt::eval::segment(backbone, squares.dataset, transform, options);
      INFO(result.name);
      REQUIRE(result.grid.size() == 2);
      CHECK(result.lr == (result.grid[0].dice > result.grid[1].dice ? 0.001 : 0.1));
      CHECK(result.val_dice == std::max(result.grid[0].dice, result.grid[1].dice));
      CHECK(result.grid[0].curve.size() == 6);
      CHECK(result.grid[0].curve.back().step == 18);
      CHECK(dice_of(result) > 0.8);
      CHECK(result.predictions.size() == 5);
      CHECK(told == 5);
      CHECK(last == all);
      CHECK(all == 36 + (options.retrain ? 24 : 0));
      CHECK(result.retrained.steps == (options.retrain ? 24 : 0));
      CHECK(result.computed == 20);
      CHECK(result.predictions[0].stored.shape() == std::array<std::size_t, 2>{33, 40});
      CHECK(result.test == std::vector<std::size_t>{15, 16, 17, 18, 19});

      // A picture through backbone and decoder gives the same mask.
      if (norm == vt::nn::NormMode::train) continue;
      const vt::eval::Segmenter segmenter(backbone, *result.decoder);
      const auto mask = segmenter.mask(squares.dataset.read(15).image, transform);
      CHECK(std::equal(mask.begin(), mask.end(), result.predictions[0].stored.begin()));
    }
}

TEST_CASE("the same bits for any threads, with tokens kept, computed anew, from the disk, and at one rate or several") {
  const Squares squares;
  const FakeBackbone backbone;
  vt::ThreadPool one(1), three(3);
  for (const char* dtype : {"float32", "bfloat16"})
    for (const bool augment : {false, true}) {
      INFO(dtype << (augment ? ", augmented" : ""));
      const test::TemporaryFolder cache;
      auto options = quick(vt::heads::DecoderKind::unet);
      options.dtype = dtype;
      options.lrs = {0.05};
      options.epochs = 2;
      options.executor = &one;
      if (augment)
        options.augment = [](const vt::data::MaskedImage& pair, vt::Rng& rng) {
          return vt::data::augmented(pair, vt::data::study_augmentation, rng);
        };
      const auto expected = numbers_of(vt::eval::segment(backbone, squares.dataset, transform, options));
      options.executor = &three;
      options.cache = cache.path();
      CHECK(expected == numbers_of(vt::eval::segment(backbone, squares.dataset, transform, options)));
      options.feature_batch = 3;
      const std::size_t before = backbone.images;
      const auto again = vt::eval::segment(backbone, squares.dataset, transform, options);
      CHECK(expected == numbers_of(again));
      if (!augment) {
        CHECK(again.computed == 0);
        CHECK(backbone.images == before + 1);  // the fingerprint alone
      }
      options.cache.clear();
      options.kept_bytes = 6000;
      const auto anew = vt::eval::segment(backbone, squares.dataset, transform, options);
      CHECK(expected == numbers_of(anew));
      CHECK(!anew.notes.empty());
      options.lrs = {1e-9, 0.05};  // the other rate does not move: the same one wins
      CHECK(expected == numbers_of(vt::eval::segment(backbone, squares.dataset, transform, options)));
      options.seed = 1;
      CHECK(expected != numbers_of(vt::eval::segment(backbone, squares.dataset, transform, options)));
    }
}

TEST_CASE("an interrupted training goes on to the same bits") {
  const Squares squares;
  const FakeBackbone backbone;
  auto options = quick(vt::heads::DecoderKind::unet);
  options.optimizer = vt::train::OptimizerKind::adamw;
  options.lrs = {0.001, 0.01};
  options.epochs = 3;
  options.retrain = true;
  const auto expected = vt::eval::segment(backbone, squares.dataset, transform, options);
  const test::TemporaryFolder folder;
  options.checkpoint = folder / "run";
  options.checkpoint_every = 2;
  int runs = 0;
  for (bool stopped = true; stopped; ++runs) {
    REQUIRE(runs < 20);
    int steps = 0;
    options.stop = [&] { return ++steps == 5; };
    const auto result = vt::eval::segment(backbone, squares.dataset, transform, options);
    stopped = result.stopped;
    CHECK(result.predictions.empty() == stopped);
    if (!stopped) {
      CHECK(numbers_of(result) == numbers_of(expected));
      REQUIRE(result.grid.size() == 2);
      for (std::size_t i = 0; i < 2; ++i) {
        REQUIRE(result.grid[i].curve.size() == expected.grid[i].curve.size());
        for (std::size_t k = 0; k < 3; ++k) {
          CHECK(result.grid[i].curve[k].dice == expected.grid[i].curve[k].dice);
          CHECK(result.grid[i].curve[k].loss == expected.grid[i].curve[k].loss);
        }
      }
    }
    options.resume = true;
  }
  CHECK(runs > 3);
  options.stop = {};
  options.resume = false;
  CHECK_THROWS_WITH(vt::eval::segment(backbone, squares.dataset, transform, options), Catch::Contains("resume"));
  options.resume = true;
  options.batch = 3;
  CHECK_THROWS_WITH(vt::eval::segment(backbone, squares.dataset, transform, options), Catch::Contains("batch"));
}

TEST_CASE("what cannot be trained is an error that says why") {
  const Squares squares;
  FakeBackbone backbone;
  const auto run = [&](auto&& change) {
    auto options = quick(vt::heads::DecoderKind::linear);
    options.epochs = 1;
    auto dataset = squares.dataset;
    auto how = transform;
    change(options, dataset, how);
    return vt::eval::segment(backbone, dataset, how, options);
  };
  CHECK_THROWS_AS(run([](auto& o, auto&, auto&) { o.lrs.clear(); }), vt::ArgumentError);
  CHECK_THROWS_AS(run([](auto& o, auto&, auto&) { o.lrs = {-1}; }), vt::ArgumentError);
  CHECK_THROWS_AS(run([](auto& o, auto&, auto&) { o.epochs = 0; }), vt::ArgumentError);
  CHECK_THROWS_WITH(run([](auto&, auto&, auto& t) { t = vt::transforms::dinov2({32, 32}); }), Catch::Contains("crops"));
  CHECK_THROWS_AS(run([](auto&, auto&, auto& t) { t = vt::transforms::paper({30, 32}); }), vt::ShapeError);
  const auto without = [](Split split) {
    return [split](auto&, auto& d, auto&) {
      for (auto& item : d.items)
        if (item.split == split) item.split = split == Split::val ? Split::train : Split::val;
    };
  };
  CHECK_THROWS_WITH(run(without(Split::train)), Catch::Contains("to train on"));
  CHECK_THROWS_WITH(run(without(Split::val)), Catch::Contains("no val"));
  CHECK_THROWS_WITH(run(without(Split::test)), Catch::Contains("test"));
  CHECK_THROWS_WITH(run([](auto& o, auto&, auto&) {
                      o.lrs = {1e30, 1e35};
                      o.epochs = 3;
                      o.decoder = vt::heads::DecoderKind::unet;
                    }),
                    Catch::Contains("diverged at every rate") && Catch::Contains("image") && Catch::Contains("step"));
  const auto one_diverges = run([](auto& o, auto&, auto&) {
    o.lrs = {0.01, 1e35};
    o.epochs = 3;
    o.decoder = vt::heads::DecoderKind::unet;
  });
  CHECK(one_diverges.lr == 0.01);
  CHECK(one_diverges.grid[1].diverged);
  CHECK(one_diverges.notes.size() == 1);
  backbone.broken = true;
  CHECK_THROWS_WITH(run([](auto&, auto&, auto&) {}), Catch::Contains("image12.png"));
}

TEST_CASE("masks are resized to the nearest pixel, as nearest-exact does it") {
  vt::Tensor<std::uint8_t, dyn, dyn> mask({2, 5});
  for (std::size_t i = 0; i < 10; ++i) mask.data()[i] = static_cast<std::uint8_t>(i);
  const auto small = vt::eval::resize_mask(mask, {1, 3});  // places 1, 0.83, 2.5, 4.17 -> row 1, columns 0, 2, 4
  CHECK(std::vector<int>(small.begin(), small.end()) == std::vector<int>{5, 7, 9});
  const auto same = vt::eval::resize_mask(mask, {2, 5});
  CHECK(std::equal(mask.begin(), mask.end(), same.begin()));
  const auto large = vt::eval::resize_mask(mask, {4, 5});
  CHECK(large(1, 2) == 2);
  CHECK(large(2, 2) == 7);
  CHECK_THROWS_AS(vt::eval::resize_mask(mask, {0, 5}), vt::ShapeError);
}
