// A thousand NIfTI and a thousand DICOM files with changed bytes: each gives a typed error or a result, and none takes long or
// much memory. Seeds are made here; where ../shared is there its samples join, for they hold what every codec wrote.
#include <vitals/io/dicom.hpp>
#include <vitals/io/nifti.hpp>

#include <chrono>
#include <cmath>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include <vitals/core/error.hpp>
#include <vitals/core/rng.hpp>

#include "archives.hpp"
#include "dicom.hpp"
#include "nifti.hpp"
#include "paths.hpp"

namespace vt = vitals;

// The codecs of GDCM leave by longjmp where a stream is damaged, and what they held is lost: under AddressSanitizer this test
// looks for crashes, not for leaks of theirs.
extern "C" const char* __asan_default_options() { return "detect_leaks=0"; }

namespace {

const test::TemporaryFolder folder;

std::string content(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string int16s(std::size_t n) {
  std::vector<double> numbers(n);
  for (std::size_t i = 0; i < n; ++i) numbers[i] = double(i % 200);
  return test::packed<std::int16_t>(numbers);
}

std::vector<std::string> nifti_seeds() {
  std::vector<std::string> seeds;
  for (const int version : {1, 2})
    for (const bool big : {false, true}) {
      test::Nifti file;
      file.version = version, file.big_endian = big, file.dims = {6, 7, 8}, file.qform = 1, file.data = int16s(336);
      seeds.push_back(file.bytes());
      seeds.push_back(test::gzipped(seeds.back()));
      file.sform = 0;
      seeds.push_back(file.bytes());
    }
  return seeds;
}

std::vector<std::string> dicom_seeds() {
  std::vector<std::string> seeds;
  for (int form = 0; form < 3; ++form) {
    auto d = test::grey_dicom({1, 2, 3, 4, 5, 6}, form == 1, form != 2);
    d.text(0x00281050, "DS", "30").text(0x00281051, "DS", "41").text(0x00281053, "DS", "2").text(0x00281052, "DS", "1");
    d.text(0x00200032, "DS", "10\\20\\30").text(0x00200037, "DS", "1\\0\\0\\0\\1\\0").text(0x00280030, "DS", "2\\1");
    seeds.push_back(d.bytes());
  }
  auto rle = test::grey_dicom();
  rle.syntax = "1.2.840.10008.1.2.5";
  rle.fragments({test::le32(2) + test::le32(64) + test::le32(66) + std::string(52, '\0') +
                 std::string("\xfb\x01\x05\x0a\x0b\x0c\x0d\x0e\x0f", 9)});
  seeds.push_back(rle.bytes());
  test::Dicom table;
  table.shorts(0x00283002, {3, 10, 16}).shorts(0x00283006, {100, 200, 300}, "OW");
  seeds.push_back(test::grey_dicom().sequence(0x00283000, table).bytes());
  return seeds;
}

// Small files of a folder of ../shared; none where it is missing.
void add_samples(std::vector<std::string>& seeds, const std::string& where, std::size_t largest) {
  std::error_code missing;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(test::shared(where), missing))
    if (entry.path().extension() != ".md" && entry.path().extension() != ".csv" && entry.file_size() <= largest)
      files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  for (const auto& file : files) seeds.push_back(content(file));
}

// Changes one to eight bytes, mostly among the first, where headers are; now and then cuts the file or doubles a piece.
// Of JPEG-LS only what stands before the coded pixels: CharLS 2 counts to 2^31 in some damaged run lengths (seconds, then an error).
std::string mutated(std::string bytes, vt::Rng& random) {
  const auto below = [&](std::size_t n) { return n ? static_cast<std::size_t>(random.below(n)) : std::size_t{0}; };
  const std::size_t ls = bytes.find("\xff\xd8\xff\xf7");
  const bool whole = ls == std::string::npos;
  const std::size_t changes = 1 + below(8), most = whole ? bytes.size() : ls + 24;
  const std::size_t head = below(3) ? std::min<std::size_t>(most, 3000) : most;
  for (std::size_t c = 0; c < changes; ++c) {
    const std::size_t at = below(head);
    const char values[] = {
        '\0', '\xff', '\x7f', '\x80', static_cast<char>(below(256)), static_cast<char>(bytes[at] ^ 1 << below(8))};
    bytes[at] = values[below(6)];
  }
  if (whole && below(16) == 0) bytes.resize(below(bytes.size()) + 1);
  if (whole && below(16) == 0) bytes.insert(below(bytes.size()), bytes.substr(below(bytes.size()), 64));
  return bytes;
}

// `read` is called with each of a thousand files; gives how many were results.
template <class Read>
std::size_t thousand(const std::vector<std::string>& seeds, const std::string& name, const Read& read) {
  vt::Rng random(2024);
  std::size_t results = 0;
  double slowest = 0;
  std::size_t slowest_file = 0;
  for (std::size_t n = 0; n < 1000; ++n) {
    const auto& seed = seeds[n % seeds.size()];
    test::save(folder / name, mutated(seed, random));
    const auto start = std::chrono::steady_clock::now();
    try {
      read(folder / name);
      ++results;
    } catch (const vt::Error& error) {
      if (std::string(error.what()).find(name) == std::string::npos) FAIL_CHECK(error.what());
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (seconds > slowest) slowest = seconds, slowest_file = n;
  }
  INFO("file " << slowest_file);
  CHECK(slowest < 5);
  return results;
}

}  // namespace

TEST_CASE("A thousand damaged NIfTI files") {
  auto seeds = nifti_seeds();
  add_samples(seeds, "data/nifti_samples", 100000);
  const auto results = thousand(seeds, "m.nii", [](const std::filesystem::path& file) {
    const auto header = vt::io::read_nifti_header(file);
    const auto volume = vt::io::read_nifti(file, 0);
    if (volume.values.size() > std::size_t{1} << 26) FAIL_CHECK("a volume of " << volume.values.size());
    for (const double mm : volume.spacing())
      if (!(mm > 0)) FAIL_CHECK("a spacing of " << mm);
    static_cast<void>(vt::io::read_nifti_stored(file));
    static_cast<void>(vt::io::read_nifti_labels(file, header.frames() - 1));
  });
  CHECK(results < 1000);
}

TEST_CASE("A thousand damaged DICOM files") {
  auto seeds = dicom_seeds();
  add_samples(seeds, "data/dicom_samples", 40000);
  const auto results = thousand(seeds, "m.dcm", [](const std::filesystem::path& file) {
    const auto header = vt::io::read_dicom_header(file);
    static_cast<void>(vt::io::read_dicom_stored(file));
    const auto image = vt::io::read_dicom(file);
    if (image.height() != header.rows || image.width() != header.columns) FAIL_CHECK("another size than the header's");
  });
  CHECK(results > 50);  // many changes do not matter
  CHECK(results < 1000);
}
