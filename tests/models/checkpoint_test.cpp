// Strict loading: every wrong key in one message, wrappers stripped, NaN refused; from files that the test writes.
#include <vitals/models/checkpoint.hpp>
#include <vitals/models/dinov2.hpp>

#include <functional>
#include <limits>
#include <map>

#include <catch2/catch.hpp>

#include <vitals/io/safetensors.hpp>

#include "paths.hpp"

namespace vt = vitals;

namespace {

constexpr vt::ViTConfig tiny{.dim = 8, .depth = 2, .heads = 2, .patch = 2, .grid = 2};
using Model = vt::ViT<tiny, vt::Cpu<float>>;

struct Held {
  std::vector<std::size_t> shape;
  std::vector<float> values;
};

std::map<std::string, Held> random_tensors(std::uint64_t seed) {
  Model model(seed);
  std::map<std::string, Held> out;
  for (const auto& [name, parameter] : model.parameters()) {
    Held held{{parameter->shape().begin(), parameter->shape().end()}, std::vector<float>(parameter->size())};
    parameter->copy_to(held.values);
    out[name] = held;
  }
  return out;
}

std::filesystem::path write(const std::filesystem::path& file, const std::map<std::string, Held>& tensors,
                            const std::string& prefix = "") {
  std::vector<vt::io::NamedTensor> list;
  for (const auto& [name, held] : tensors)
    list.emplace_back(prefix + name, held.shape, std::span<const float>(held.values));
  vt::io::write_safetensors(file, list);
  return file;
}

vt::Tensor<float, vt::dyn, 3, vt::dyn, vt::dyn> some_pixels() {
  vt::Tensor<float, vt::dyn, 3, vt::dyn, vt::dyn> x({1, 3, 6, 4});
  for (std::size_t i = 0; i < x.size(); ++i) x.data()[i] = static_cast<float>(i % 7) - 3;
  return x;
}

}  // namespace

TEST_CASE("what is written is loaded again, under wrappers too") {
  test::TemporaryFolder folder;
  const auto tensors = random_tensors(5);
  const auto expected = Model(5)(some_pixels()).cls;
  for (const std::string prefix : {"", "model.", "teacher.backbone.", "module."}) {
    INFO("prefix '" << prefix << "'");
    const Model model = vt::load<Model>(write(folder / "m.safetensors", tensors, prefix));
    const auto got = model(some_pixels()).cls;
    CHECK(std::equal(got.begin(), got.end(), expected.begin()));
  }
}

TEST_CASE("blocks cut into chunks, as DINOv2's training saves them, load too") {
  test::TemporaryFolder folder;
  std::map<std::string, Held> chunked;
  for (const auto& [name, held] : random_tensors(5))
    chunked[name.starts_with("blocks.") ? "blocks.0." + name.substr(7) : name] = held;
  const Model model = vt::load<Model>(write(folder / "m.safetensors", chunked));
  const auto got = model(some_pixels()).cls, expected = Model(5)(some_pixels()).cls;
  CHECK(std::equal(got.begin(), got.end(), expected.begin()));
}

TEST_CASE("one error lists every missing, extra and misshapen key and names the file") {
  test::TemporaryFolder folder;
  auto tensors = random_tensors(1);
  tensors.erase("blocks.0.ls1.gamma");
  tensors.erase("norm.bias");
  tensors["head.weight"] = {{2}, {1, 2}};
  tensors["norm.weight"] = {{9}, std::vector<float>(9)};
  const auto file = write(folder / "m.safetensors", tensors);
  CHECK_THROWS_AS(vt::load<Model>(file), vt::DataError);
  CHECK_THROWS_WITH(vt::load<Model>(file), Catch::Contains("missing blocks.0.ls1.gamma, norm.bias") &&
                                               Catch::Contains("not known head.weight") &&
                                               Catch::Contains("norm.weight (9) instead of (8)") &&
                                               Catch::Contains("m.safetensors"));
}

TEST_CASE("NaN or infinity among the weights is an error that names the tensor") {
  test::TemporaryFolder folder;
  for (float bad : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    auto tensors = random_tensors(1);
    tensors["blocks.1.mlp.fc2.weight"].values[17] = bad;
    CHECK_THROWS_WITH(vt::load<Model>(write(folder / "m.safetensors", tensors)),
                      Catch::Contains("blocks.1.mlp.fc2.weight"));
  }
}

TEST_CASE("a file without a backbone, or with two, is refused") {
  test::TemporaryFolder folder;
  CHECK_THROWS_WITH(vt::load<Model>(write(folder / "a.safetensors", {{"weight", {{1}, {1}}}})),
                    Catch::Contains("no backbone"));
  auto both = random_tensors(1);
  std::map<std::string, Held> two;
  for (const auto& [name, held] : both) two["a." + name] = two["b." + name] = held;
  CHECK_THROWS_WITH(vt::load<Model>(write(folder / "b.safetensors", two)), Catch::Contains("several backbones"));
  two.clear();
  for (const auto& [name, held] : both) two["student." + name] = two["teacher." + name] = held;
  CHECK(vt::Checkpoint::open(write(folder / "c.safetensors", two)).prefix == "teacher.");
}

TEST_CASE("the preset of a file is found from its keys") {
  NEEDS_SHARED("weights/dinov2_vits14/dinov2_vits14_pretrain.pth");
  const auto checkpoint = vt::Checkpoint::open(test::shared("weights/dinov2_vits14/dinov2_vits14_pretrain.pth"));
  REQUIRE(vt::dinov2::preset_of(checkpoint));
  CHECK(vt::dinov2::preset_of(checkpoint)->name == "dinov2_vits14");
  CHECK_THROWS_WITH(vt::dinov2::load("dinov2_vitb14", checkpoint.file.path()), Catch::Contains("instead of"));
}
