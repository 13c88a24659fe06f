// NIfTI read: files written byte by byte in every form, and nibabel's values of its samples.
#include <vitals/io/nifti.hpp>
#include <vitals/io/orientation.hpp>

#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

#include <catch2/catch.hpp>

#include <vitals/core/error.hpp>
#include <vitals/core/sha256.hpp>

#include "nifti_files.hpp"
#include "paths.hpp"

namespace vt = vitals;
using Catch::Matchers::Contains;
using test::Nifti;
using test::folder;
using test::not_a_number;
using test::read;
using test::saved;
using vt::io::DType;

TEST_CASE("Both versions, both byte orders, compressed or not: the same volume") {
  for (const int version : {1, 2})
    for (const bool big : {false, true})
      for (const bool gz : {false, true}) {
        Nifti file = test::counted_nifti();
        file.version = version, file.big_endian = big;
        const auto path = saved(gz ? test::gzipped(file.bytes()) : file.bytes());
        const auto header = vt::io::read_nifti_header(path);
        CHECK(header.version == version);
        CHECK(header.big_endian == big);
        CHECK(header.compressed == gz);
        CHECK(header.dtype == DType::i16);
        CHECK(header.dims == std::vector<std::size_t>{2, 3, 4});
        CHECK(header.frames() == 1);
        const auto volume = vt::io::read_nifti(path);
        REQUIRE(volume.values.shape() == std::array<std::size_t, 3>{2, 3, 4});
        for (std::size_t k = 0; k < 4; ++k)
          for (std::size_t j = 0; j < 3; ++j)
            for (std::size_t i = 0; i < 2; ++i) CHECK(volume.values(i, j, k) == float(i + 2 * j + 6 * k) - 3);
        CHECK(volume.affine == vt::io::Affine{{{-2, 0, 0, 10}, {0, 3, 0, -20}, {0, 0, 4, 30}}});
        CHECK(volume.spacing() == std::array<double, 3>{2, 3, 4});
        const auto stored = vt::io::read_nifti_stored(path);
        CHECK(stored.shape == std::vector<std::size_t>{4, 3, 2});
        CHECK(stored.to_double() == test::counted(24, -3));
      }
}

TEST_CASE("Every type of number") {
  const auto check = [](auto kind, int code, DType dtype) {
    using T = decltype(kind);
    for (const bool big : {false, true}) {
      Nifti file;
      file.datatype = code, file.bitpix = 8 * sizeof(T), file.big_endian = big;
      file.data = test::packed<T>(test::counted(24, std::is_signed_v<T> ? -5 : 100));
      const auto volume = read(file);
      CHECK(vt::io::read_nifti_header(folder / "a.nii").dtype == dtype);
      CHECK(volume.values(1, 2, 3) == (std::is_signed_v<T> ? 18 : 123));
      CHECK(volume.values(0, 1, 0) == (std::is_signed_v<T> ? -3 : 102));
    }
  };
  check(std::uint8_t{}, 2, DType::u8), check(std::int8_t{}, 256, DType::i8);
  check(std::int16_t{}, 4, DType::i16), check(std::uint16_t{}, 512, DType::u16);
  check(std::int32_t{}, 8, DType::i32), check(std::uint32_t{}, 768, DType::u32);
  check(std::int64_t{}, 1024, DType::i64), check(std::uint64_t{}, 1280, DType::u64);
  check(float{}, 16, DType::f32), check(double{}, 64, DType::f64);
}

TEST_CASE("Scaling: slope and intercept, and slopes that mean none") {
  Nifti file = test::counted_nifti();
  file.slope = 0.5, file.intercept = -10;
  CHECK(read(file).values(1, 2, 3) == 0);
  CHECK(read(file).values(0, 0, 0) == -11.5f);
  for (const double none : {0.0, not_a_number, double(INFINITY)}) {
    file.slope = none;
    CHECK(read(file).values(1, 2, 3) == 20);
    CHECK(vt::io::read_nifti_header(folder / "a.nii").slope == 1);
  }
  file.slope = 3e38, file.intercept = 0;
  CHECK(read(file).values(1, 2, 3) == INFINITY);
}

TEST_CASE("The affine: sform, else qform, else the spacing as nibabel has it") {
  Nifti file = test::counted_nifti();
  file.pixdim = {-1, 2, 3, 4, 1, 1, 1, 1};
  file.qform = 1;
  file.quaternion = {0, 0, 1, 5, 6, 7};  // half a turn about z; x and y negated, then z by qfac = -1
  CHECK(read(file).affine[0][3] == 10);  // the sform
  file.sform = 0;
  CHECK(read(file).affine == vt::io::Affine{{{-2, 0, 0, 5}, {0, -3, 0, 6}, {0, 0, -4, 7}}});
  CHECK(vt::io::orientation(read(file).affine) == "LPI");
  file.qform = 0;
  CHECK(read(file).affine == vt::io::Affine{{{-2, 0, 0, 1}, {0, 3, 0, -3}, {0, 0, 4, -6}}});
  file.units = 3;  // microns
  CHECK(read(file).spacing()[0] == Approx(0.002));
  file.units = 1;
  CHECK(read(file).affine[2][3] == -6000);
  file.units = 0;
  file.dims = {6, 4};  // a picture
  CHECK(read(file).values.shape() == std::array<std::size_t, 3>{6, 4, 1});
}

TEST_CASE("Four dimensions want a frame") {
  Nifti file;
  file.dims = {2, 3, 4, 2};
  file.data = test::packed<std::int16_t>(test::counted(48));
  const auto path = saved(file.bytes());
  CHECK_THROWS_AS(vt::io::read_nifti(path), vt::DataError);
  CHECK_THROWS_WITH(vt::io::read_nifti(path), Contains("2 volumes") && Contains("frame"));
  CHECK_THROWS_AS(vt::io::read_nifti(path, 2), vt::ArgumentError);
  CHECK(vt::io::read_nifti(path, 0).values(0, 0, 0) == 0);
  CHECK(vt::io::read_nifti(path, 1).values(1, 2, 3) == 47);
  CHECK(vt::io::read_nifti_labels(path, 1).values(0, 0, 0) == 24);
  file.dims = {2, 3, 4, 1};
  CHECK(read(file).values(1, 2, 3) == 23);
  file.dims = {2, 3, 2, 2, 2};
  CHECK_THROWS_AS(vt::io::read_nifti(saved(file.bytes()), 0), vt::FormatError);
}

// Its planes are read while those before are put in their places.
TEST_CASE("A large volume") {
  Nifti file;
  file.dims = {200, 190, 35};  // two and a bit of the pieces in which it is read
  file.data = test::packed<std::int16_t>(std::vector<double>(200 * 190 * 35));
  const auto number = [](std::size_t i, std::size_t j, std::size_t k) { return (i * 31 + j * 17 + k * 5) % 2000; };
  std::size_t at = 0;
  for (std::size_t k = 0; k < 35; ++k)
    for (std::size_t j = 0; j < 190; ++j)
      for (std::size_t i = 0; i < 200; ++i, at += 2) {
        const auto v = static_cast<std::int16_t>(number(i, j, k));
        std::memcpy(&file.data[at], &v, 2);
      }
  for (const bool gz : {false, true}) {
    const auto volume = vt::io::read_nifti(saved(gz ? test::gzipped(file.bytes()) : file.bytes()));
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < 200; ++i)
      for (std::size_t j = 0; j < 190; ++j)
        for (std::size_t k = 0; k < 35; ++k) wrong += volume.values(i, j, k) != float(number(i, j, k));
    CHECK(wrong == 0);
  }
}

TEST_CASE("Labels are whole numbers 0 to 255, whatever their type") {
  Nifti file;
  file.datatype = 16, file.bitpix = 32;
  file.data = test::packed<float>(test::counted(24));
  const auto volume = vt::io::read_nifti_labels(saved(file.bytes()));
  CHECK(volume.values(1, 0, 2) == 13);
  const auto bad = [&](double value, const std::string& word) {
    auto numbers = test::counted(24);
    numbers[13] = value;
    file.data = test::packed<float>(numbers);
    const auto path = saved(file.bytes(), "bad.nii");
    CHECK_THROWS_AS(vt::io::read_nifti_labels(path), vt::DataError);
    CHECK_THROWS_WITH(vt::io::read_nifti_labels(path), Contains(word) && Contains("(1, 0, 2)") && Contains("bad.nii"));
  };
  bad(0.25, "label of 0.25"), bad(-1, "label of -1"), bad(256, "label of 256"), bad(not_a_number, "label of nan");
  file.data = test::packed<float>(std::vector<double>(24, 10));
  file.slope = 0.1;  // float32's 0.1 times 10 is not 1
  CHECK_THROWS_AS(vt::io::read_nifti_labels(saved(file.bytes())), vt::DataError);
  file.slope = 0.5;
  CHECK(vt::io::read_nifti_labels(saved(file.bytes())).values(0, 0, 0) == 5);
}

TEST_CASE("nibabel's samples: stored bytes, scaled values and affines as nibabel gives them") {
  NEEDS_SHARED("data/nifti_samples/reference.csv");
  std::ifstream in(test::shared("data/nifti_samples/reference.csv"));
  std::string line;
  std::getline(in, line);
  std::size_t files = 0;
  while (std::getline(in, line)) {
    std::vector<std::string> field(1);
    for (const char c : line)
      if (c == ',')
        field.emplace_back();
      else
        field.back() += c;
    REQUIRE(field.size() == 17);
    INFO(field[0]);
    const auto path = test::shared("data/nifti_samples/" + field[0]);
    const auto header = vt::io::read_nifti_header(path);
    std::string shape;
    for (const auto d : header.dims) shape += (shape.empty() ? "" : "x") + std::to_string(d);
    CHECK(shape == field[2]);
    CHECK(header.version == (field[1] == "Nifti2Image" ? 2 : 1));
    CHECK(header.big_endian == (field[4] == ">"));
    CHECK(vt::io::orientation(header.affine) == field[5]);
    CHECK(header.qform == std::stoi(field[6]));
    CHECK(header.sform == std::stoi(field[7]));
    CHECK(header.slope == std::stod(field[9]));
    CHECK(header.intercept == std::stod(field[10]));
    std::istringstream numbers(field[16]);
    for (const auto& row : header.affine)
      for (const double v : row) {
        double expected = 0;
        numbers >> expected;
        CHECK(v == Approx(expected).margin(1e-5).epsilon(1e-5));
      }
    const auto stored = vt::io::read_nifti_stored(path);
    CHECK(vt::Sha256().update(stored.bytes).hex().substr(0, 16) == field[15]);
    std::size_t nans = 0, count = 0;
    double low = INFINITY, high = -INFINITY, sum = 0;
    for (std::size_t frame = 0; frame < header.frames(); ++frame)
      for (const float v : vt::io::read_nifti(path, frame).values) {
        if (std::isnan(v)) {
          ++nans;
          continue;
        }
        low = std::min(low, double(v)), high = std::max(high, double(v)), sum += v, ++count;
      }
    CHECK(nans == std::stoul(field[11]));
    CHECK(low == Approx(std::stod(field[12])).epsilon(1e-7));
    CHECK(high == Approx(std::stod(field[13])).epsilon(1e-7));
    CHECK(sum / double(count) == Approx(std::stod(field[14])).epsilon(1e-7));
    ++files;
  }
  CHECK(files == 6);
}
