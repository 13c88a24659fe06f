// features, inspect and lesson 1 from end to end.
#include "program.hpp"

#include <cmath>
#include <limits>

#include <vitals/io/npy.hpp>
#include <vitals/io/safetensors.hpp>
#include <vitals/io/tensor_file.hpp>

#include "archives.hpp"
#include "dicom.hpp"
#include "nifti.hpp"

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

std::vector<float> numbers_of_pixels(const std::string& file) {
  return numbers(vitals::io::TensorFile::open(file), "pixels");
}

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

TEST_CASE("inspect and features of NIfTI and DICOM: sizes, stored values, no word of the patient") {
  test::Study s(1);
  test::Nifti nifti;
  std::vector<double> numbers(30 * 31 * 4);
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = double(i % 1000);
  nifti.dims = {30, 31, 4}, nifti.data = test::packed<std::int16_t>(numbers), nifti.description = "QUXLEY ZEBEDIAH";
  test::save(s / "v.nii.gz", test::gzipped(nifti.bytes()));
  const auto volume = run("inspect", {s / "v.nii.gz", "--export", s / "v.npy"});
  INFO(volume.err);
  REQUIRE(volume.status == 0);
  CHECK_THAT(volume.out, Contains("NIfTI-1, compressed") && Contains("(30, 31, 4)") && Contains("int16") &&
                             Contains("0 to 999") && Contains("2 x 3 x 4 mm") && Contains("LAS") &&
                             !Contains("QUXLEY"));
  const auto array = vitals::io::read_npy(s / "v.npy");
  CHECK(array.shape == Shape{4, 31, 30});
  CHECK(array.to_double() == numbers);

  std::vector<int> pixels(6);
  for (std::size_t i = 0; i < 6; ++i) pixels[i] = int(i) - 2;
  auto dicom = test::grey_dicom(pixels);
  dicom.shorts(0x00280103, {1})
      .text(0x00280030, "DS", "0.5\\0.25")
      .text(0x00281050, "DS", "1")
      .text(0x00281051, "DS", "8");
  test::save(s / "d", dicom.bytes());
  const auto slice = run("inspect", {s / "d", "--export", s / "d.npy"});
  INFO(slice.err);
  REQUIRE(slice.status == 0);
  CHECK_THAT(slice.out, Contains("DICOM CT") && Contains("3 x 2") && Contains("int16") && Contains("-2 to 3") &&
                            Contains("0.5 x 0.25 mm") && Contains("centre 1, width 8") && !Contains("QUXLEY") &&
                            !Contains("998877"));
  CHECK(vitals::io::read_npy(s / "d.npy").to_double() == std::vector<double>{-2, -1, 0, 1, 2, 3});

  const auto features = [&](std::vector<std::string> more) {
    std::vector<std::string> words{s / "v.nii.gz",  s / "d",    "--size",           "28",
                                   "--save-pixels", "--output", s / "f.safetensors"};
    words.insert(words.end(), more.begin(), more.end());
    return run("features", words);
  };
  REQUIRE(features({}).status == 0);
  const auto middle = numbers_of_pixels(s / "f.safetensors");
  REQUIRE(features({"--axis", "1", "--slice", "0"}).status == 0);
  CHECK(numbers_of_pixels(s / "f.safetensors") != middle);
  const auto file = test::text_of(s / "f.safetensors");
  CHECK(file.find("QUXLEY") == std::string::npos);
  const auto beyond =
      run("features", {s / "v.nii.gz", "--slice", "4", "--size", "28", "--output", s / "f.safetensors"});
  CHECK(beyond.status == 1);
  CHECK_THAT(beyond.err, Contains("--slice 4") && Contains("v.nii.gz"));
  CHECK(features({"--axis", "3"}).status == 2);

  // The middle slice by hand: turned to LPS, from its smallest value to its largest, as a picture.
  vitals::Tensor<std::uint8_t, vitals::dyn, vitals::dyn, vitals::dyn> picture({31, 30, 1});
  double low = 1e9, high = -1e9;
  const auto value = [&](std::size_t i, std::size_t j) { return numbers[(2 * 31 + j) * 30 + i]; };
  for (std::size_t j = 0; j < 31; ++j)
    for (std::size_t i = 0; i < 30; ++i) low = std::min(low, value(i, j)), high = std::max(high, value(i, j));
  for (std::size_t j = 0; j < 31; ++j)
    for (std::size_t i = 0; i < 30; ++i)  // x runs to the left already; y runs to the front and is turned
      picture(30 - j, i, 0) = static_cast<std::uint8_t>(std::lround(255 * (value(i, j) - low) / (high - low)));
  vitals::io::write_png(s / "middle.png", picture);
  REQUIRE(
      run("features", {s / "middle.png", "--size", "28", "--save-pixels", "--output", s / "m.safetensors"}).status ==
      0);
  const auto expected = numbers_of_pixels(s / "m.safetensors");
  REQUIRE(expected.size() * 2 == middle.size());
  for (std::size_t i = 0; i < expected.size(); ++i) CHECK(middle[i] == Approx(expected[i]).margin(0.05));

  test::save(s / "cut.nii", nifti.bytes().substr(0, 5000));
  for (const char* program : {"inspect", "features"}) {
    const auto cut =
        run(program, program[0] == 'i' ? std::vector<std::string>{s / "cut.nii"}
                                       : std::vector<std::string>{s / "cut.nii", "--output", s / "o.safetensors"});
    CHECK(cut.status == 1);
    CHECK_THAT(cut.err, Contains(std::string(program) + ": error: ") && Contains("cut.nii") && Contains("truncated"));
  }
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
