// inspect on a folder of DICOM slices, and on one with a slice missing.
#include "program.hpp"

#include <vitals/io/dicom_series.hpp>

#include "archives.hpp"
#include "dicom.hpp"

using Catch::Matchers::Contains;

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
