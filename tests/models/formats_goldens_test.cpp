// One small model through every file format and both namings; what transformers wrote gives what transformers computed.
#include <vitals/backend/cpu/cpu.hpp>
#include <vitals/models/checkpoint.hpp>
#include <vitals/models/vit.hpp>

#include <catch2/catch.hpp>

#include "goldens.hpp"
#include "paths.hpp"

namespace vt = vitals;

namespace {

constexpr vt::ViTConfig small{.dim = 16, .depth = 1, .heads = 1, .patch = 14, .grid = 2};
constexpr vt::ViTConfig hf{.dim = 32, .depth = 2, .heads = 1, .patch = 14, .grid = 3};
constexpr vt::ViTConfig hf_swiglu{.dim = 32, .depth = 1, .heads = 1, .patch = 14, .grid = 2, .mlp = vt::Mlp::swiglu};
constexpr vt::ViTConfig hf_registers{
    .dim = 32, .depth = 2, .heads = 1, .patch = 14, .grid = 2, .registers = 4, .positions = vt::Positions::antialias};

using Pixels = vt::Tensor<float, vt::dyn, 3, vt::dyn, vt::dyn>;

template <vt::ViTConfig Config>
void check_huggingface(const std::string& folder, vt::Positions theirs) {
  const auto path = test::shared("goldens/formats") / folder;
  using Model = vt::ViT<Config, vt::Cpu<float>>;
  const auto checkpoint = vt::Checkpoint::open(path / "model.safetensors");
  CHECK(checkpoint.naming == vt::Naming::huggingface);
  const auto seen = checkpoint.config();
  REQUIRE(seen);
  CHECK(seen->dim == Config.dim);
  CHECK(seen->depth == Config.depth);
  CHECK(seen->grid == Config.grid);
  CHECK(seen->registers == Config.registers);
  CHECK(seen->mlp == Config.mlp);
  CHECK(seen->hidden == Config.mlp_hidden());
  const auto expected = vt::io::TensorFile::open(path / "expected.safetensors");
  const Model native = vt::load<Model>(path / "model.safetensors");
  const Model model = vt::load<Model>(path / "model.safetensors", {.positions = theirs});
  for (const std::string size : {"grid", "other"}) {
    INFO(folder << " " << size);
    const Pixels pixels(test::tensor<4>(expected, size + "/pixels"));
    CHECK(test::distance(vt::trace(model, pixels).norm, test::tensor<3>(expected, size + "/last_hidden_state")) < 1e-5);
    CHECK(test::distance(native(pixels).cls, test::tensor<2>(expected, size + "/cls_native_rule")) < 1e-5);
  }
}

}  // namespace

TEST_CASE("every format of the same weights gives the same features") {
  NEEDS_SHARED("goldens/formats");
  const auto folder = test::shared("goldens/formats");
  const auto expected = vt::io::TensorFile::open(folder / "expected.safetensors");
  const Pixels pixels(test::tensor<4>(expected, "pixels"));
  using Model = vt::ViT<small, vt::Cpu<float>>;
  for (const std::string file : {"plain.safetensors", "plain.pth", "f64.safetensors", "legacy.pth", "ordered.pth",
                                 "parameters.pth", "wrapped_model.pth", "wrapped_teacher.pth", "shared_storage.pth"}) {
    INFO(file);
    const Model model = vt::load<Model>(folder / file);
    CHECK(test::distance(model(pixels).cls, test::tensor<2>(expected, "cls")) < 1e-5);
  }
  for (const std::string type : {"bf16", "f16"})
    for (const std::string end : {".pth", ".safetensors"}) {
      INFO(type << end);
      const Model model = vt::load<Model>(folder / (type + end));
      CHECK(test::distance(model(pixels).cls, test::tensor<2>(expected, "cls." + type)) < 1e-5);
    }
}

TEST_CASE("Hugging Face's files give transformers' own outputs under its position rule") {
  NEEDS_SHARED("goldens/formats");
  check_huggingface<hf>("hf_dinov2", vt::Positions::size);
  check_huggingface<hf_swiglu>("hf_dinov2_swiglu", vt::Positions::size);
  check_huggingface<hf_registers>("hf_dinov2_with_registers", vt::Positions::antialias);
}
