// NIfTI written: masks on the grid of their image, volumes by themselves.
#include <vitals/io/nifti.hpp>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include <vitals/core/error.hpp>

#include "nifti_files.hpp"
#include "paths.hpp"

namespace vt = vitals;
using Catch::Matchers::Contains;
using test::Nifti;
using test::folder;
using test::labels;
using test::not_a_number;
using test::saved;
using vt::io::DType;

namespace {

std::string content(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

TEST_CASE("A mask takes the geometry of its image, and none of its texts") {
  for (const int version : {1, 2})
    for (const bool big : {false, true}) {
      Nifti image;
      image.version = version, image.big_endian = big;
      image.dims = {2, 3, 4, 2};
      image.data = test::packed<std::int16_t>(test::counted(48));
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
  const auto like = saved(test::counted_nifti().bytes(), "image.nii");
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
