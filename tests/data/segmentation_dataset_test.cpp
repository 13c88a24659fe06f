#include <vitals/data/segmentation_dataset.hpp>

#include <atomic>
#include <fstream>
#include <map>
#include <thread>

#include <catch2/catch.hpp>

#include <vitals/core/error.hpp>
#include <vitals/data/paired.hpp>

#include "paths.hpp"

namespace vt = vitals;
namespace data = vitals::data;
using Catch::Matchers::Contains;
using Catch::Matchers::EndsWith;
using Bytes = vt::Tensor<std::uint8_t, vt::dyn, vt::dyn, vt::dyn>;

namespace {

// A format of volumes that lie in memory, so that this test needs no library of a real one.
struct Memory {
  std::map<std::string, vt::io::Volume> images;
  std::map<std::string, vt::io::LabelVolume> masks;
  std::atomic<int> reads{0};
};
Memory& memory() {
  static Memory volumes;
  return volumes;
}
const data::VolumeFormat in_memory{
    [](const std::filesystem::path& file) { return file.extension() == ".vol"; },
    [](const std::filesystem::path& file) {
      const auto name = file.filename().string();
      const auto image = memory().images.find(name);
      return image != memory().images.end() ? image->second.values.shape() : memory().masks.at(name).values.shape();
    },
    [](const std::filesystem::path& file) {
      ++memory().reads;
      return memory().images.at(file.filename().string());
    },
    [](const std::filesystem::path& file) { return memory().masks.at(file.filename().string()); }};

struct Folder : test::TemporaryFolder {
  void write(const std::string& name, const std::string& text) const { std::ofstream(*this / name) << text; }
  void picture(const std::string& name, std::size_t height, std::size_t width, std::uint8_t value = 7) const {
    Bytes pixels({height, width, 1});
    for (std::size_t i = 0; i < pixels.size(); ++i) pixels.data()[i] = static_cast<std::uint8_t>(i + value);
    vt::io::write_png(*this / name, pixels);
  }
  void mask(const std::string& name, std::size_t height, std::size_t width, std::uint8_t value) const {
    Bytes pixels({height, width, 1});
    for (std::size_t i = 0; i < pixels.size() / 2; ++i) pixels.data()[i] = value;
    vt::io::write_png(*this / name, pixels);
  }
  // Image and mask in memory; the files are there, empty.
  void volume(const std::string& name, std::array<std::size_t, 3> shape, double shift = 0) const {
    vt::io::Volume image{vt::Tensor<float, vt::dyn, vt::dyn, vt::dyn>(shape), {}};
    image.affine = {{{0, 2, 0, 5}, {3, 0, 0, 6}, {0, 0, 4, 7}}};  // spacing 3, 2, 4
    vt::io::LabelVolume mask{Bytes(shape), image.affine};
    mask.affine[2][3] += shift;
    for (std::size_t i = 0; i < image.values.size(); ++i) {
      image.values.data()[i] = static_cast<float>(i);
      mask.values.data()[i] = static_cast<std::uint8_t>(i % 3);
    }
    memory().images[name + ".vol"] = std::move(image);
    memory().masks[name + "_mask.vol"] = std::move(mask);
    write(name + ".vol", "");
    write(name + "_mask.vol", "");
  }
};

}  // namespace

TEST_CASE("pictures: classes by mask values, what a slice is, voxels of each class, splits") {
  Folder f;
  f.picture("a.png", 6, 4);
  f.mask("am.png", 6, 4, 255);
  f.picture("b.png", 5, 5);
  f.mask("bm.png", 5, 5, 0);  // empty: allowed
  f.write("m.csv", "path,mask,split,patient\n a.png ,am.png,train,p\nb.png,bm.png,test,q\n");
  const auto set = data::read_segmentation_manifest(f / "m.csv", {.mask_values = {0, 255}});
  CHECK(set.classes == std::vector<std::string>{"0", "255"});
  REQUIRE(set.items.size() == 2);
  CHECK(set.slices.size() == 2);
  CHECK(set.items[0].voxels == std::vector<std::uint64_t>{12, 12});
  CHECK(set.items[1].voxels == std::vector<std::uint64_t>{25, 0});
  CHECK(set.indices(data::Split::test) == std::vector<std::size_t>{1});
  CHECK(set.absent_classes(data::Split::train).empty());
  CHECK(set.absent_classes(data::Split::test) == std::vector<std::string>{"255"});
  CHECK(set.sha256.size() == 64);
  const auto slice = set.read(0);
  CHECK(slice.image.height() == 6);
  CHECK(slice.mask(2u, 3u) == 1);
  CHECK(slice.mask(3u, 0u) == 0);
  CHECK(set.where(0) == "a.png (line 2 of m.csv)");
  const auto named = data::read_segmentation_manifest(
      f / "m.csv", {.mask_values = {0, 255}, .classes = {"background", "lung"}, .check_masks = false});
  CHECK(named.classes[1] == "lung");
  CHECK_THROWS_WITH(named.absent_classes(data::Split::train), Contains("were not counted"));
}

TEST_CASE("what is wrong with a manifest or a mask is said with its place") {
  Folder f;
  f.picture("a.png", 6, 4);
  f.mask("am.png", 6, 4, 255);
  f.mask("small.png", 5, 4, 1);
  f.mask("empty.png", 6, 4, 0);
  Bytes colour({6, 4, 3});
  colour(5u, 3u, 1u) = 9;
  vt::io::write_png(f / "colour.png", colour);
  const auto fails = [&](const std::string& text, const data::SegmentationManifestOptions& options = {}) {
    f.write("m.csv", text);
    try {
      const auto set = data::read_segmentation_manifest(f / "m.csv", options);
      for (std::size_t i = 0; i < set.slices.size(); ++i) set.read(i);
    } catch (const vt::Error& error) {
      return std::string(error.what());
    }
    return std::string("nothing was thrown");
  };
  const std::string head = "path,mask,split,patient\n";
  CHECK_THAT(fails("path,label,split\na.png,x,train\n"), Contains("no column mask") && Contains("classification"));
  CHECK_THAT(fails(head), Contains("no images"));
  CHECK_THAT(fails(head + "a.png,am.png,training,p\n"), Contains("training") && Contains("line 2"));
  CHECK_THAT(fails(head + "a.png,,train,p\n"), Contains("mask is empty") && Contains("line 2"));
  CHECK_THAT(fails(head + "a.png,none.png,train,p\n"), Contains("1 of 1 masks are missing: none.png (line 2)"));
  CHECK_THAT(fails(head + "a.png,am.png,train,p\n./a.png,am.png,test,p\n"), Contains("twice, in lines 2 and 3"));
  f.picture("b.png", 6, 4);
  CHECK_THAT(fails(head + "a.png,am.png,train,p\nb.png,am.png,test,p\n", {.mask_values = {0, 255}}),
             Contains("patient p is in train and test"));
  CHECK_THAT(fails(head + "a.png,am.png,train,p\n", {.mask_values = {0, 1}}),
             Contains("value 255 at row 0 column 0 of the mask am.png is no class, line 2") && Contains("0, 1"));
  CHECK_THAT(fails(head + "a.png,am.png,train,p\n", {.classes = {"a", "b"}}), Contains("value 255"));
  CHECK_THAT(fails(head + "a.png,am.png,train,p\n"),
             Contains("value 255") && EndsWith("the classes are 0 to 254; --mask-values renames them"));
  CHECK_THAT(fails(head + "a.png,am.png,train,p\n", {.mask_values = {0, 10, 20, 30, 40, 50, 60, 70, 80, 90}}),
             EndsWith("the classes are 0, 10, 20, 30, 40, 50, 60, 70 ... (10 in all)"));
  CHECK_THAT(fails(head + "a.png,small.png,train,p\n"),
             Contains("6 x 4 pixels and its mask 5 x 4, a.png (line 2 of m.csv)"));
  CHECK_THAT(fails(head + "a.png,empty.png,train,p\n"), Contains("background alone"));
  CHECK_THAT(fails(head + "a.png,colour.png,train,p\n"), Contains("colours, row 5 column 3"));
  CHECK_THAT(fails(head + "a.png,am.png,train,p\n", {.mask_values = {0, 0}}), Contains("mask value 0"));
  CHECK_THAT(fails(head + "a.png,am.png,train,p\n", {.mask_values = {0, 255}, .classes = {"a", "b", "c"}}),
             Contains("2 mask values and 3 class names"));
  CHECK_THAT(fails(head + "a.png,am.png,train,p\n", {.axis = 3}), Contains("axis 3"));
  f.write("v.nii.gz", "");
  CHECK_THAT(fails(head + "v.nii.gz,am.png,train,p\n"), Contains("NIfTI") && Contains("v.nii.gz (line 2"));
  f.volume("v", {2, 2, 2});
  CHECK_THAT(fails(head + "v.vol,am.png,train,p\n", {.volumes = &in_memory}), Contains("of one kind"));
}

TEST_CASE("volumes: slices along each axis with their spacing, and how their numbers enter") {
  Folder f;
  f.volume("v", {2, 3, 4});
  f.volume("w", {3, 2, 5});
  f.write("m.csv", "path,mask,split\nv.vol,v_mask.vol,train\nw.vol,w_mask.vol,test\n");
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const auto set = data::read_segmentation_manifest(f / "m.csv", {.axis = axis, .volumes = &in_memory});
    CHECK(set.classes.size() == 3);
    const std::array<std::size_t, 3> v{2, 3, 4}, w{3, 2, 5};
    CHECK(set.slices.size() == v[axis] + w[axis]);
    CHECK(set.indices(data::Split::test).front() == v[axis]);
    const auto slice = set.read(1);
    const std::size_t row = axis == 0 ? 1 : 0, column = axis == 2 ? 1 : 2;
    REQUIRE(slice.image.height() == v[row]);
    REQUIRE(slice.image.width() == v[column]);
    CHECK(slice.spacing == std::array<double, 2>{std::array{3.0, 2.0, 4.0}[row], std::array{3.0, 2.0, 4.0}[column]});
    const auto& pixels = std::get<vt::Tensor<float, vt::dyn, vt::dyn, vt::dyn>>(slice.image.pixels);
    for (std::size_t r = 0; r < v[row]; ++r)
      for (std::size_t c = 0; c < v[column]; ++c) {
        std::array<std::size_t, 3> at{};
        at[axis] = 1;
        at[row] = r;
        at[column] = c;
        const std::size_t flat = (at[0] * 3 + at[1]) * 4 + at[2];
        CHECK(pixels(r, c, 0u) == static_cast<float>(flat));
        CHECK(slice.mask(r, c) == flat % 3);
      }
    CHECK(set.where(1) == "v.vol slice 1 (line 2 of m.csv)");
  }
  auto set = data::read_segmentation_manifest(f / "m.csv",
                                              {.intensity = data::intensity_by_name("3,10.5"), .volumes = &in_memory});
  const auto clipped = set.read(0);  // 0 4 8 / 12 16 20
  const auto& pixels = std::get<vt::Tensor<float, vt::dyn, vt::dyn, vt::dyn>>(clipped.image.pixels);
  CHECK(std::vector<float>(pixels.begin(), pixels.end()) == std::vector<float>{3, 4, 8, 10.5f, 10.5f, 10.5f});
  set.intensity = data::intensity_by_name("p5p95");
  const auto percentiles = set.read(0);
  const auto& p = std::get<vt::Tensor<float, vt::dyn, vt::dyn, vt::dyn>>(percentiles.image.pixels);
  CHECK(std::vector<float>(p.begin(), p.end()) == std::vector<float>{1, 4, 8, 12, 16, 19});  // 0.05 * 5 * 4
  CHECK(set.intensity.name() == "p5p95");
  CHECK(data::intensity_by_name("-1024,600").name() == "-1024,600");
  for (const char* wrong : {"", "p5", "1", "2,1", "1,1", "1,2,3", "nan,3", "1,x"})
    CHECK_THROWS_AS(data::intensity_by_name(wrong), vt::ArgumentError);
}

TEST_CASE("volumes: faults, and one read for all slices, from several threads") {
  Folder f;
  f.volume("v", {2, 3, 40});
  f.volume("u", {2, 3, 4}, 3.0);  // its mask is 3 mm higher
  f.write("m.csv", "path,mask,split\nv.vol,v_mask.vol,train\n");
  const auto set = data::read_segmentation_manifest(f / "m.csv", {.volumes = &in_memory});
  memory().reads = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (std::size_t i = 0; i < set.slices.size(); ++i) set.read(i);
    });
  for (auto& thread : threads) thread.join();
  CHECK(memory().reads == 1);
  f.write("m.csv", "path,mask,split\nu.vol,u_mask.vol,train\n");
  CHECK_THROWS_WITH(data::read_segmentation_manifest(f / "m.csv", {.volumes = &in_memory}).read(0),
                    Contains("elsewhere") && Contains("u.vol (line 2 of m.csv)"));
  f.write("m.csv", "path,mask,split\nv.vol,u_mask.vol,train\n");
  CHECK_THROWS_WITH(data::read_segmentation_manifest(f / "m.csv", {.volumes = &in_memory}),
                    Contains("2 x 3 x 40 voxels and its mask 2 x 3 x 4"));
  f.write("m.csv", "path,mask,split\nv.vol,v_mask.vol,train\n");
  CHECK_THROWS_WITH(data::read_segmentation_manifest(f / "m.csv", {.mask_values = {0, 1}, .volumes = &in_memory}),
                    Contains("value 2 at (0, 0, 2) of the mask v_mask.vol"));
  // Two volumes and room for one: the one before is read again when it is wanted again.
  f.volume("w", {2, 3, 40});
  f.write("m.csv", "path,mask,split\nv.vol,v_mask.vol,train\nw.vol,w_mask.vol,train\n");
  const auto small = data::read_segmentation_manifest(f / "m.csv", {.volumes = &in_memory, .kept_bytes = 100});
  memory().reads = 0;
  for (std::size_t i : {0u, 1u, 40u, 41u, 0u}) small.read(i);
  CHECK(memory().reads == 3);
  const auto large = data::read_segmentation_manifest(f / "m.csv", {.volumes = &in_memory});
  memory().reads = 0;
  for (std::size_t i : {0u, 1u, 40u, 41u, 0u}) large.read(i);
  CHECK(memory().reads == 2);
}

TEST_CASE("image and mask move together") {
  data::MaskedImage pair;
  vt::Tensor<std::uint8_t, vt::dyn, vt::dyn, vt::dyn> pixels({5, 7, 2});
  pair.mask = vt::Tensor<std::uint8_t, vt::dyn, vt::dyn>({5, 7});
  for (std::size_t i = 0; i < 35; ++i) {
    pair.mask.data()[i] = static_cast<std::uint8_t>(i + 1);
    pixels.data()[2 * i] = pixels.data()[2 * i + 1] = static_cast<std::uint8_t>(i + 1);
  }
  pair.image.pixels = pixels;
  const auto same = [](const data::MaskedImage& p) {  // the picture shows the mask's numbers in both channels
    const auto& shown = std::get<vt::Tensor<std::uint8_t, vt::dyn, vt::dyn, vt::dyn>>(p.image.pixels);
    if (p.mask.extent(0) != shown.extent(0) || p.mask.extent(1) != shown.extent(1)) return false;
    for (std::size_t i = 0; i < p.mask.size(); ++i)
      if (shown.data()[2 * i] != p.mask.data()[i] || shown.data()[2 * i + 1] != p.mask.data()[i]) return false;
    return true;
  };
  const auto mirrored = data::flipped(pair, true, false), upside = data::flipped(pair, false, true);
  CHECK(same(mirrored));
  CHECK(mirrored.mask(0u, 0u) == 7);
  CHECK(upside.mask(0u, 0u) == 29);
  CHECK(same(data::flipped(upside, true, false)));
  const auto part = data::cropped(pair, {1, 2, 3, 4, true});
  CHECK(same(part));
  CHECK(part.mask(0u, 0u) == 13);
  const auto half_turn = data::rotated(pair, 180);
  CHECK(same(half_turn));
  CHECK(half_turn.mask(0u, 0u) == 35);
  CHECK(data::rotated(pair, 0).mask(4u, 6u) == 35);
  // A quarter turn against the clock: what was at the right end of the middle row goes up in the middle column.
  const auto quarter = data::rotated(pair, 90);
  CHECK(same(quarter));
  CHECK(quarter.mask(2u, 3u) == pair.mask(2u, 3u));
  CHECK(quarter.mask(0u, 3u) == pair.mask(2u, 5u));
  CHECK(quarter.mask(0u, 0u) == 0);  // from outside the picture
  CHECK_THROWS_AS(data::rotated(pair, std::nan("")), vt::ArgumentError);

  bool differs = false;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    vt::Rng one(3, seed), two(3, seed);
    const auto a = data::augmented(pair, data::study_augmentation, one),
               b = data::augmented(pair, data::study_augmentation, two);
    CHECK(same(a));
    CHECK(std::equal(a.mask.begin(), a.mask.end(), b.mask.begin()));
    differs = differs || !std::equal(a.mask.begin(), a.mask.end(), pair.mask.begin());
    vt::Rng three(4, seed);
    const data::PairedOptions all{.flip_up_down = {0.5}, .flip_left_right = 0.5, .degrees = 10, .crop = true};
    CHECK(same(data::augmented(pair, all, three)));
  }
  CHECK(differs);
}
