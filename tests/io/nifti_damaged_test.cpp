// NIfTI that cannot be read: headers that lie, files cut short. Each is refused with the reason and the file.
#include <vitals/io/nifti.hpp>

#include <limits>
#include <string>

#include <catch2/catch.hpp>

#include <vitals/core/error.hpp>

#include "nifti_files.hpp"
#include "paths.hpp"

namespace vt = vitals;
using Catch::Matchers::Contains;
using test::Nifti;
using test::folder;
using test::not_a_number;
using test::read;
using test::saved;

namespace {

template <class E>
void refused(const std::string& bytes, const std::string& word) {
  const auto file = saved(bytes, "bad.nii");
  CHECK_THROWS_AS(vt::io::read_nifti(file), E);
  CHECK_THROWS_WITH(vt::io::read_nifti(file), Contains(word) && Contains("bad.nii"));
}

}  // namespace

TEST_CASE("Headers that lie are refused with the reason") {
  const auto changed = [](auto change) {
    Nifti file = test::counted_nifti();
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
  refused<vt::FormatError>(changed([](Nifti& f) { f.slope = 2, f.intercept = not_a_number; }), "intercept");
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
  auto pair = test::counted_nifti().bytes();
  pair[345] = 'i';
  refused<vt::FormatError>(pair, ".hdr");
  auto dims = test::counted_nifti().bytes();
  dims[40] = 9;
  refused<vt::FormatError>(dims, "9 dimensions");
  CHECK_THROWS_AS(vt::io::read_nifti(folder / "missing.nii"), vt::IoError);
  CHECK_THROWS_AS(vt::io::read_nifti(folder.path()), vt::IoError);
  // An offset of zero means: behind the header.
  Nifti zero = test::counted_nifti();
  zero.offset = 0;
  CHECK(read(zero).values(1, 2, 3) == 20);
}

TEST_CASE("A file cut short or damaged") {
  const std::string whole = test::counted_nifti().bytes();
  refused<vt::FormatError>(whole.substr(0, whole.size() - 1), "the file is truncated");
  const std::string packed = test::gzipped(whole);
  refused<vt::FormatError>(packed.substr(0, packed.size() - 20), "ends early");
  refused<vt::FormatError>(packed.substr(0, packed.size() - 3), "ends early");
  std::string checksum = packed;
  checksum[checksum.size() - 6] ^= 1;
  refused<vt::FormatError>(checksum, "damaged");
  // A small stream that claims gigabytes is refused before they are allocated.
  Nifti huge = test::counted_nifti();
  huge.dims = {1200, 1200, 1200};
  refused<vt::FormatError>(test::gzipped(huge.bytes()), "more than the file can hold");
}

TEST_CASE("A large file cut short or damaged in its middle") {
  Nifti large;
  large.dims = {300, 240, 60}, large.datatype = 2, large.bitpix = 8;
  large.data.assign(300 * 240 * 60, '\0');
  for (std::size_t i = 0; i < large.data.size(); ++i) large.data[i] = static_cast<char>(i * i >> 5);
  const std::string whole = large.bytes(), packed = test::gzipped(whole);
  refused<vt::FormatError>(packed.substr(0, packed.size() / 2), "ends early");
  refused<vt::FormatError>(whole.substr(0, whole.size() / 2), "the file is truncated");
  std::string changed = packed;
  for (std::size_t i = 0; i < 64; ++i) changed[packed.size() / 2 + i] = '\xff';
  refused<vt::FormatError>(changed, "gzip stream");
  // A label that is none stands in the first planes while the next are read.
  large.datatype = 4, large.bitpix = 16, large.dims[2] = 30;
  const auto file = saved(test::gzipped(large.bytes()), "bad.nii");
  CHECK_THROWS_AS(vt::io::read_nifti_labels(file), vt::DataError);
}
