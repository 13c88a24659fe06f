// features, inspect and lesson 1 from end to end.
#include "program.hpp"

#include <limits>

#include <vitals/io/npy.hpp>
#include <vitals/io/safetensors.hpp>
#include <vitals/io/tensor_file.hpp>

using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
using test::run;

namespace {

std::vector<float> numbers(const vitals::io::TensorFile& file, const std::string& name) {
  const auto* entry = file.find(name);
  if (!entry) throw std::runtime_error("no tensor " + name);
  std::vector<float> out(entry->size());
  file.read(*entry, out);
  return out;
}

std::vector<std::size_t> shape(const vitals::io::TensorFile& file, const std::string& name) {
  const auto* entry = file.find(name);
  return entry ? entry->shape : std::vector<std::size_t>{};
}

using Shape = std::vector<std::size_t>;

}  // namespace

TEST_CASE("features of pictures: every tensor in its shape, the record in the header") {
  test::Study s(5);
  const auto done = run("features", {s / "0.png", s / "1.png", s / "2.png", "--size", "28x42", "--blocks", "2",
                                     "--save-pixels", "--model", "dinov2_vits14_reg", "--batch", "2", "--output",
                                     s / "f.safetensors", "--pca", s / "pca.png"});
  INFO(done.err);
  REQUIRE(done.status == 0);
  CHECK_THAT(done.out, Contains("cls (3, 384)"));
  const auto file = vitals::io::TensorFile::open(s / "f.safetensors");
  CHECK(shape(file, "cls") == Shape{3, 384});
  CHECK(shape(file, "patches") == Shape{3, 6, 384});
  CHECK(shape(file, "registers") == Shape{3, 4, 384});
  CHECK(shape(file, "cls.0") == Shape{3, 384});
  CHECK(shape(file, "patches.1") == Shape{3, 6, 384});
  CHECK(shape(file, "pixels") == Shape{3, 3, 28, 42});
  CHECK(numbers(file, "cls.1") == numbers(file, "cls"));
  CHECK(numbers(file, "patches.1") == numbers(file, "patches"));
  CHECK(numbers(file, "cls.0") != numbers(file, "cls"));
  const auto& m = file.metadata();
  CHECK(m.at("model") == "dinov2_vits14_reg");
  CHECK(m.at("transform") == "dinov2 no-crop");
  CHECK(m.at("size") == "28x42");
  CHECK(m.at("dtype") == "float32");
  CHECK(m.at("positions") == "antialias");
  CHECK(m.at("weights") == "random weights (seed 0)");
  CHECK_THAT(m.at("files"), StartsWith("[\"") && Contains("2.png\"]"));
  CHECK(m.at("version") == "0.1.0");
  CHECK(vitals::io::read_image(s / "pca.png").width() == 42 + 8 + 42);
}

TEST_CASE("pixels given are pixels computed; batch and threads change no bit") {
  test::Study s(5);
  REQUIRE(run("features", {s / "0.png", s / "1.png", s / "2.png", s / "3.png", "--size", "28", "--save-pixels",
                           "--threads", "1", "--output", s / "f.safetensors"})
              .status == 0);
  REQUIRE(run("features",
              {"--input", s / "f.safetensors", "--batch", "3", "--threads", "2", "--output", s / "g.safetensors"})
              .status == 0);
  const auto f = vitals::io::TensorFile::open(s / "f.safetensors"),
             g = vitals::io::TensorFile::open(s / "g.safetensors");
  CHECK(numbers(f, "cls") == numbers(g, "cls"));
  CHECK(numbers(f, "patches") == numbers(g, "patches"));
  CHECK(!g.find("registers"));
  CHECK(!g.find("pixels"));
  CHECK(g.metadata().at("size") == "28");
}

TEST_CASE("what features cannot do is said, and no file is left") {
  test::Study s(5);
  const auto fails = [&](int status, std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--output", s / "o.safetensors"});
    const auto done = run("features", arguments);
    CHECK(done.status == status);
    CHECK(!s.has("o.safetensors"));
    CHECK_THAT(test::last_line(done.err), StartsWith("features: error: "));
    return test::last_line(done.err);
  };
  CHECK_THAT(fails(2, {}), Contains("--input"));
  CHECK_THAT(fails(2, {s / "0.png", "--input", s / "1.png"}), Contains("--input"));
  CHECK_THAT(fails(2, {s / "0.png", "--transform", "paper", "--no-crop"}), Contains("--no-crop"));
  CHECK_THAT(fails(1, {s / "none.png"}), Contains("none.png"));
  CHECK_THAT(fails(1, {s / "manifest.csv", "--size", "28"}), Contains("manifest.csv"));
  CHECK_THAT(fails(1, {s / "0.png", "--size", "100"}), Contains("98 and 112"));
  CHECK_THAT(fails(1, {s / "0.png", "--size", "28", "--blocks", "13"}), Contains("13"));
  std::vector<float> pixels(3 * 28 * 28);
  const auto write = [&](std::vector<std::size_t> shape_of, const char* name = "pixels") {
    const std::vector<vitals::io::NamedTensor> tensors{{name, std::move(shape_of), std::span(pixels)}};
    vitals::io::write_safetensors(s / "in.safetensors", tensors);
  };
  write({1, 3, 28, 28}, "picture");
  CHECK_THAT(fails(1, {"--input", s / "in.safetensors"}), Contains("no tensor `pixels`"));
  write({3, 1, 28, 28});
  CHECK_THAT(fails(1, {"--input", s / "in.safetensors"}), Contains("(3, 1, 28, 28)"));
  write({1, 3, 56, 14});
  CHECK_THAT(run("features", {"--input", s / "in.safetensors", "--output", s / "ok.safetensors"}).out,
             Contains("patches (1, 4, 192)"));
  write({1, 3, 49, 16});
  CHECK_THAT(fails(1, {"--input", s / "in.safetensors"}), Contains("42") && Contains("56"));
  pixels[77] = std::numeric_limits<float>::quiet_NaN();
  write({1, 3, 28, 28});
  CHECK_THAT(fails(1, {"--input", s / "in.safetensors"}), Contains("NaN") && Contains("image 0"));
}

TEST_CASE("inspect: a picture and its stored values") {
  test::Study s(1);
  vitals::Tensor<std::uint8_t, vitals::dyn, vitals::dyn, vitals::dyn> pixels({2, 3, 1});
  for (std::size_t i = 0; i < 6; ++i) pixels.data()[i] = static_cast<std::uint8_t>(10 * i);
  vitals::io::write_png(s / "x.png", pixels);
  const auto done = run("inspect", {s / "x.png", "--export", s / "x.npy"});
  INFO(done.err);
  REQUIRE(done.status == 0);
  CHECK_THAT(done.out, Contains("2 x 3") && Contains("grey") && Contains("uint8") && Contains("0 to 50"));
  const auto array = vitals::io::read_npy(s / "x.npy");
  CHECK(array.shape == Shape{2, 3});
  CHECK(array.to_double() == std::vector<double>{0, 10, 20, 30, 40, 50});
}

TEST_CASE("inspect: tensors, and that a file is no known one") {
  test::Study s(1);
  std::vector<float> four{1, 2, 3, 4};
  const std::vector<vitals::io::NamedTensor> tensors{{"layer.weight", {2, 2}, std::span(four)}};
  vitals::io::write_safetensors(s / "t.safetensors", tensors, {{"made", "by hand"}});
  const auto done = run("inspect", {s / "t.safetensors"});
  REQUIRE(done.status == 0);
  CHECK_THAT(done.out, Contains("layer.weight  float32  (2, 2)") && Contains("metadata made: by hand") &&
                           Contains("preset: none"));
  for (const char* file : {"manifest.csv", "none"}) {
    const auto failed = run("inspect", {s / file});
    CHECK(failed.status == 1);
    CHECK_THAT(failed.err, StartsWith("inspect: error: ") && Contains(file));
  }
  CHECK(run("inspect", {}).status == 2);
  CHECK(run("inspect", {s / "t.safetensors", "--export", s / "x.npy"}).status == 2);
}

TEST_CASE("the real checkpoint: inspect knows it, a wrong --model is told the right one, lesson 1 prints its CLS") {
  NEEDS_SHARED("weights/dinov2_vits14/dinov2_vits14_pretrain.pth");
  const auto weights = test::shared("weights/dinov2_vits14/dinov2_vits14_pretrain.pth").string();
  test::Study s(2);
  const auto seen = run("inspect", {weights});
  REQUIRE(seen.status == 0);
  CHECK_THAT(seen.out,
             Contains("preset: dinov2_vits14\n") && Contains("naming: facebook") && Contains("numbers: 22056576"));
  const auto wrong =
      run("features", {s / "0.png", "--weights", weights, "--model", "dinov2_vitb14", "--output", s / "o.safetensors"});
  CHECK(wrong.status == 1);
  CHECK_THAT(wrong.err, Contains("give --model dinov2_vits14"));
  const auto lesson = run("01_features", {weights, s / "0.png"});
  REQUIRE(lesson.status == 0);
  REQUIRE(run("features", {s / "0.png", "--weights", weights, "--output", s / "o.safetensors"}).status == 0);
  const auto cls = numbers(vitals::io::TensorFile::open(s / "o.safetensors"), "cls");
  CHECK(std::stof(lesson.out) == Approx(cls[0]).epsilon(1e-4));
}
