// inspect and features of medical files, from end to end; built where NIfTI and DICOM are.
#include "program.hpp"

#include <cmath>

#include <vitals/io/dicom_series.hpp>
#include <vitals/io/nifti.hpp>
#include <vitals/io/npy.hpp>
#include <vitals/io/tensor_file.hpp>

#include "archives.hpp"
#include "dicom.hpp"
#include "nifti.hpp"

using Catch::Matchers::Contains;
using test::run;

namespace {

using Shape = std::vector<std::size_t>;

std::vector<float> numbers_of_pixels(const std::string& file) {
  const auto tensors = vitals::io::TensorFile::open(file);
  const auto* entry = tensors.find("pixels");
  if (!entry) throw std::runtime_error("no tensor pixels");
  std::vector<float> out(entry->size());
  tensors.read(*entry, out);
  return out;
}

}  // namespace

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

TEST_CASE("inspect: a folder is a DICOM series; a slice that is missing is told") {
  const test::TemporaryFolder f;
  const auto slice = [](int k) {
    auto d = test::grey_dicom({k, 1, 2, 3, 4, 10 + k});
    d.text(0x00280030, "DS", "2\\1").text(0x00200037, "DS", "1\\0\\0\\0\\1\\0");
    return d.text(0x00200032, "DS", "5\\0\\" + std::to_string(2.5 * k)).bytes();
  };
  for (const int k : {0, 1, 2, 3}) test::save(f / ("s" + std::to_string(9 - k) + ".dcm"), slice(k));
  const auto done = test::run("inspect", {f.path().string()});
  INFO(done.err);
  REQUIRE(done.status == 0);
  CHECK(
      done.out ==
      "DICOM series, 4 slices from s9.dcm to s6.dcm\nsize: (2, 3, 4) (column, row, slice)\nrange: 0 to 13 (rescaled)\n"
      "spacing: 1 x 2 x 2.5 mm\norientation: LPS\n");
  CHECK(test::run("inspect", {f.path().string(), "--export", (f / "x.npy").string()}).status == 2);
  std::filesystem::remove(f / "s8.dcm");
  const auto missing = test::run("inspect", {f.path().string()});
  CHECK(missing.status == 1);
  CHECK(missing.out.empty());
  CHECK_THAT(missing.err,
             Contains("a slice is missing") && Contains("s9.dcm") && Contains("s7.dcm") && !Contains("QUXLEY"));
}
