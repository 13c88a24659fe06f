// Small models, and the real ViT-S/14, against an independent float64 model (tools/goldens.py made tests/data/vit.safetensors).
#include <vitals/backend/cpu/cpu_double.hpp>
#include <vitals/models/dinov2.hpp>

#include <atomic>
#include <limits>
#include <thread>

#include <catch2/catch.hpp>

#include "goldens.hpp"
#include "paths.hpp"

namespace vt = vitals;

namespace {

using Pixels = vt::Tensor<float, vt::dyn, 3, vt::dyn, vt::dyn>;

// The same function as in tools/goldens.py.
std::vector<float> numbers(const std::string& name, std::size_t count) {
  std::uint32_t h = 2166136261u;
  for (unsigned char c : name) h = (h ^ c) * 16777619u;
  std::vector<float> out(count);
  for (std::size_t i = 0; i < count; ++i) {
    std::uint32_t x = static_cast<std::uint32_t>(i) * 2654435761u + h;
    x ^= x >> 15;
    x *= 2246822519u;
    x ^= x >> 13;
    out[i] = static_cast<float>(x / 4294967296.0 - 0.5);
  }
  return out;
}

Pixels pixels(std::size_t batch, std::size_t h, std::size_t w) {
  auto values = numbers("pixels", batch * 3 * h * w);
  for (auto& v : values) v *= 4;
  return Pixels({batch, 3, h, w}, values);
}

template <class Model>
Model hashed() {
  Model model;
  for (const auto& [name, parameter] : model.parameters()) {
    auto values = numbers(name, parameter->size());
    if (name.ends_with("gamma") || (name.find("norm") != name.npos && name.ends_with("weight")))
      for (auto& v : values) v += 1;
    parameter->assign(vt::default_pool(), values);
  }
  return model;
}

template <vt::ViTConfig Config, class T>
void check(const std::string& name, double tolerance) {
  const auto expected = vt::io::TensorFile::open(test::data("vit.safetensors"));
  auto model = hashed<vt::ViT<Config, vt::Cpu<T>>>();
  for (auto rule : {vt::Positions::offset, vt::Positions::size, vt::Positions::antialias}) {
    model.set_positions(rule);
    for (auto [h, w] : {std::pair<std::size_t, std::size_t>{12, 12}, {8, 20}}) {
      const std::string key = name + "/" + vt::name(rule) + "/" + std::to_string(h) + "x" + std::to_string(w);
      INFO(key);
      CHECK(test::distance(vt::trace(model, pixels(2, h, w)).norm, test::tensor<3>(expected, key)) < tolerance);
    }
  }
}

constexpr vt::ViTConfig mlp{.dim = 24, .depth = 2, .heads = 3, .patch = 4, .grid = 3};
constexpr vt::ViTConfig registers{.dim = 32, .depth = 2, .heads = 2, .patch = 4, .grid = 3, .registers = 2};
constexpr vt::ViTConfig swiglu{.dim = 24, .depth = 2, .heads = 2, .patch = 4, .grid = 3, .mlp = vt::Mlp::swiglu};

}  // namespace

TEST_CASE("small models equal an independent float64 model under every position rule") {
  check<mlp, float>("mlp", 1e-5);
  check<registers, float>("registers", 1e-5);
  check<swiglu, float>("swiglu", 1e-5);
}

TEST_CASE("the same model in double agrees to the reference's own rounding") { check<mlp, double>("mlp", 2e-7); }

TEST_CASE("the real ViT-S/14 equals the reference at 224, 518 and 280 x 420") {
  NEEDS_SHARED("weights/dinov2_vits14/dinov2_vits14_pretrain.pth");
  const auto expected = vt::io::TensorFile::open(test::data("vit.safetensors"));
  using Model = vt::ViT<vt::dinov2::vits14, vt::Cpu<float>>;
  const Model model = vt::load<Model>(test::shared("weights/dinov2_vits14/dinov2_vits14_pretrain.pth"));
  CHECK(model.info().parameters == 22056576);
  for (auto [h, w] : {std::pair<std::size_t, std::size_t>{224, 224}, {518, 518}, {280, 420}}) {
    const std::string key = "vits14/" + std::to_string(h) + "x" + std::to_string(w);
    INFO(key);
    CHECK(test::distance(model(pixels(1, h, w)).cls, test::tensor<2>(expected, key)) < 1e-4);
  }
}

TEST_CASE("small int8 models stay within 8 percent of the largest value of the float64 model") {
  check<mlp, std::int8_t>("mlp", 0.08);
  check<registers, std::int8_t>("registers", 0.08);
  check<swiglu, std::int8_t>("swiglu", 0.08);
}

TEMPLATE_TEST_CASE(
    "the real ViT-S/14 in bfloat16 and int8 keeps the direction of its features and the bits for any threads", "",
    vt::bfloat16, std::int8_t) {
  NEEDS_SHARED("weights/dinov2_vits14/dinov2_vits14_pretrain.pth");
  const auto expected = vt::io::TensorFile::open(test::data("vit.safetensors"));
  using Model = vt::ViT<vt::dinov2::vits14, vt::Cpu<TestType>>;
  const Model model = vt::load<Model>(test::shared("weights/dinov2_vits14/dinov2_vits14_pretrain.pth"));
  vt::ThreadPool one(1), three(3);
  const auto got = model.features(pixels(1, 224, 224), {.executor = &one}).cls;
  const auto again = model.features(pixels(1, 224, 224), {.executor = &three}).cls;
  CHECK(std::equal(got.begin(), got.end(), again.begin()));
  const auto want = test::tensor<2>(expected, "vits14/224x224");
  double dot = 0, a = 0, b = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    dot += double(got.data()[i]) * want.data()[i];
    a += double(got.data()[i]) * got.data()[i];
    b += double(want.data()[i]) * want.data()[i];
  }
  CHECK(dot / std::sqrt(a * b) > (std::is_same_v<TestType, std::int8_t> ? 0.998 : 0.9995));
}

TEST_CASE("typed outputs and the erased interface are the same numbers") {
  const auto model = hashed<vt::ViT<registers, vt::Cpu<float>>>();
  const vt::Backbone& backbone = model;
  const auto in = pixels(3, 12, 8);
  const auto typed = model(in);
  const auto erased = backbone.features(in, {.blocks = 2});
  CHECK(typed.cls.shape() == std::array<std::size_t, 2>{3, 32});
  CHECK(typed.patches.shape() == std::array<std::size_t, 3>{3, 6, 32});
  CHECK(typed.registers.shape() == std::array<std::size_t, 3>{3, 2, 32});
  CHECK(std::equal(typed.cls.begin(), typed.cls.end(), erased.cls.begin()));
  CHECK(std::equal(typed.patches.begin(), typed.patches.end(), erased.block_patches[1].begin()));
  CHECK(std::equal(erased.cls.begin(), erased.cls.end(), erased.block_cls[1].begin()));
  CHECK(backbone.features(in, {.blocks = 1, .block_patches = false}).block_patches.empty());
  CHECK(backbone.info().registers == 2);
  CHECK_THROWS_AS(backbone.features(in, {.blocks = 3}), vt::ArgumentError);
  for (std::size_t blocks : {0u, 2u}) {  // the CLS token alone, without the last block's work for the others: the same bits
    const auto cls = backbone.features(in, {.blocks = blocks, .block_patches = false, .patches = false});
    CHECK(std::equal(cls.cls.begin(), cls.cls.end(), erased.cls.begin()));
    CHECK(cls.patches.size() == 0);
    REQUIRE(cls.block_cls.size() == blocks);
    for (std::size_t i = 0; i < blocks; ++i) CHECK(std::equal(cls.block_cls[i].begin(), cls.block_cls[i].end(), erased.block_cls[i].begin()));
  }
  const auto patches = backbone.features(in, {.blocks = 1, .patches = false});
  CHECK(patches.patches.size() == 0);
  CHECK(std::equal(patches.block_patches[0].begin(), patches.block_patches[0].end(), erased.block_patches[1].begin()));
}

TEST_CASE("an image's features do not depend on its batch, the threads, or other callers") {
  const auto model = hashed<vt::ViT<mlp, vt::Cpu<float>>>();
  const auto in = pixels(4, 12, 12);
  vt::ThreadPool one(1), three(3);
  const auto all = model.features(in, {.executor = &one});
  const auto again = model.features(in, {.executor = &three});
  CHECK(std::equal(all.patches.begin(), all.patches.end(), again.patches.begin()));
  for (std::size_t b = 0; b < 4; ++b) {
    const auto single = model.features({in.data() + b * 3 * 144, {1, 3, 12, 12}});
    CHECK(std::equal(single.cls.begin(), single.cls.end(), all.cls.data() + b * 24));
  }
  std::vector<std::thread> callers;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t)
    callers.emplace_back([&] {
      for (int i = 0; i < 20; ++i)
        if (const auto out = model(in); !std::equal(out.cls.begin(), out.cls.end(), all.cls.begin())) ++wrong;
    });
  for (auto& c : callers) c.join();
  CHECK(wrong == 0);
}

TEST_CASE("attention rows sum to one and probabilities do not change the output") {
  const auto model = hashed<vt::ViT<mlp, vt::Cpu<float>>>();
  const auto in = pixels(2, 12, 8);
  const auto trace = vt::trace(model, in);
  REQUIRE(trace.blocks.size() == 2);
  const auto& attention = trace.blocks[1].attention;
  CHECK(attention.shape() == std::array<std::size_t, 4>{2, 3, 7, 7});
  for (std::size_t row = 0; row < 2 * 3 * 7; ++row) {
    double sum = 0;
    for (std::size_t i = 0; i < 7; ++i) sum += attention.data()[row * 7 + i];
    CHECK(sum == Approx(1).epsilon(1e-5));
  }
  const auto out = model(in);
  for (std::size_t c = 0; c < 24; ++c) CHECK(trace.norm(1, 0, c) == out.cls(1, c));
}

TEST_CASE("a size that does not cut into patches is refused and the nearest sizes are named") {
  const auto model = hashed<vt::ViT<mlp, vt::Cpu<float>>>();
  CHECK_THROWS_WITH(model(pixels(1, 12, 10)), Catch::Contains("width 10 is not a multiple of the patch size 4") &&
                                                  Catch::Contains("use 8 or 12"));
  CHECK_THROWS_WITH(model(pixels(1, 3, 12)), Catch::Contains("use 4"));
  CHECK_THROWS_AS(model(Pixels({0, 3, 12, 12})), vt::ShapeError);
}

TEST_CASE("random models depend on the seed alone; presets have the published sizes") {
  using Model = vt::ViT<mlp, vt::Cpu<float>>;
  const auto in = pixels(1, 12, 12);
  const auto a = Model(1)(in).cls, b = Model(1)(in).cls, c = Model(2)(in).cls;
  CHECK(std::equal(a.begin(), a.end(), b.begin()));
  CHECK(!std::equal(a.begin(), a.end(), c.begin()));
  for (float v : a) CHECK(std::isfinite(v));

  vt::ViT<vt::dinov2::vits14, vt::Cpu<float>> s;
  CHECK(s.info().parameters == 22056576);
  CHECK(vt::ViT<vt::dinov2::vits14_reg, vt::Cpu<float>>().info().parameters == 22056576 + 1536);
  CHECK(vt::ViT<vt::dinov2::vitb14, vt::Cpu<float>>().info().parameters == 86580480);
  CHECK(vt::ViT<vt::dinov2::vitl14, vt::Cpu<float>>().info().parameters == 304368640);
  CHECK(vt::ViT<vt::dinov2::vitg14, vt::Cpu<float>>().info().parameters == 1136480768);
  CHECK(vt::ViT<vt::dinov2::vitg14_reg, vt::Cpu<float>>().info().parameters == 1136480768 + 6144);
  CHECK(vt::ViT<vt::dinov2::vits14_reg, vt::Cpu<float>>().info().positions == vt::Positions::antialias);
  CHECK_THROWS_WITH(vt::dinov2::random("dinov2_vitz14", 0),
                    Catch::Contains("dinov2_vits14") && Catch::Contains("dinov2_vitz14"));
}

TEST_CASE("a linear head on features: y = x W^T + b") {
  vt::nn::Linear<3, 2, vt::Cpu<float>> head(7);
  head.weight.assign(vt::default_pool(), std::vector<float>{1, 2, 3, -1, 0, 1});
  head.bias.assign(vt::default_pool(), std::vector<float>{10, 20});
  const auto y = head(vt::Tensor<float, vt::dyn, 3>({2, 3}, std::vector<float>{1, 1, 1, 0, 2, 4}));
  CHECK(std::vector<float>(y.begin(), y.end()) == std::vector<float>{16, 20, 26, 24});
}
