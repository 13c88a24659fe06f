// The axes of a volume in each of the 48 orientations, in memory and through files.
#include <vitals/io/nifti.hpp>
#include <vitals/io/orientation.hpp>

#include <algorithm>
#include <array>
#include <string>

#include <catch2/catch.hpp>

#include <vitals/core/error.hpp>

#include "nifti_files.hpp"
#include "paths.hpp"

namespace vt = vitals;
using test::Nifti;
using test::folder;
using test::labels;
using test::saved;

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
