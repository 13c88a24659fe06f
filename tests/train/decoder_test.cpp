// Segmentation decoders and their losses: PyTorch's values and gradients, finite differences through a whole decoder in double,
// parameter counts, files, and the same bits for any number of threads.
#include <vitals/backend/cpu/cpu_double.hpp>
#include <vitals/heads/linear_segmenter.hpp>
#include <vitals/heads/unet_decoder.hpp>
#include <vitals/io/safetensors.hpp>
#include <vitals/losses/segmentation.hpp>
#include <vitals/train/trainable_decoder.hpp>

#include <catch2/catch.hpp>

#include "operations.hpp"

namespace vt = vitals;
using vt::dyn;
using vt::heads::DecoderKind;
using vt::losses::SegmentationLoss;

namespace {

using Masks = vt::Tensor<std::uint8_t, dyn, dyn, dyn>;

template <class T>
vt::Map<vt::Cpu<T>> variable(vt::Tape<vt::Cpu<T>>& tape, const std::array<std::size_t, 4>& shape,
                             const std::vector<T>& values) {
  auto x = tape.template make<dyn, dyn, dyn, dyn>(shape);
  std::copy(values.begin(), values.end(), x.data());
  x.set_slot(tape.slot(x.size()));
  return x;
}

/// Tokens of five blocks and masks of a made-up batch.
struct Sample {
  std::vector<vt::Tensor<float, dyn, dyn, dyn>> tokens;
  vt::train::DecoderInput input;
  Masks masks;

  Sample(const vt::heads::DecoderShape& shape, std::size_t batch, std::size_t h, std::size_t w, std::uint64_t seed)
      : masks({batch, shape.size[0], shape.size[1]}) {
    input.height = h;
    input.width = w;
    for (std::size_t i = 0; i < vt::heads::blocks_of(shape.kind); ++i) {
      auto& t = tokens.emplace_back(std::array<std::size_t, 3>{batch, h * w, shape.dim});
      const vt::Rng rng(seed, i);
      for (std::size_t k = 0; k < t.size(); ++k) t.data()[k] = static_cast<float>(rng.normal_at(k));
    }
    for (const auto& t : tokens) input.blocks.push_back(t);
    const vt::Rng rng(seed, 99);
    for (std::size_t k = 0; k < masks.size(); ++k)  // squares, so that there is something to learn
      masks.data()[k] = static_cast<std::uint8_t>(rng.below_at(k / 7, shape.classes));
  }
};

}  // namespace

TEMPLATE_TEST_CASE("losses over pixels equal PyTorch's", "", float, double) {
  NEEDS_SHARED("goldens/ops");
  using T = TestType;
  for (const auto& [name, kind] :
       {std::pair{"dice_loss", SegmentationLoss::dice}, {"cross_entropy_pixels", SegmentationLoss::cross_entropy}}) {
    INFO(name);
    const auto file = test::golden(name);
    const auto last = [&](const std::string& which) {  // (2, 3, 4, 5) to channels last
      const auto x = test::flat<T>(file, which);
      std::vector<T> out(x.size());
      for (std::size_t b = 0; b < 2; ++b)
        for (std::size_t k = 0; k < 3; ++k)
          for (std::size_t p = 0; p < 20; ++p) out[(b * 20 + p) * 3 + k] = x[(b * 3 + k) * 20 + p];
      return out;
    };
    const auto target = test::flat<double>(file, "target");
    const std::vector<std::uint8_t> classes(target.begin(), target.end());
    vt::Tape<vt::Cpu<T>> tape;
    const auto logits = variable<T>(tape, {2, 4, 5, 3}, last("logits"));
    const auto loss = vt::losses::segmentation(
        logits, vt::TensorView<const std::uint8_t, dyn, dyn, dyn>(classes.data(), {2, 4, 5}), kind);
    CHECK(std::abs(loss.data()[0] - test::flat<T>(file, "y")[0]) < test::tolerance<T>);
    loss.slot()->add([&](T* to, bool) { *to = test::flat<T>(file, "dy")[0]; });
    tape.run_down_to(0);
    const std::vector<T> found(logits.slot()->data(), logits.slot()->data() + logits.size());
    CHECK(test::distance(found, last("dlogits")) < test::tolerance<T>);
  }
}

TEST_CASE("gradients of every loss over pixels equal finite differences") {
  std::vector<double> values(2 * 3 * 5 * 4);
  const vt::Rng rng(8);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = 2 * rng.normal_at(i);
  Masks masks({2, 3, 5});
  for (std::size_t i = 0; i < masks.size(); ++i) masks.data()[i] = static_cast<std::uint8_t>(rng.below_at(500 + i, 4));
  for (const auto kind :
       {SegmentationLoss::dice, SegmentationLoss::cross_entropy, SegmentationLoss::combined, SegmentationLoss::focal}) {
    INFO(vt::losses::name(kind));
    vt::Tape<vt::Cpu<double>> tape;
    const auto value = [&] {
      return vt::losses::segmentation(variable<double>(tape, {2, 3, 5, 4}, values), masks, kind).data()[0];
    };
    const auto logits = variable<double>(tape, {2, 3, 5, 4}, values);
    tape.backward(vt::losses::segmentation(logits, masks, kind));
    const std::vector<double> found(logits.slot()->data(), logits.slot()->data() + logits.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double before = values[i], h = 1e-5;
      values[i] = before + h;
      const double more = value();
      values[i] = before - h;
      const double less = value();
      values[i] = before;
      CHECK(found[i] == Approx((more - less) / (2 * h)).epsilon(1e-6).margin(1e-9));
    }
  }
  masks.data()[17] = 4;
  vt::Tape<vt::Cpu<double>> tape;
  CHECK_THROWS_WITH(
      vt::losses::segmentation(variable<double>(tape, {2, 3, 5, 4}, values), masks, SegmentationLoss::dice),
      Catch::Contains("class 4") && Catch::Contains("image 1, row 0, column 2"));
}

TEST_CASE("Dice of certain logits is what counting gives; of one number a loss is easy to make by hand") {
  // Two classes, four pixels: certain logits predict 0 1 1 1 where 0 0 1 1 is true.
  vt::Tape<vt::Cpu<double>> tape;
  std::vector<double> z;
  for (const int predicted : {0, 1, 1, 1}) z.insert(z.end(), {predicted ? -50.0 : 50.0, predicted ? 50.0 : -50.0});
  Masks masks({1, 2, 2});
  masks.data()[2] = masks.data()[3] = 1;
  const auto dice = vt::losses::segmentation(variable<double>(tape, {1, 2, 2, 2}, z), masks, SegmentationLoss::dice);
  const double s = 1e-5, expected = 1 - ((2 + s) / (3 + s) + (4 + s) / (5 + s)) / 2;
  CHECK(dice.data()[0] == Approx(expected).epsilon(1e-12));
  const auto entropy = vt::losses::segmentation(variable<double>(tape, {1, 2, 2, 2}, std::vector<double>(8)), masks,
                                                SegmentationLoss::cross_entropy);
  CHECK(entropy.data()[0] == Approx(std::log(2.0)).epsilon(1e-12));
}

TEST_CASE("decoders have the study's parameter counts") {
  const auto count = [](DecoderKind kind, std::size_t dim, std::size_t classes) {
    return vt::train::make_decoder({kind, dim, classes, {224, 224}}, 0)->parameters();
  };
  CHECK(count(DecoderKind::unet, 384, 3) == 2'432'679);  // protocol: 2.43 M
  CHECK(count(DecoderKind::unet, 768, 3) == Approx(9.70e6).epsilon(1e-3));
  CHECK(count(DecoderKind::unet, 1024, 3) == Approx(17.24e6).epsilon(1e-3));
  CHECK(count(DecoderKind::linear, 384, 3) == 384 * 3 + 3);
}

TEST_CASE("gradients through the whole U-Net equal finite differences") {
  using D = vt::Cpu<double>;
  const vt::heads::DecoderShape shape{DecoderKind::unet, 8, 2, {30, 44}};
  vt::heads::UnetDecoder<D> decoder(shape, 3, vt::default_pool());
  const Sample sample(shape, 2, 2, 3, 4);
  vt::Tape<D> tape;
  const auto loss = [&] {
    std::vector<vt::Map<D>> maps;
    for (const auto& t : sample.tokens)
      maps.push_back(tape.input<dyn, dyn, dyn, dyn>(
          vt::TensorView<const float, dyn, dyn, dyn, dyn>(t.data(), {t.extent(0), 2, 3, shape.dim})));
    return vt::losses::segmentation(decoder(tape, maps, vt::nn::NormMode::train), sample.masks,
                                    SegmentationLoss::combined);
  };
  tape.backward(loss());
  std::size_t checked = 0;
  for (const auto& row : vt::nn::parameters<D>(decoder)) {
    if (!row.parameter->trainable()) continue;
    INFO(row.name);
    const auto& slot = row.parameter->gradient();
    REQUIRE(slot.filled);
    const std::vector<double> found(slot.data(), slot.data() + slot.size);
    const auto change = [&](std::size_t i, double by) {
      row.parameter->update(vt::default_pool(), [&](double* to, std::size_t begin, std::size_t n) {
        if (i >= begin && i < begin + n) to[i - begin] += by;
      });
    };
    const auto value = [&] { return tape.without_recording([&] { return loss(); }).data()[0]; };
    for (std::size_t i = 0; i < found.size(); i += 1 + found.size() / 3, ++checked) {
      const double h = 1e-6;
      change(i, h);
      const double more = value();
      change(i, -2 * h);
      const double less = value();
      change(i, h);
      CHECK(found[i] == Approx((more - less) / (2 * h)).epsilon(1e-4).margin(1e-8));
    }
  }
  CHECK(checked > 60);
}

TEST_CASE("a decoder learns, its bits do not depend on threads, and a file keeps it") {
  vt::ThreadPool one(1), three(3);
  for (const auto kind : {DecoderKind::linear, DecoderKind::unet})
    for (const char* dtype : {"float32", "bfloat16"}) {
      INFO(vt::heads::name(kind) << " " << dtype);
      const vt::heads::DecoderShape shape{kind, 16, 3, {28, 42}};
      const Sample sample(shape, 3, 2, 3, 7);
      const auto train = [&](vt::Executor& executor) {
        auto decoder = vt::train::make_decoder(shape, 5, dtype, executor);
        auto optimizer = decoder->optimizer(
            {.kind = vt::train::OptimizerKind::sgd, .head_lr = kind == DecoderKind::unet ? 0.02 : 0.1}, executor);
        std::vector<double> losses;
        for (int step = 0; step < 12; ++step) {
          losses.push_back(decoder->gradient(sample.input, sample.masks, SegmentationLoss::combined, executor));
          optimizer->step();
        }
        return std::pair{std::move(decoder), losses};
      };
      const auto [decoder, losses] = train(one);
      CHECK(losses.back() < losses.front());
      const auto [other, same] = train(three);
      CHECK(losses == same);
      const auto logits = decoder->logits(sample.input, vt::nn::NormMode::running, one);
      CHECK(logits.shape() == std::array<std::size_t, 4>{3, 28, 42, 3});
      const auto again = other->logits(sample.input, vt::nn::NormMode::running, three);
      CHECK(std::equal(logits.begin(), logits.end(), again.begin()));
      const auto mask = decoder->predict(sample.input, vt::nn::NormMode::running, three);
      for (std::size_t i = 0; i < mask.size(); i += 97) {
        const float* z = logits.data() + 3 * i;
        CHECK(mask.data()[i] == std::max_element(z, z + 3) - z);
      }

      const test::TemporaryFolder folder;
      const auto file = folder.path() / "decoder.safetensors";
      vt::train::save_decoder(file, *decoder, {{"note", "a test"}});
      const auto loaded = vt::train::load_decoder(file, dtype, one);
      CHECK(loaded->shape() == shape);
      const auto kept = loaded->logits(sample.input, vt::nn::NormMode::running, one);
      CHECK(std::equal(logits.begin(), logits.end(), kept.begin()));
    }
}

TEST_CASE("a decoder that does not fit is an error that says why") {
  CHECK_THROWS_AS(vt::train::make_decoder({DecoderKind::unet, 384, 1, {224, 224}}, 0), vt::ArgumentError);
  CHECK_THROWS_AS(vt::train::make_decoder({DecoderKind::unet, 0, 2, {224, 224}}, 0), vt::ArgumentError);
  CHECK_THROWS_WITH(vt::train::make_decoder({DecoderKind::linear, 4, 2, {28, 28}}, 0, "float16"),
                    Catch::Contains("float16"));
  const vt::heads::DecoderShape shape{DecoderKind::linear, 4, 2, {28, 28}};
  auto decoder = vt::train::make_decoder(shape, 0);
  const Sample other({DecoderKind::linear, 5, 2, {28, 28}}, 1, 2, 2, 1);
  CHECK_THROWS_AS(decoder->logits(other.input, vt::nn::NormMode::running, vt::default_pool()), vt::ShapeError);
  const test::TemporaryFolder folder;
  const std::vector<float> numbers(8);
  const std::vector<vt::io::NamedTensor> tensors{{"classifier.weight", {2, 4, 1, 1}, std::span<const float>(numbers)}};
  const auto file = folder.path() / "part.safetensors";
  vt::io::write_safetensors(file, tensors);
  CHECK_THROWS_WITH(vt::train::load_decoder(file), Catch::Contains("no 'decoder'"));
  vt::io::write_safetensors(file, tensors,
                            {{"decoder", "linear"}, {"dim", "4"}, {"classes", "2"}, {"height", "28"}, {"width", "28"}});
  CHECK_THROWS_WITH(vt::train::load_decoder(file), Catch::Contains("classifier.bias") && Catch::Contains("missing"));
}
