// What segment says of volumes and masks that do not fit: exit status 1, one line with the file and what to do, no report; and what it
// notes of masks that are fine but poor.
#include "program.hpp"

#include <cmath>

#include <vitals/io/nifti.hpp>

#include "archives.hpp"
#include "nifti.hpp"

using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
using test::Nifti;

namespace {

// Four volumes with a box to find, each in a mask of its own; one thing is then made wrong.
struct Volumes : test::TemporaryFolder {
  Volumes() {
    for (std::size_t i = 0; i < 4; ++i) {
      const std::string n = std::to_string(i);
      test::save(*this / ("i" + n + ".nii.gz"), test::gzipped(box(90, 4).bytes()));
      test::save(*this / ("m" + n + ".nii.gz"), test::gzipped(box(1, 0).bytes()));
    }
  }
  // 12 x 14 x 3, int16: `inside` in a box and `outside` around it.
  static Nifti box(int inside, int outside) {
    Nifti file;
    file.dims = {12, 14, 3};
    std::vector<double> numbers;
    for (int z = 0; z < 3; ++z)
      for (int y = 0; y < 14; ++y)
        for (int x = 0; x < 12; ++x)
          numbers.push_back(x > 3 && x < 9 && y > 4 && y < 11 ? inside : outside + (outside ? (x * y) % 5 : 0));
    file.data = test::packed<std::int16_t>(numbers);
    return file;
  }
  // The last line that segment writes, of these images and masks; the splits are train, train, val, test.
  test::Outcome segment(const std::vector<std::string>& images, const std::vector<std::string>& masks) const {
    const char* splits[] = {"train", "train", "val", "test"};
    std::ofstream manifest(*this / "manifest.csv");
    manifest << "path,mask,split\n";
    for (std::size_t i = 0; i < 4; ++i) manifest << images[i] << "," << masks[i] << "," << splits[i] << "\n";
    manifest.close();
    return test::run("segment", {"--data", (*this / "manifest.csv").string(), "--size", "28", "--decoder", "linear",
                                 "--lrs", "0.1", "--epochs", "1", "--bootstrap", "0", "--classes", "background,box",
                                 "--report", (*this / "r.json").string(), "--quiet"});
  }
  const std::vector<std::string> images{"i0.nii.gz", "i1.nii.gz", "i2.nii.gz", "i3.nii.gz"};
  const std::vector<std::string> masks{"m0.nii.gz", "m1.nii.gz", "m2.nii.gz", "m3.nii.gz"};
};

}  // namespace

TEST_CASE("segment: volumes and masks that do not fit") {
  const Volumes s;
  const auto refused = [&](const std::string& bytes, bool mask) {
    test::save(s / "bad.nii.gz", test::gzipped(bytes));
    auto images = s.images, masks = s.masks;
    (mask ? masks : images)[1] = "bad.nii.gz";
    const auto done = s.segment(images, masks);
    CHECK(done.status == 1);
    CHECK(done.out.empty());
    CHECK(!std::filesystem::exists(s / "r.json"));
    CHECK_THAT(done.err, StartsWith("segment: error: "));
    CHECK_THAT(done.err, Contains("bad.nii.gz") || Contains("line 3 of manifest.csv"));
    return done.err;
  };
  const std::string whole = Volumes::box(90, 4).bytes();
  auto file = Volumes::box(90, 4);
  file.srow[1][1] = NAN;
  CHECK_THAT(refused(file.bytes(), false), Contains("NaN or infinity in the affine") && Contains("repair"));
  file = Volumes::box(90, 4);
  file.dims.push_back(2), file.data += file.data;
  CHECK_THAT(refused(file.bytes(), false), Contains("2 volumes in one file"));
  CHECK_THAT(refused(file.bytes(), true), Contains("2 volumes in one file"));
  CHECK_THAT(refused(whole.substr(0, whole.size() - 100), false), Contains("ends before its data"));
  file = Volumes::box(1, 0);
  file.dims = {12, 7, 6};
  CHECK_THAT(refused(file.bytes(), true),
             Contains("i1.nii.gz (line 3 of manifest.csv)") && Contains("12 x 14 x 3 voxels and its mask 12 x 7 x 6"));
  CHECK_THAT(refused(Volumes::box(7, 0).bytes(), true),
             Contains("value 7 at (4, 5, 0)") && Contains("line 3") && Contains("0 to 1; --mask-values"));
  file = Volumes::box(1, 0);
  file.srow[2][3] += 40;
  CHECK_THAT(refused(file.bytes(), true), Contains("elsewhere in the patient"));

  auto images = s.images;
  images[3] = "cut.nii.gz";  // found while slices are read
  const auto packed = test::gzipped(whole);
  test::save(s / "cut.nii.gz", packed.substr(0, packed.size() - 6));
  const auto done = s.segment(images, s.masks);
  CHECK(done.status == 1);
  CHECK_THAT(done.err, Contains("cut.nii.gz slice") && Contains("line 5") && Contains("the file is truncated"));
  CHECK(!std::filesystem::exists(s / "r.json"));
}

TEST_CASE("segment: empty masks, and a class that no training mask has") {
  const Volumes s;
  test::save(s / "empty.nii.gz", test::gzipped(Volumes::box(0, 0).bytes()));
  auto masks = s.masks;
  masks[0] = "empty.nii.gz";
  CHECK(s.segment(s.images, masks).status == 0);  // one of two training masks
  masks[1] = "empty.nii.gz";
  const auto absent = s.segment(s.images, masks);
  CHECK(absent.status == 0);
  CHECK_THAT(absent.out, Contains("note: no training mask has the class box, which cannot be learnt\n"));
  masks = s.masks;
  masks[3] = "empty.nii.gz";
  const auto untested = s.segment(s.images, masks);
  CHECK(untested.status == 0);
  CHECK_THAT(untested.out, Contains("note: no test mask has the class box\n"));
  const auto report = test::json_of(s / "r.json");
  CHECK(test::result_of(report, "linear lr=0.1 global", "dice")["value"].IsNull());
  masks = s.masks;
  masks[2] = "empty.nii.gz";
  const auto no_choice = s.segment(s.images, masks);
  CHECK(no_choice.status == 1);
  CHECK_THAT(no_choice.err, Contains("val hold background alone"));
}
