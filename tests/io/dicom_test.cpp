// DICOM: files written element by element, files that lie, windows and colours by hand, series, and pydicom's samples.
#include <vitals/io/dicom.hpp>
#include <vitals/io/dicom_series.hpp>
#include <vitals/io/orientation.hpp>

#include <atomic>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include <vitals/core/error.hpp>
#include <vitals/core/sha256.hpp>

#include "archives.hpp"
#include "dicom.hpp"
#include "paths.hpp"

namespace vt = vitals;
using Catch::Matchers::Contains;
using test::Dicom;
using test::grey_dicom;
using vt::io::DicomView;
using vt::io::DType;

namespace {

const test::TemporaryFolder folder;

std::filesystem::path saved(const std::string& bytes, const std::string& name = "a.dcm") {
  test::save(folder / name, bytes);
  return folder / name;
}
std::vector<double> stored(const Dicom& d) { return vt::io::read_dicom_stored(saved(d.bytes())).to_double(); }
std::vector<float> grey(const Dicom& d, const DicomView& view = {}) {
  const auto image = vt::io::read_dicom(saved(d.bytes()), view);
  const auto& pixels = std::get<vt::Tensor<float, vt::dyn, vt::dyn, vt::dyn>>(image.pixels);
  return {pixels.begin(), pixels.end()};
}
std::vector<int> colour(const Dicom& d) {
  const auto image = vt::io::read_dicom(saved(d.bytes()));
  const auto& pixels = std::get<vt::Tensor<std::uint8_t, vt::dyn, vt::dyn, vt::dyn>>(image.pixels);
  return {pixels.begin(), pixels.end()};
}
std::string message(const std::filesystem::path& file) {
  try {
    vt::io::read_dicom(file);
  } catch (const vt::Error& error) {
    return error.what();
  }
  return "no error";
}
void refused(const std::string& bytes, const std::string& word) {
  const auto file = saved(bytes, "bad.dcm");
  CHECK_THROWS_AS(vt::io::read_dicom_stored(file), vt::FormatError);
  CHECK_THROWS_WITH(vt::io::read_dicom_stored(file), Contains(word) && Contains("bad.dcm"));
}
Dicom rgb(const std::string& photometric, const std::string& bytes) {
  Dicom d = grey_dicom();
  d.text(0x00280004, "CS", photometric).shorts(0x00280002, {3}).shorts(0x00280010, {1}).shorts(0x00280011, {2});
  d.shorts(0x00280100, {8}).shorts(0x00280101, {8}).shorts(0x00280102, {7}).shorts(0x00280006, {0});
  return d.raw(0x7fe00010, "OB", bytes);
}
const DicomView values{.rule = DicomView::Window::none};

}  // namespace

TEST_CASE("Implicit and explicit, both byte orders, with and without a head: the same numbers") {
  const std::vector<double> expected{1, 2, 300, 40000, 5, 65535};
  const std::vector<int> numbers{1, 2, 300, 40000, 5, 65535};
  for (int form = 0; form < 5; ++form) {
    Dicom d = grey_dicom(numbers, form == 1, form != 2 && form != 3);
    if (form == 3) d.preamble = false, d.syntax.clear();
    if (form == 4) d.preamble = false;
    CHECK(stored(d) == expected);
    CHECK(vt::io::is_dicom(folder / "a.dcm"));
    const auto array = vt::io::read_dicom_stored(folder / "a.dcm");
    CHECK(array.shape == std::vector<std::size_t>{3, 2});
    CHECK(array.dtype == DType::u16);
    const auto header = vt::io::read_dicom_header(folder / "a.dcm");
    CHECK(header.rows == 3);
    CHECK(header.columns == 2);
    CHECK(header.modality == "CT");
    CHECK(header.spacing == std::array<double, 2>{0, 0});
    CHECK(!header.affine);
  }
  CHECK(!vt::io::is_dicom(saved("a picture of something else", "x.txt")));
}

TEST_CASE("Twelve signed bits in sixteen: what stands above them does not count") {
  Dicom d = grey_dicom({0x0fff, 0x8001, 0xf7ff, 0x0800, 0x07ff, 0xf000});
  d.shorts(0x00280101, {12}).shorts(0x00280102, {11}).shorts(0x00280103, {1});
  CHECK(stored(d) == std::vector<double>{-1, 1, 2047, -2048, 2047, 0});
  d.shorts(0x00280102, {15});  // the bits at the top
  CHECK(stored(d) == std::vector<double>{255, -2048, -129, 128, 127, -256});
}

TEST_CASE("Rescale, a modality table, the window, MONOCHROME1") {
  Dicom d = grey_dicom({0, 10, 20, 30, 40, 50});
  d.text(0x00281052, "DS", "-20").text(0x00281053, "DS", "2");
  CHECK(grey(d, values) == std::vector<float>{-20, 0, 20, 40, 60, 80});
  // No window: smallest to largest.
  CHECK(grey(d) == std::vector<float>{0, 51, 102, 153, 204, 255});
  d.text(0x00281050, "DS", "30\\1").text(0x00281051, "DS", "41\\2");
  // LINEAR: 255 ((x - 29.5) / 40 + 1/2), black to 9.5, white above 49.5.
  const auto linear = grey(d);
  CHECK(linear[1] == 0);
  CHECK(linear[2] == Approx(255 * (-9.5 / 40 + 0.5)));
  CHECK(linear[3] == Approx(255 * (10.5 / 40 + 0.5)));
  CHECK(linear[4] == 255);
  d.text(0x00281056, "CS", "LINEAR_EXACT");
  CHECK(grey(d)[2] == Approx(255 * (-10.0 / 41 + 0.5)));
  CHECK(grey(d)[4] == 255);
  d.text(0x00281056, "CS", "SIGMOID");
  CHECK(grey(d)[2] == Approx(255 / (1 + std::exp(40.0 / 41))));
  const auto header = vt::io::read_dicom_header(folder / "a.dcm");
  CHECK(header.windows.size() == 2);
  CHECK(header.window_function == "SIGMOID");
  CHECK(header.slope == 2);
  CHECK(header.intercept == -20);
  d.text(0x00280004, "CS", "MONOCHROME1").text(0x00281056, "CS", "LINEAR_EXACT");
  CHECK(grey(d)[2] == Approx(255 - 255 * (-10.0 / 41 + 0.5)));
  CHECK(grey(d, {.rule = DicomView::Window::given, .window = {30, 60}})[3] == Approx(255 - 255 * (10.0 / 60 + 0.5)));
  CHECK(grey(d, values)[3] == 40);  // values are not turned
  CHECK_THROWS_AS(grey(d, {.rule = DicomView::Window::given, .window = {30, 0}}), vt::ArgumentError);
  CHECK_THROWS_AS(grey(d, {.frame = 1}), vt::ArgumentError);
  // A table of three values from 10 on; what lies outside takes the nearest.
  Dicom table;
  table.shorts(0x00283002, {3, 10, 16}).shorts(0x00283006, {100, 200, 300}, "OW");
  Dicom t = grey_dicom({0, 10, 11, 12, 13, 60000});
  t.sequence(0x00283000, table);
  CHECK(grey(t, values) == std::vector<float>{100, 100, 200, 300, 300, 300});
  t.text(0x00281053, "DS", "NaN").remove(0x00283000);
  CHECK_THROWS_AS(grey(t, values), vt::FormatError);
}

TEST_CASE("Colours: RGB, planes, YBR, subsampled YBR, palettes") {
  CHECK(colour(rgb("RGB", "\x01\x02\x03\x04\x05\x06")) == std::vector<int>{1, 2, 3, 4, 5, 6});
  Dicom planes = rgb("RGB", "\x01\x02\x03\x04\x05\x06");
  planes.shorts(0x00280006, {1});
  CHECK(colour(planes) == std::vector<int>{1, 3, 5, 2, 4, 6});
  CHECK(stored(planes) == std::vector<double>{1, 3, 5, 2, 4, 6});
  // Pure red is Y 76, Cb 85, Cr 255 (76.2, 85.0, 255.5).
  const std::string ybr{'\x4c', '\x55', '\xff', '\x80', '\x80', '\x80'};
  CHECK(colour(rgb("YBR_FULL", ybr)) == std::vector<int>{254, 0, 0, 128, 128, 128});
  CHECK(stored(rgb("YBR_FULL", ybr)) == std::vector<double>{76, 85, 255, 128, 128, 128});
  const std::string halved{'\x4c', '\x32', '\x55', '\xff'};  // Y Y Cb Cr
  CHECK(stored(rgb("YBR_FULL_422", halved)) == std::vector<double>{76, 85, 255, 50, 85, 255});
  Dicom palette = grey_dicom();
  palette.text(0x00280004, "CS", "PALETTE COLOR")
      .shorts(0x00280100, {8})
      .shorts(0x00280101, {8})
      .shorts(0x00280102, {7});
  palette.shorts(0x00281101, {2, 1, 16}).shorts(0x00281102, {2, 1, 16}).shorts(0x00281103, {2, 1, 16});
  palette.shorts(0x00281201, {0x1000, 0x2000}, "OW").shorts(0x00281202, {0x3000, 0x4000}, "OW");
  palette.shorts(0x00281203, {5, 6}, "OW").raw(0x7fe00010, "OB", std::string("\0\1\2\3\1\2", 6));
  CHECK(colour(palette) == std::vector<int>{16, 48, 5, 16, 48, 5, 32, 64, 6, 32, 64, 6, 16, 48, 5, 32, 64, 6});
  CHECK(stored(palette) == std::vector<double>{0, 1, 2, 3, 1, 2});
  palette.shorts(0x00281201, {1}, "OW");
  CHECK_THROWS_AS(colour(palette), vt::FormatError);
}

TEST_CASE("Frames, one-bit pixels, run lengths") {
  Dicom d = grey_dicom({0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15});
  d.text(0x00280008, "IS", "2");
  CHECK(vt::io::read_dicom_stored(saved(d.bytes())).shape == std::vector<std::size_t>{2, 3, 2});
  DicomView second = values;
  second.frame = 1;
  CHECK(grey(d, second) == std::vector<float>{10, 11, 12, 13, 14, 15});
  const auto volume = vt::io::read_dicom_volume(saved(d.bytes()));
  CHECK(volume.values.shape() == std::array<std::size_t, 3>{2, 3, 2});
  CHECK(volume.values(1, 2, 0) == 5);
  CHECK(volume.values(0, 1, 1) == 12);
  Dicom bits = grey_dicom();
  bits.shorts(0x00280100, {1}).shorts(0x00280101, {1}).shorts(0x00280102, {0}).text(0x00280008, "IS", "2");
  bits.raw(0x7fe00010, "OB", std::string("\x71\x0a", 2));  // 12 bits: 100011 101010 from the lowest on
  CHECK(stored(bits) == std::vector<double>{1, 0, 0, 0, 1, 1, 1, 0, 0, 1, 0, 1});
  // Two bytes a number: first all high bytes, a run of six 1, then the low ones as they are.
  const auto head = [](const std::string& segments, std::uint32_t second_at) {
    return test::le32(2) + test::le32(64) + test::le32(second_at) + std::string(52, '\0') + segments;
  };
  Dicom rle = grey_dicom();
  rle.syntax = "1.2.840.10008.1.2.5";
  const std::string segments("\xfb\x01\x05\x0a\x0b\x0c\x0d\x0e\x0f", 9);
  rle.fragments({head(segments, 66)});
  CHECK(stored(rle) == std::vector<double>{266, 267, 268, 269, 270, 271});
  const auto bad = [&](const std::string& stream, const std::string& word) {
    Dicom copy = grey_dicom();
    copy.syntax = rle.syntax;
    copy.fragments({stream});
    refused(copy.bytes(), word);
  };
  bad(head(segments, 1000), "outside");
  bad(head(segments.substr(0, 5), 66), "beyond its segment");
  bad(head(std::string("\xfb\x01\x00\x0a", 4), 66), "end early");
  bad(test::le32(3) + std::string(70, '\0'), "head");
}

TEST_CASE("Where a picture lies: LPS to RAS") {
  Dicom d = grey_dicom();
  d.text(0x00200032, "DS", "10\\20\\30").text(0x00200037, "DS", "1\\0\\0\\0\\1\\0").text(0x00280030, "DS", "0.5\\0.25");
  d.text(0x00180050, "DS", "3");
  const auto header = vt::io::read_dicom_header(saved(d.bytes()));
  CHECK(header.spacing == std::array<double, 2>{0.5, 0.25});
  REQUIRE(header.affine);
  CHECK(*header.affine == vt::io::Affine{{{-0.25, 0, 0, -10}, {0, -0.5, 0, -20}, {0, 0, 3, 30}}});
  CHECK(vt::io::orientation(*header.affine) == "LPS");
  CHECK(vt::io::read_dicom_volume(folder / "a.dcm").affine == *header.affine);
  d.text(0x00200037, "DS", "1\\0\\0\\1\\0\\0");  // no plane
  CHECK(!vt::io::read_dicom_header(saved(d.bytes())).affine);
}

TEST_CASE("Files that lie are refused") {
  refused("", "not a DICOM");
  refused("some text that is long enough to be looked at, but it is no picture of any kind", "not a DICOM");
  refused(grey_dicom().remove(0x7fe00010).bytes(), "no picture");
  refused(grey_dicom().remove(0x00280010).bytes(), "rows");
  refused(grey_dicom().shorts(0x00280010, {0}).bytes(), "0 x 2");
  refused(grey_dicom().shorts(0x00280010, {65535}).shorts(0x00280011, {65535}).bytes(), "2^28");
  refused(grey_dicom().shorts(0x00280010, {300}).bytes(), "bytes");
  refused(grey_dicom().text(0x00280008, "IS", "1000000").bytes(), "bytes");
  refused(grey_dicom().text(0x00280008, "IS", "-1").bytes(), "frames");
  refused(grey_dicom().text(0x00280008, "IS", "many").bytes(), "frames");
  refused(grey_dicom().shorts(0x00280100, {24}).bytes(), "24 bits");
  refused(grey_dicom().shorts(0x00280101, {17}).bytes(), "bits stored");
  refused(grey_dicom().shorts(0x00280102, {3}).bytes(), "bits stored");
  refused(grey_dicom().shorts(0x00280002, {4}).bytes(), "4 samples");
  Dicom other = grey_dicom();
  other.syntax = "1.2.840.10008.1.2.4.100";
  refused(other.bytes(), "1.2.840.10008.1.2.4.100");
  other.syntax = "1.2.840.10008.1.2.4.90";
  refused(other.bytes(), "plain pixels");
  const auto whole = grey_dicom().bytes();
  refused(whole.substr(0, whole.size() - 1), "beyond the end");
  refused(whole.substr(0, 200), "");
  for (const char* syntax : {"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90"}) {
    Dicom d = grey_dicom();
    d.syntax = syntax;
    d.fragments({"no stream of any codec"});
    refused(d.bytes(), "no proper head");
  }
  CHECK_THROWS_AS(vt::io::read_dicom_header(folder / "missing.dcm"), vt::IoError);
}

TEST_CASE(
    "A series: sorted along the normal; mixed, doubled and missing slices are told by their files, not by a patient") {
  const auto slice = [](int k, double y = 0, const char* series = "1.2.3") {
    Dicom d = grey_dicom({k, 1, 2, 3, 4, 10 + k});
    d.text(0x0020000e, "UI", series).text(0x00280030, "DS", "2\\1").text(0x00200037, "DS", "1\\0\\0\\0\\1\\0");
    d.text(0x00200032, "DS", "5\\" + std::to_string(y) + "\\" + std::to_string(2.5 * k));
    return d.bytes();
  };
  const test::TemporaryFolder set;
  const int order[] = {3, 0, 4, 1, 2};
  for (int n = 0; n < 5; ++n) test::save(set / ("slice" + std::to_string(n) + ".dcm"), slice(order[n]));
  test::save(set / "README.txt", "not a slice");
  const auto series = vt::io::read_dicom_series(set.path());
  REQUIRE(series.volume.values.shape() == std::array<std::size_t, 3>{2, 3, 5});
  for (std::size_t k = 0; k < 5; ++k) {
    CHECK(series.volume.values(0, 0, k) == float(k));
    CHECK(series.volume.values(1, 2, k) == float(10 + k));
  }
  CHECK(series.files[0].filename() == "slice1.dcm");
  CHECK(series.volume.affine == vt::io::Affine{{{-1, 0, 0, -5}, {0, -2, 0, 0}, {0, 0, 2.5, 0}}});
  const auto says = [&](const std::string& word) {
    CHECK_THROWS_AS(vt::io::read_dicom_series(set.path()), vt::DataError);
    CHECK_THROWS_WITH(vt::io::read_dicom_series(set.path()),
                      Contains(word) && !Contains("QUXLEY") && !Contains("998877") && !Contains("1.2.3"));
  };
  test::save(set / "slice9.dcm", slice(5, 0, "1.2.3.4"));
  says("'slice9.dcm' is of another series");
  test::save(set / "slice9.dcm", slice(2));
  says("two slices at one position: 'slice4.dcm' and 'slice9.dcm'");
  test::save(set / "slice9.dcm", slice(6));
  says("uneven gaps");
  test::save(set / "slice9.dcm", slice(5, 7));
  says("do not lie along a line");
  test::save(set / "slice9.dcm", grey_dicom().bytes());
  CHECK_THROWS_WITH(vt::io::read_dicom_series(set.path()), Contains("slice9.dcm") && Contains("position"));
  std::filesystem::remove(set / "slice9.dcm");
  std::filesystem::remove(set / "slice4.dcm");
  says("a slice is missing");
  CHECK_THROWS_AS(vt::io::read_dicom_series(set / "none"), vt::IoError);
  const test::TemporaryFolder empty;
  CHECK_THROWS_AS(vt::io::read_dicom_series(empty.path()), vt::DataError);
}

// GDCM's libjpeg writes down what it does not like. That is not for the user's screen; what this program writes meanwhile is.
TEST_CASE("Damaged JPEG is refused, without a word on the standard error but our own") {
  std::ifstream in(test::data("images/grey_38x27.jpg"), std::ios::binary);
  const std::string jpeg{std::istreambuf_iterator<char>(in), {}};
  REQUIRE(jpeg.size() == 744);
  const auto with_byte = [&](std::size_t at, char value) {
    Dicom d = grey_dicom();
    d.syntax = "1.2.840.10008.1.2.4.50";
    d.shorts(0x00280010, {27}).shorts(0x00280011, {38}).shorts(0x00280006, {0});
    d.shorts(0x00280100, {8}).shorts(0x00280101, {8}).shorts(0x00280102, {7});
    std::string changed = jpeg;
    changed[at] = value;
    d.fragments({changed});
    return saved(d.bytes(), std::to_string(at) + ".dcm");
  };
  const auto sound = with_byte(0, jpeg[0]);
  CHECK(vt::io::read_dicom_stored(sound).shape == std::vector<std::size_t>{27, 38});
  // The number of a Huffman table; a length of code, after which bytes are left over.
  const std::vector<std::filesystem::path> damaged = {with_byte(139, char(jpeg[139] ^ 0x80)),
                                                      with_byte(160, char(jpeg[160] ^ 0x80))};
  const auto log = folder / "stderr.txt";
  const int kept = ::dup(STDERR_FILENO), to = ::open(log.c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0600);
  REQUIRE((kept >= 0 && to >= 0));
  ::dup2(to, STDERR_FILENO);
  std::atomic<bool> done{false};
  std::thread writer([&] {
    do std::fputs("o", stderr);
    while (!done);
  });
  std::size_t refused = 0;
  for (int i = 0; i < 20; ++i) {
    try {
      vt::io::read_dicom_stored(damaged[static_cast<std::size_t>(i % 2)]);
    } catch (const vt::FormatError&) {
      ++refused;
    }
  }
  done = true;
  writer.join();
  ::dup2(kept, STDERR_FILENO);
  ::close(kept);
  ::close(to);
  CHECK(refused == 20);
  std::ifstream written(log);
  const std::string text{std::istreambuf_iterator<char>(written), {}};
  CHECK(!text.empty());
  CHECK(text == std::string(text.size(), 'o'));
}

TEST_CASE("No name and number of a patient in any error") {
  const auto whole = grey_dicom().bytes();
  REQUIRE(whole.find("QUXLEY") != std::string::npos);
  for (std::size_t cut = 132; cut < whole.size(); ++cut) {
    const auto text = message(saved(whole.substr(0, cut), "bad.dcm"));
    CHECK((text.find("QUXLEY") == std::string::npos && text.find("998877") == std::string::npos));
    CHECK(text.find("bad.dcm") != std::string::npos);
  }
}

TEST_CASE("pydicom's samples: every stored number of every transfer syntax") {
  NEEDS_SHARED("data/dicom_samples/reference.csv");
  std::ifstream in(test::shared("data/dicom_samples/reference.csv"));
  std::string line;
  std::getline(in, line);
  std::size_t equal = 0, failed = 0;
  while (std::getline(in, line)) {
    std::vector<std::string> field(1);
    bool quoted = false;
    for (const char c : line)
      if (c == '"')
        quoted = !quoted;
      else if (c == ',' && !quoted)
        field.emplace_back();
      else
        field.back() += c;
    REQUIRE(field.size() == 23);
    INFO(field[0]);
    const auto path = test::shared("data/dicom_samples/" + field[0]);
    if (field[22].rfind("ok", 0) != 0) {
      CHECK_THROWS_AS(vt::io::read_dicom_stored(path), vt::FormatError);
      ++failed;
      continue;
    }
    const auto array = vt::io::read_dicom_stored(path);
    std::string shape;
    for (const auto extent : array.shape) shape += (shape.empty() ? "" : "x") + std::to_string(extent);
    CHECK(vt::io::name(array.dtype) == field[16]);
    CHECK(shape == field[17]);
    const auto numbers = array.to_double();
    double sum = 0;
    for (const double v : numbers) sum += v;
    const auto [low, high] = std::minmax_element(numbers.begin(), numbers.end());
    CHECK(*low == std::stod(field[18]));
    CHECK(*high == std::stod(field[19]));
    CHECK(sum / double(numbers.size()) == Approx(std::stod(field[20])).margin(6e-5));
    // Decoders of lossy JPEG differ by a grey level; ours is the one of the reference.
    CHECK(vt::Sha256().update(array.bytes).hex().substr(0, 16) == field[21]);
    const auto image = vt::io::read_dicom(path);
    CHECK(image.height() == std::stoul(field[6]));
    CHECK(image.width() == std::stoul(field[7]));
    CHECK(image.channels() == (field[9] == "3" || field[13] == "PALETTE COLOR" ? 3 : 1));
    ++equal;
  }
  CHECK(equal == 41);
  CHECK(failed == 1);
}

TEST_CASE("A real series, whose file names are not in order") {
  NEEDS_SHARED("data/dicom_series_pgbm003_t1post");
  const auto series = vt::io::read_dicom_series(test::shared("data/dicom_series_pgbm003_t1post"));
  CHECK(series.volume.values.shape() == std::array<std::size_t, 3>{280, 320, 22});
  CHECK(series.files.size() == 22);
  CHECK(vt::io::orientation(series.volume.affine) == "LPS");
  CHECK(series.volume.spacing()[0] == Approx(0.6875));
  CHECK(series.volume.spacing()[2] == Approx(6.5));
  // Neighbours along the stack look alike; by file names they do not.
  const auto difference = [&](std::size_t a, std::size_t b) {
    double sum = 0;
    for (std::size_t i = 0; i < 280; ++i)
      for (std::size_t j = 0; j < 320; ++j)
        sum += std::abs(series.volume.values(i, j, a) - series.volume.values(i, j, b));
    return sum;
  };
  for (std::size_t k = 1; k < 21; ++k) CHECK(difference(k, k + 1) < difference(k, (k + 10) % 22));
}
