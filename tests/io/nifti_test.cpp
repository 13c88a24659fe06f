// NIfTI: files written byte by byte in every form, files that lie, masks written back, nibabel's values of its samples.
#include <vitals/io/nifti.hpp>
#include <vitals/io/orientation.hpp>

#include <cmath>
#include <fstream>
#include <iterator>
#include <limits>
#include <numeric>
#include <sstream>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include <vitals/core/error.hpp>
#include <vitals/core/sha256.hpp>
#include <vitals/io/csv.hpp>

#include "archives.hpp"
#include "nifti.hpp"
#include "paths.hpp"

namespace vt = vitals;
using Catch::Matchers::Contains;
using test::Nifti;
using vt::io::DType;

namespace {

const test::TemporaryFolder folder;
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

std::vector<double> counted(std::size_t n, double first = 0) {
  std::vector<double> numbers(n);
  std::iota(numbers.begin(), numbers.end(), first);
  return numbers;
}
Nifti with_data(Nifti file = {}) {
  file.data = test::packed<std::int16_t>(counted(24, -3));
  return file;
}
std::filesystem::path saved(const std::string& bytes, const std::string& name = "a.nii") {
  test::save(folder / name, bytes);
  return folder / name;
}
vt::io::Volume read(const Nifti& file) { return vt::io::read_nifti(saved(file.bytes())); }
template <class E>
void refused(const std::string& bytes, const std::string& word) {
  const auto file = saved(bytes, "bad.nii");
  CHECK_THROWS_AS(vt::io::read_nifti(file), E);
  CHECK_THROWS_WITH(vt::io::read_nifti(file), Contains(word) && Contains("bad.nii"));
}
std::string content(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
vt::io::LabelVolume labels(std::size_t x, std::size_t y, std::size_t z) {
  vt::io::LabelVolume volume;
  volume.values = vt::Tensor<std::uint8_t, vt::dyn, vt::dyn, vt::dyn>({x, y, z});
  for (std::size_t n = 0; n < volume.values.size(); ++n)
    volume.values.data()[n] = static_cast<std::uint8_t>(n * 7 % 251);
  return volume;
}

}  // namespace

TEST_CASE("Both versions, both byte orders, compressed or not: the same volume") {
  for (const int version : {1, 2})
    for (const bool big : {false, true})
      for (const bool gz : {false, true}) {
        Nifti file = with_data();
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
        CHECK(stored.to_double() == counted(24, -3));
      }
}

TEST_CASE("Every type of number") {
  const auto check = [](auto kind, int code, DType dtype) {
    using T = decltype(kind);
    for (const bool big : {false, true}) {
      Nifti file;
      file.datatype = code, file.bitpix = 8 * sizeof(T), file.big_endian = big;
      file.data = test::packed<T>(counted(24, std::is_signed_v<T> ? -5 : 100));
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
  Nifti file = with_data();
  file.slope = 0.5, file.intercept = -10;
  CHECK(read(file).values(1, 2, 3) == 0);
  CHECK(read(file).values(0, 0, 0) == -11.5f);
  for (const double none : {0.0, not_a_number, double(INFINITY)}) {
    file.slope = none;
    CHECK(read(file).values(1, 2, 3) == 20);
    CHECK(vt::io::read_nifti_header(folder / "a.nii").slope == 1);
  }
  file.slope = 2, file.intercept = not_a_number;
  refused<vt::FormatError>(file.bytes(), "intercept");
  file.intercept = 0, file.slope = 3e38;
  CHECK(read(file).values(1, 2, 3) == INFINITY);
}

TEST_CASE("The affine: sform, else qform, else the spacing as nibabel has it") {
  Nifti file = with_data();
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
  file.data = test::packed<std::int16_t>(counted(48));
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

TEST_CASE("Headers that lie are refused with the reason") {
  const auto changed = [](auto change) {
    Nifti file = with_data();
    change(file);
    return file.bytes();
  };
  refused<vt::FormatError>(changed([](Nifti& f) { f.srow[1][2] = not_a_number; }), "NaN");
  refused<vt::FormatError>(changed([](Nifti& f) { f.srow[0][0] = 0; }), "spacing of 0");
  refused<vt::FormatError>(changed([](Nifti& f) {
                             f.srow = {{{2, 4, 0, 0}, {1, 2, 0, 0}, {0, 0, 3, 0}}};
                           }),
                           "in a plane");
  refused<vt::FormatError>(changed([](Nifti& f) { f.sform = 0, f.pixdim[2] = 0; }), "spacing of 0");
  refused<vt::FormatError>(changed([](Nifti& f) { f.sform = 0, f.pixdim[2] = not_a_number; }), "spacing of");
  refused<vt::FormatError>(changed([](Nifti& f) { f.sform = 0, f.qform = 1, f.quaternion[0] = 2; }), "quaternion");
  refused<vt::FormatError>(changed([](Nifti& f) { f.dims = {30000, 30000, 30000}; }), "2^31");
  refused<vt::FormatError>(changed([](Nifti& f) { f.dims = {300, 300, 300}; }), "more than the file can hold");
  refused<vt::FormatError>(changed([](Nifti& f) { f.dims = {2, -3, 4}; }), "dimension of -3");
  refused<vt::FormatError>(changed([](Nifti& f) { f.dims = {2, 0, 4}; }), "dimension of 0");
  refused<vt::FormatError>(changed([](Nifti& f) {
                             f.version = 2, f.dims = {2, 3, 4, std::int64_t{1} << 62, std::int64_t{1} << 62};
                           }),
                           "dimension");
  refused<vt::FormatError>(changed([](Nifti& f) { f.datatype = 128; }), "data type 128");
  refused<vt::FormatError>(changed([](Nifti& f) { f.offset = 100; }), "byte 100");
  refused<vt::FormatError>(changed([](Nifti& f) { f.offset = 1e12; }), "more than the file can hold");
  refused<vt::FormatError>(changed([](Nifti& f) { f.offset = not_a_number; }), "byte -1");
  refused<vt::FormatError>("short", "too short");
  refused<vt::FormatError>(std::string(400, 'x'), "not a NIfTI");
  refused<vt::FormatError>("", "too short");
  auto pair = with_data().bytes();
  pair[345] = 'i';
  refused<vt::FormatError>(pair, ".hdr");
  auto dims = with_data().bytes();
  dims[40] = 9;
  refused<vt::FormatError>(dims, "9 dimensions");
  CHECK_THROWS_AS(vt::io::read_nifti(folder / "missing.nii"), vt::IoError);
  CHECK_THROWS_AS(vt::io::read_nifti(folder.path()), vt::IoError);
  // An offset of zero means: behind the header.
  Nifti zero = with_data();
  zero.offset = 0;
  CHECK(read(zero).values(1, 2, 3) == 20);
}

TEST_CASE("A file cut short or damaged") {
  const std::string whole = with_data().bytes();
  refused<vt::FormatError>(whole.substr(0, whole.size() - 1), "the file is truncated");
  const std::string packed = test::gzipped(whole);
  refused<vt::FormatError>(packed.substr(0, packed.size() - 20), "ends early");
  refused<vt::FormatError>(packed.substr(0, packed.size() - 3), "ends early");
  std::string checksum = packed;
  checksum[checksum.size() - 6] ^= 1;
  refused<vt::FormatError>(checksum, "damaged");
  // A small stream that claims gigabytes is refused before they are allocated.
  Nifti huge = with_data();
  huge.dims = {1200, 1200, 1200};
  refused<vt::FormatError>(test::gzipped(huge.bytes()), "more than the file can hold");
}

TEST_CASE("Labels are whole numbers 0 to 255, whatever their type") {
  Nifti file;
  file.datatype = 16, file.bitpix = 32;
  file.data = test::packed<float>(counted(24));
  const auto volume = vt::io::read_nifti_labels(saved(file.bytes()));
  CHECK(volume.values(1, 0, 2) == 13);
  const auto bad = [&](double value, const std::string& word) {
    auto numbers = counted(24);
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

TEST_CASE("Turning to each of the 48 orientations and back is exact; nothing moves in the patient") {
  const std::string pairs[3] = {"RL", "AP", "SI"};
  auto volume = labels(3, 4, 5);
  volume.affine = {{{1.9, 0.1, -0.2, 11}, {-0.1, 2.9, 0.3, -22}, {0.25, -0.4, 3.8, 33}}};  // oblique
  CHECK(vt::io::orientation(volume.affine) == "RAS");
  std::size_t count = 0;
  std::array<std::size_t, 3> order{0, 1, 2};
  do {
    for (unsigned flips = 0; flips < 8; ++flips) {
      std::string letters;
      for (std::size_t a = 0; a < 3; ++a) letters += pairs[order[a]][flips >> a & 1];
      const auto turned = vt::io::reoriented(volume, letters);
      CHECK(vt::io::orientation(turned.affine) == letters);
      // The voxel (2, 1, 4) lies where it lay.
      const std::array<std::size_t, 3> at{2, 1, 4};
      std::array<std::size_t, 3> now{};
      for (std::size_t a = 0; a < 3; ++a) {
        const std::size_t n = volume.values.extent(order[a]);
        REQUIRE(turned.values.extent(a) == n);
        now[a] = flips >> a & 1 ? n - 1 - at[order[a]] : at[order[a]];
      }
      CHECK(turned.values(now[0], now[1], now[2]) == volume.values(2, 1, 4));
      for (std::size_t r = 0; r < 3; ++r) {
        double before = volume.affine[r][3], after = turned.affine[r][3];
        for (std::size_t a = 0; a < 3; ++a)
          before += volume.affine[r][a] * double(at[a]), after += turned.affine[r][a] * double(now[a]);
        CHECK(after == Approx(before).margin(1e-12));
      }
      // Through a file, and back.
      vt::io::write_nifti(folder / "turned.nii.gz", turned);
      const auto again = vt::io::read_nifti_labels(folder / "turned.nii.gz");
      CHECK(vt::io::orientation(again.affine) == letters);
      const auto back = vt::io::reoriented(again, "RAS");
      CHECK(std::equal(back.values.begin(), back.values.end(), volume.values.begin(), volume.values.end()));
      for (std::size_t r = 0; r < 3; ++r)
        for (std::size_t c = 0; c < 4; ++c) CHECK(back.affine[r][c] == Approx(volume.affine[r][c]).margin(1e-5));
      // A mask in another orientation comes back on the grid of its image.
      Nifti image;
      image.dims = {3, 4, 5}, image.datatype = 2, image.bitpix = 8, image.srow = volume.affine;
      image.data = std::string(60, '\0');
      vt::io::write_nifti_labels(folder / "mask.nii", turned, saved(image.bytes(), "image.nii"));
      const auto mask = vt::io::read_nifti_labels(folder / "mask.nii");
      CHECK(std::equal(mask.values.begin(), mask.values.end(), volume.values.begin(), volume.values.end()));
      ++count;
    }
  } while (std::next_permutation(order.begin(), order.end()));
  CHECK(count == 48);
  for (const char* wrong : {"RAX", "RRS", "RA", "RASS", "ras", ""})
    CHECK_THROWS_AS(vt::io::reoriented(volume, wrong), vt::ArgumentError);
}

TEST_CASE("A mask takes the geometry of its image, and none of its texts") {
  for (const int version : {1, 2})
    for (const bool big : {false, true}) {
      Nifti image;
      image.version = version, image.big_endian = big;
      image.dims = {2, 3, 4, 2};
      image.data = test::packed<std::int16_t>(counted(48));
      image.slope = 3, image.intercept = 5;
      image.qform = 2, image.sform = 4, image.quaternion = {0, 1, 0, 5, 6, 7}, image.pixdim = {-1, 2, 3, 4, 1, 1, 1, 1};
      image.units = 2 | 8;
      image.description = "DOE^JANE 1970";
      const auto like = saved(image.bytes(), "image.nii");
      auto mask = labels(2, 3, 4);
      mask.affine = vt::io::read_nifti_header(like).affine;
      const auto out = folder / "mask.nii";
      vt::io::write_nifti_labels(out, mask, like);
      const auto header = vt::io::read_nifti_header(out);
      CHECK(header.version == version);
      CHECK(!header.big_endian);
      CHECK(header.dims == std::vector<std::size_t>{2, 3, 4});
      CHECK(header.dtype == DType::u8);
      CHECK(header.slope == 1);
      CHECK(header.qform == 2);
      CHECK(header.sform == 4);
      CHECK(header.affine == mask.affine);
      const auto back = vt::io::read_nifti_labels(out);
      CHECK(std::equal(back.values.begin(), back.values.end(), mask.values.begin(), mask.values.end()));
      // Quaternion, offsets and units, byte by byte: the same file written by hand.
      Nifti expected = image;
      expected.big_endian = false;
      expected.dims = {2, 3, 4}, expected.datatype = 2, expected.bitpix = 8, expected.slope = 1, expected.intercept = 0;
      expected.description.clear();
      expected.data.clear();
      for (std::size_t k = 0; k < 4; ++k)
        for (std::size_t j = 0; j < 3; ++j)
          for (std::size_t i = 0; i < 2; ++i) expected.data += static_cast<char>(mask.values(i, j, k));
      auto bytes = content(out), wanted = expected.bytes();
      REQUIRE(bytes.size() == wanted.size());
      const std::size_t intent = version == 1 ? 68 : 504;
      CHECK(static_cast<unsigned char>(bytes[intent]) + 256 * static_cast<unsigned char>(bytes[intent + 1]) == 1002);
      bytes[intent] = bytes[intent + 1] = 0;
      if (version == 1) bytes[38] = 0;  // `regular`
      CHECK(bytes == wanted);
      CHECK(content(out).find("JANE") == std::string::npos);
    }
}

TEST_CASE("A mask that does not belong to the image is not written") {
  const auto like = saved(with_data().bytes(), "image.nii");
  auto mask = labels(2, 3, 4);
  mask.affine = vt::io::read_nifti_header(like).affine;
  const auto out = folder / "not.nii.gz";
  auto moved = mask;
  moved.affine[0][3] += 1;
  CHECK_THROWS_AS(vt::io::write_nifti_labels(out, moved, like), vt::DataError);
  auto larger = labels(2, 3, 5);
  larger.affine = mask.affine;
  CHECK_THROWS_AS(vt::io::write_nifti_labels(out, larger, like), vt::ShapeError);
  CHECK_THROWS_WITH(vt::io::write_nifti_labels(out, larger, like), Contains("(2, 3, 5)") && Contains("(2, 3, 4)"));
  CHECK_THROWS_AS(vt::io::write_nifti_labels(out, mask, folder / "missing.nii"), vt::IoError);
  CHECK_THROWS_AS(vt::io::write_nifti_labels(folder / "no/such/folder.nii", mask, like), vt::IoError);
  CHECK(!std::filesystem::exists(out));
  vt::io::write_nifti_labels(out, mask, like);
  const auto first = content(out);
  CHECK(first.substr(0, 2) == "\x1f\x8b");
  vt::io::write_nifti_labels(out, mask, like);
  CHECK(content(out) == first);  // no time in it
}

TEST_CASE("A volume by itself: float values and its affine") {
  vt::io::Volume volume;
  volume.values = vt::Tensor<float, vt::dyn, vt::dyn, vt::dyn>({2, 1, 17});
  for (std::size_t n = 0; n < 34; ++n) volume.values.data()[n] = 0.5f * float(n) - 3;
  volume.affine = {{{0, -2, 0, 1}, {1.5, 0, 0, 2}, {0, 0, 3, 3}}};
  vt::io::write_nifti(folder / "v.nii", volume);
  const auto back = vt::io::read_nifti(folder / "v.nii");
  CHECK(std::equal(back.values.begin(), back.values.end(), volume.values.begin(), volume.values.end()));
  CHECK(back.affine == volume.affine);
  // The qform says the same: without the sform the affine stays.
  auto bytes = content(folder / "v.nii");
  CHECK(bytes[252] == 1);
  bytes[254] = 0;
  const auto by_qform = vt::io::read_nifti(saved(bytes)).affine;
  for (std::size_t r = 0; r < 3; ++r)
    for (std::size_t c = 0; c < 4; ++c) CHECK(by_qform[r][c] == Approx(volume.affine[r][c]).margin(1e-6));
  volume.affine[0][1] = not_a_number;
  CHECK_THROWS_AS(vt::io::write_nifti(folder / "w.nii", volume), vt::Error);
  CHECK_THROWS_AS(vt::io::write_nifti(folder / "w.nii", vt::io::Volume{}), vt::ShapeError);
  CHECK(!std::filesystem::exists(folder / "w.nii"));
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
