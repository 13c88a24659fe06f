// Four tiny models against a float64 reference: every block, the position rules, intermediate layers, attention.
#include <vitals/backend/cpu/cpu.hpp>
#include <vitals/models/checkpoint.hpp>
#include <vitals/models/vit.hpp>

#include <catch2/catch.hpp>

#include "goldens.hpp"
#include "paths.hpp"

namespace vt = vitals;

namespace {

constexpr vt::ViTConfig a_mlp{.dim = 128, .depth = 2, .heads = 2, .patch = 14, .grid = 5};
constexpr vt::ViTConfig b_registers{
    .dim = 64, .depth = 2, .heads = 1, .patch = 14, .grid = 5, .registers = 4, .positions = vt::Positions::antialias};
constexpr vt::ViTConfig c_swiglu{.dim = 64, .depth = 2, .heads = 1, .patch = 14, .grid = 5, .mlp = vt::Mlp::swiglu};
constexpr vt::ViTConfig d_head24{.dim = 72, .depth = 2, .heads = 3, .patch = 14, .grid = 5};

using Pixels = vt::Tensor<float, vt::dyn, 3, vt::dyn, vt::dyn>;

template <vt::ViTConfig Config>
void check(const std::string& name) {
  const auto folder = test::shared("goldens/models");
  using Model = vt::ViT<Config, vt::Cpu<float>>;
  const Model model = vt::load<Model>(folder / (name + ".weights.safetensors"));
  const auto expected = vt::io::TensorFile::open(folder / (name + ".expected.safetensors"));
  const auto matrix = [&](const std::string& key) { return test::tensor<2>(expected, key); };
  const auto cube = [&](const std::string& key) { return test::tensor<3>(expected, key); };

  for (const std::string size : {"grid", "larger", "wide", "tall"}) {
    INFO(name << " " << size);
    const Pixels pixels(test::tensor<4>(expected, size + "/pixels"));
    const auto out = model(pixels);
    CHECK(test::distance(out.cls, matrix(size + "/cls")) < 1e-5);
    CHECK(test::distance(out.patches, cube(size + "/patches")) < 1e-5);
    if (Config.registers) CHECK(test::distance(out.registers, cube(size + "/registers")) < 1e-5);
    const auto positions = vt::trace(model, pixels).positions;
    CHECK(test::distance(positions, cube(size + "/pos_embed." + vt::name(Config.positions))) < 1e-5);
  }

  INFO(name << " grid");
  const Pixels pixels(test::tensor<4>(expected, "grid/pixels"));
  const auto features = model.features(pixels, {.blocks = 2});
  for (std::size_t i = 0; i < 2; ++i) {
    const std::string key = "grid/intermediate." + std::to_string(i);
    CHECK(test::distance(features.block_cls[i], matrix(key + ".cls")) < 1e-5);
    CHECK(test::distance(features.block_patches[i], cube(key + ".patches")) < 1e-5);
  }
  const auto trace = vt::trace(model, pixels);
  CHECK(test::distance(trace.patch_embed, cube("grid/patch_embed")) < 1e-5);
  CHECK(test::distance(trace.blocks[0].input, cube("grid/tokens")) < 1e-5);
  for (std::size_t i = 0; i < Config.depth; ++i)
    CHECK(test::distance(trace.blocks[i].output, cube("grid/block." + std::to_string(i))) < 1e-5);
  const auto attention = test::tensor<4>(expected, "grid/attention");
  double worst = 0;
  for (std::size_t i = 0; i < attention.size(); ++i)
    worst = std::max<double>(worst, std::abs(trace.blocks.back().attention.data()[i] - attention.data()[i]));
  CHECK(worst < 1e-5);
}

}  // namespace

TEST_CASE("tiny models equal the reference: MLP, registers, SwiGLU, heads of 24") {
  NEEDS_SHARED("goldens/models");
  check<a_mlp>("a_mlp");
  check<b_registers>("b_registers");
  check<c_swiglu>("c_swiglu");
  check<d_head24>("d_head24");
}

TEST_CASE("every instruction set of this machine passes the goldens") {
  NEEDS_SHARED("goldens/models");
  namespace cpu = vt::backend::cpu;
  for (auto isa : cpu::all_isas) {
    if (!cpu::supported(isa)) continue;
    INFO(cpu::name(isa));
    cpu::ScopedIsa scoped(isa);
    check<d_head24>("d_head24");
  }
}
