// Reading whole files: the reference files of every container give the same numbers; views, types, metadata, release.
#include <vitals/io/tensor_file.hpp>

#include <chrono>
#include <cmath>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include <vitals/core/error.hpp>
#include <vitals/core/half.hpp>
#include <vitals/io/safetensors.hpp>

#include "paths.hpp"

namespace vt = vitals;
using vt::io::DType;
using vt::io::TensorFile;

namespace {

std::vector<float> numbers(const TensorFile& file, const vt::io::TensorEntry& entry) {
  std::vector<float> out(entry.size());
  file.read(entry, std::span<float>(out));
  return out;
}

// Every tensor of `expected` stands in `file` under prefix + its name, with `rounded` numbers.
template <class Round>
void check_same(const TensorFile& file, const TensorFile& expected, const std::string& prefix, Round rounded) {
  REQUIRE(expected.entries().size() == 21);
  for (const auto& entry : expected.entries()) {
    INFO(file.path() << " " << entry.name);
    const auto* found = file.find(prefix + entry.name);
    REQUIRE(found);
    CHECK(found->shape == entry.shape);
    auto values = numbers(expected, entry);
    for (auto& v : values) v = rounded(v);
    CHECK(numbers(file, *found) == values);
  }
}

}  // namespace

TEST_CASE("every reference checkpoint holds the numbers of plain.safetensors") {
  NEEDS_SHARED("goldens/formats/plain.safetensors");
  const auto expected = TensorFile::open(test::shared("goldens/formats/plain.safetensors"));
  CHECK(expected.format() == "safetensors");
  CHECK(expected.metadata().contains("config"));
  const auto same = [](float v) { return v; };
  for (const char* name : {"plain", "legacy", "ordered", "parameters", "shared_storage"}) {
    const auto file = TensorFile::open(test::shared(std::string("goldens/formats/") + name + ".pth"));
    CHECK(file.format() == (std::string(name) == "legacy" ? "torch legacy" : "torch zip"));
    CHECK(file.entries().size() == 21);
    check_same(file, expected, "", same);
  }
  check_same(TensorFile::open(test::shared("goldens/formats/f64.safetensors")), expected, "", same);
  const auto model = TensorFile::open(test::shared("goldens/formats/wrapped_model.pth"));
  CHECK(model.entries().size() == 21);
  check_same(model, expected, "model.", same);
  const auto teacher = TensorFile::open(test::shared("goldens/formats/wrapped_teacher.pth"));
  check_same(teacher, expected, "teacher.backbone.", same);
  CHECK(numbers(teacher, *teacher.find("teacher.dino_head.last_layer.weight")) == std::vector<float>(6, 1.0f));
}

TEST_CASE("16-bit reference checkpoints hold the rounded numbers") {
  NEEDS_SHARED("goldens/formats/plain.safetensors");
  const auto expected = TensorFile::open(test::shared("goldens/formats/plain.safetensors"));
  for (const char* ending : {".pth", ".safetensors"}) {
    const auto bf16 = TensorFile::open(test::shared(std::string("goldens/formats/bf16") + ending));
    CHECK(bf16.entries()[0].dtype == DType::bf16);
    check_same(bf16, expected, "", [](float v) { return static_cast<float>(vt::bfloat16(v)); });
    const auto f16 = TensorFile::open(test::shared(std::string("goldens/formats/f16") + ending));
    CHECK(f16.entries()[0].dtype == DType::f16);
    check_same(f16, expected, "", [](float v) { return static_cast<float>(vt::float16(v)); });
  }
}

TEST_CASE("a transposed view of a shared storage is not contiguous and is read in row-major order") {
  NEEDS_SHARED("goldens/formats/shared_storage.pth");
  const auto file = TensorFile::open(test::shared("goldens/formats/shared_storage.pth"));
  const auto& qkv = *file.find("blocks.0.attn.qkv.weight");
  CHECK(qkv.shape == std::vector<std::size_t>{48, 16});
  CHECK(qkv.strides == std::vector<std::size_t>{1, 48});
  CHECK_FALSE(qkv.contiguous());
  CHECK(file.find("norm.weight")->contiguous());
}

TEST_CASE("folders of transformers are read") {
  NEEDS_SHARED("goldens/formats/hf_dinov2/model.safetensors");
  for (const char* name : {"hf_dinov2", "hf_dinov2_swiglu", "hf_dinov2_with_registers"}) {
    const auto file = TensorFile::open(test::shared(std::string("goldens/formats/") + name + "/model.safetensors"));
    REQUIRE(file.find("embeddings.cls_token"));
    for (const auto& entry : file.entries())
      for (const float v : numbers(file, entry)) REQUIRE(std::isfinite(v));
  }
}

TEST_CASE("the real weights open at once, and pages can be released") {
  NEEDS_SHARED("weights/dinov2_vits14/dinov2_vits14_pretrain.pth");
  const auto path = test::shared("weights/dinov2_vits14/dinov2_vits14_pretrain.pth");
  TensorFile::open(path);  // brings the few pages it looks at from disk
  const auto start = std::chrono::steady_clock::now();
  const auto file = TensorFile::open(path);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::milliseconds(100));
  CHECK(file.entries().size() == 175);
  std::size_t count = 0;
  for (const auto& entry : file.entries()) {
    count += entry.size();
    CHECK(entry.dtype == DType::f32);
  }
  CHECK(count == 22056576);
  const auto& weight = *file.find("blocks.11.mlp.fc1.weight");
  CHECK(weight.shape == std::vector<std::size_t>{1536, 384});
  const auto before = numbers(file, weight);
  file.release(weight);
  CHECK(numbers(file, weight) == before);
}

TEST_CASE("the real LoRA files agree in both formats") {
  NEEDS_SHARED("weights/dinov2_vitl14_lora_heads/large_voc_lora.pt");
  for (const char* name : {"large_voc_lora", "large_ade20k_lora", "large_voc_no_lora", "large_ade20k_no_lora"}) {
    const auto stem = std::string("weights/dinov2_vitl14_lora_heads/") + name;
    const auto torch = TensorFile::open(test::shared(stem + ".pt"));
    const auto safe = TensorFile::open(test::shared(stem + ".safetensors"));
    REQUIRE(torch.entries().size() == safe.entries().size());
    for (const auto& entry : safe.entries()) {
      REQUIRE(torch.find(entry.name));
      CHECK(torch.find(entry.name)->shape == entry.shape);
      CHECK(numbers(torch, *torch.find(entry.name)) == numbers(safe, entry));
    }
  }
}

TEST_CASE("bytes in memory are read as a file is") {
  const test::TemporaryFolder folder;
  const std::vector<float> values{1, -2, 0.5f};
  const std::vector<vt::io::NamedTensor> tensors{{"a", {3}, std::span<const float>(values)}};
  vt::io::write_safetensors(folder / "a.safetensors", tensors, {{"who", "me"}});
  std::ifstream in(folder / "a.safetensors", std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(in), {}};
  const auto view = [&] { return std::as_bytes(std::span<const char>(bytes)); };
  const auto file = TensorFile::of_bytes(view(), "carried");
  CHECK(file.path() == "carried");
  CHECK(file.metadata().at("who") == "me");
  REQUIRE(file.find("a"));
  CHECK(numbers(file, *file.find("a")) == values);
  file.release(*file.find("a"));  // there is nothing to release
  CHECK(numbers(file, *file.find("a")) == values);
  bytes.resize(bytes.size() - 1);
  CHECK_THROWS_WITH(TensorFile::of_bytes(view(), "carried"), Catch::Contains("carried"));
  bytes.clear();
  CHECK_THROWS_AS(TensorFile::of_bytes(view(), "carried"), vt::FormatError);
}
