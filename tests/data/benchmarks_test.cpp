// The study's benchmarks on small trees laid out as the official archives.
#include <vitals/data/datasets/benchmark.hpp>
#include <vitals/data/datasets/classification.hpp>
#include <vitals/data/datasets/montgomery.hpp>
#include <vitals/data/datasets/segmentation_benchmarks.hpp>

#include <fstream>

#include <catch2/catch.hpp>

#include <vitals/core/error.hpp>
#include <vitals/io/image.hpp>

#include "paths.hpp"

namespace vt = vitals;
namespace data = vitals::data;
using Catch::Matchers::Contains;

namespace {

struct Tree : test::TemporaryFolder {
  void file(const std::string& name, const std::string& text = "x") const {
    std::filesystem::create_directories((*this / name).parent_path());
    std::ofstream(*this / name) << text;
  }
  void mask(const std::string& name, std::size_t from, std::size_t to, std::uint8_t value = 255) const {
    std::filesystem::create_directories((*this / name).parent_path());
    vt::Tensor<std::uint8_t, vt::dyn, vt::dyn, vt::dyn> pixels({4, 4, 1});
    for (std::size_t i = from; i < to; ++i) pixels.data()[i] = value;
    vt::io::write_png(*this / name, pixels);
  }
};
std::string number(std::size_t i, std::size_t digits) {
  const auto text = std::to_string(i);
  return std::string(digits - std::min(digits, text.size()), '0') + text;
}

// Volumes of these trees are empty files.
const data::VolumeFormat empty_volumes{
    [](const std::filesystem::path& file) { return file.string().ends_with(".nii.gz"); },
    [](const std::filesystem::path&) {
      return std::array<std::size_t, 3>{2, 2, 3};
    },
    [](const std::filesystem::path&) { return vt::io::Volume{}; },
    [](const std::filesystem::path&) { return vt::io::LabelVolume{}; }};

}  // namespace

TEST_CASE("whole archives have the study's splits") {
  struct {
    const char* name;
    std::vector<std::size_t> train_val_test_unused;
  } expected[] = {
      {"msd_hippocampus", {120, 60, 80, 0}}, {"msd_spleen", {16, 10, 15, 0}}, {"msd_heart", {12, 4, 4, 0}},
      {"amos", {80, 20, 50, 150}},           {"btcv", {12, 3, 15, 0}},        {"montgomery", {69, 23, 46, 0}},
      {"shenzhen", {361, 91, 114, 0}}};
  for (const auto& e : expected) {
    INFO(e.name);
    const auto& benchmark = data::segmentation_benchmark(e.name);
    const std::string name(e.name);
    Tree tree;
    for (std::size_t i = 0; i < benchmark.expected; ++i) {
      if (name.starts_with("msd"))
        for (const char* part : {"imagesTr", "labelsTr"})
          tree.file(std::string(part) + "/x_" + number(i, 3) + ".nii.gz");
      else if (name == "amos")
        for (const char* part : {"images", "labels"})
          tree.file(part + std::string(i % 3 ? "Tr" : "Va") + "/amos_" + number(i + 1, 4) + ".nii.gz");
      else if (name == "btcv") {
        tree.file("img/img" + number(i, 4) + ".nii.gz");
        tree.file("label/label" + number(i, 4) + ".nii.gz");
      } else {
        tree.file("CXR_png/C_" + number(i, 4) + ".png");
        if (name == "montgomery")
          for (const char* side : {"left", "right"})
            tree.file("ManualMask/" + std::string(side) + "Mask/C_" + number(i, 4) + ".png");
        else
          tree.file("mask/C_" + number(i, 4) + "_mask.png");
      }
    }
    if (name == "amos")  // an MRI, which the study leaves out
      for (const char* part : {"imagesTr", "labelsTr"}) tree.file(std::string(part) + "/amos_0507.nii.gz");
    if (name == "shenzhen") tree.file("CXR_png/without.png");
    if (name.starts_with("msd")) tree.file("imagesTr/._x_000.nii.gz");  // what a Mac leaves
    const auto counted = data::census(benchmark, tree.path());
    INFO(counted.text());
    CHECK(counted.complete());
    CHECK(std::vector{counted.train, counted.val, counted.test, counted.unused} == e.train_val_test_unused);
    const auto set = data::open(benchmark, tree.path(), {.volumes = &empty_volumes, .check_masks = false});
    CHECK(set.cases(data::Split::train).size() == counted.train);
    CHECK(set.cases(data::Split::val).size() == counted.val);
    CHECK(set.cases(data::Split::test).size() == counted.test);
    CHECK(set.classes == benchmark.classes);
    CHECK(set.intensity == benchmark.intensity);
    CHECK(set.items[0].volume == (name != "montgomery" && name != "shenzhen"));
  }
  CHECK_THROWS_WITH(data::segmentation_benchmark("msd_liver"), Contains("msd_liver") && Contains("msd_spleen"));
}

TEST_CASE("what is missing is counted and named; an incomplete archive needs leave, and is split in proportion") {
  Tree tree;
  for (std::size_t i = 0; i < 13; ++i) tree.file("imagesTr/h_" + number(i, 3) + ".nii.gz");
  for (std::size_t i = 1; i < 14; ++i) tree.file("labelsTr/h_" + number(i, 3) + ".nii.gz");
  const auto& benchmark = data::segmentation_benchmark("msd_hippocampus");
  const auto counted = data::census(benchmark, tree.path());
  CHECK(!counted.complete());
  CHECK(counted.images == 13);
  CHECK(counted.found == 12);
  CHECK_THAT(counted.text(), Contains("12 of 260") && Contains("missing: labelsTr/h_000.nii.gz") &&
                                 Contains("missing: the image of labelsTr/h_013.nii.gz"));
  CHECK_THROWS_WITH(data::open(benchmark, tree.path(), {.volumes = &empty_volumes}),
                    Contains("12 of the 260") && Contains("labelsTr/h_000.nii.gz and 1 more"));
  const auto set = data::open(benchmark, tree.path(), {.volumes = &empty_volumes, .check_masks = false}, true);
  CHECK(set.cases(data::Split::test).size() == 4);  // 80 of 260
  CHECK(set.cases(data::Split::val).size() == 3);   // 60 of 260
  CHECK(set.cases(data::Split::train).size() == 5);
  Tree nothing;
  CHECK_THROWS_WITH(data::open(benchmark, nothing.path(), {.volumes = &empty_volumes}, true),
                    Contains("imagesTr/ (the folder)") && Contains("Task04_Hippocampus"));
  CHECK_THROWS_AS(data::census(benchmark, nothing / "none"), vt::IoError);
}

TEST_CASE("Montgomery: two masks make two classes, and must not overlap") {
  Tree tree;
  for (std::size_t i = 0; i < 12; ++i) {
    tree.mask("CXR_png/a" + number(i, 2) + ".png", 0, 16, 90);
    tree.mask("ManualMask/leftMask/a" + number(i, 2) + ".png", 0, 3);
    if (i != 11) tree.mask("ManualMask/rightMask/a" + number(i, 2) + ".png", 5, 9);
  }
  const auto counted = data::census(data::montgomery(), tree.path());
  CHECK(counted.found == 11);
  CHECK(counted.missing == std::vector<std::string>{"ManualMask/rightMask/a11.png"});
  const auto set = data::open(data::montgomery(), tree.path(), {}, true);
  const auto slice = set.read(0);
  CHECK(std::vector<std::uint8_t>(slice.mask.begin(), slice.mask.begin() + 10) ==
        std::vector<std::uint8_t>{1, 1, 1, 0, 0, 2, 2, 2, 2, 0});
  CHECK(set.items[0].voxels == std::vector<std::uint64_t>{9, 3, 4});
  tree.mask("ManualMask/rightMask/a03.png", 2, 6);
  CHECK_THROWS_WITH(data::open(data::montgomery(), tree.path(), {}, true),
                    Contains("ManualMask/leftMask/a03.png and ManualMask/rightMask/a03.png overlap"));
}

TEST_CASE("NIH: labels, the official lists, pictures in twelve folders") {
  Tree tree;
  std::string table = "Image Index,Finding Labels,Follow-up #,Patient ID\n", train_val, test;
  for (std::size_t i = 0; i < 20; ++i) {
    const std::string name = number(i, 8) + "_000.png";
    tree.file(i % 2 ? "images_012/images/" + name : "images/" + name);
    table += name + "," +
             (i % 3 == 0   ? "No Finding"
              : i % 3 == 1 ? "Effusion|Mass"
                           : "Mass") +
             ",0," + std::to_string(i / 2) + "\n";
    (i < 18 ? train_val : test) += name + "\n";
  }
  tree.file("Data_Entry_2017.csv", table);
  tree.file("train_val_list.txt", train_val);
  tree.file("test_list.txt", test);
  CHECK_THROWS_WITH(data::nih_chest_xray(tree.path()), Contains("18 lines"));
  const auto set = data::nih_chest_xray(tree.path(), {.allow_incomplete = true});
  CHECK(set.classes == std::vector<std::string>{"Effusion", "Mass", "No Finding"});
  CHECK(set.task == data::Task::multilabel);
  CHECK(set.items.size() == 20);
  CHECK(set.items[1].labels == std::vector<std::size_t>{0, 1});
  CHECK(set.items[1].path == "images_012/images/00000001_000.png");
  CHECK(set.indices(data::Split::val).size() == 2);
  CHECK(set.indices(data::Split::test).size() == 2);
  CHECK(!set.patients_overlap);
}

TEST_CASE("CheXpert: frontal films, five findings and what is uncertain") {
  Tree tree;
  const std::string head = "Path,Sex,Cardiomegaly,Edema,Consolidation,Atelectasis,Pleural Effusion\n",
                    at = "CheXpert-v1.0-small/";
  tree.file("train.csv", head + at + "train/patient1/study1/view1_frontal.jpg,F,1.0,,-1.0,0.0,1.0\n" + at +
                             "train/patient1/study1/view2_lateral.jpg,F,1.0,,,,\n" + at +
                             "train/patient2/study1/view1_frontal.jpg,F,,,,,\n");
  tree.file("valid.csv", head + at + "valid/patient3/study1/view1_frontal.jpg,F,0.0,1.0,0.0,0.0,0.0\n");
  for (const char* file : {"train/patient1/study1/view1_frontal.jpg", "valid/patient3/study1/view1_frontal.jpg"})
    tree.file(file);
  CHECK_THROWS_WITH(data::chexpert(tree.path()), Contains("1 of 3 images are missing: train/patient2"));
  const auto set = data::chexpert(tree.path(), {.allow_incomplete = true});
  REQUIRE(set.items.size() == 2);
  CHECK(set.classes.back() == "Uncertain");
  CHECK(set.items[0].labels == std::vector<std::size_t>{1, 4, 5});
  CHECK(set.items[0].patient == "patient1");
  CHECK(set.items[1].labels == std::vector<std::size_t>{3});
  CHECK(set.items[1].split == data::Split::val);
}

TEST_CASE("SARS-CoV-2 CT: slices keep to their patients") {
  Tree tree;
  for (const char* kind : {"Covid", "Healthy", "Others"})
    for (std::size_t p = 0; p < 7; ++p)
      for (std::size_t s = 0; s < 3; ++s)
        tree.file(std::string(kind) + "/Patient (" + std::to_string(p) + ")/" + std::to_string(s) + ".png");
  CHECK_THROWS_WITH(data::sars_cov_2_ct(tree.path()), Contains("21 of 210 patients"));
  const auto set = data::sars_cov_2_ct(tree.path(), {.allow_incomplete = true});
  CHECK(set.items.size() == 63);
  CHECK(!set.patients_overlap);
  CHECK(set.indices(data::Split::test).size() == 21);  // every third patient
  CHECK(set.indices(data::Split::val).size() == 15);
  CHECK(set.items[0].labels == std::vector<std::size_t>{0});
  CHECK(set.items[62].labels == std::vector<std::size_t>{1});
}
