#include <vitals/data/dataset.hpp>

#include <fstream>

#include <catch2/catch.hpp>

#include <paths.hpp>
#include <vitals/core/error.hpp>

namespace vt = vitals;
using Catch::Matchers::Contains;
using vt::data::Split;

namespace {

// A folder with a manifest and empty image files of the names given.
struct Folder {
  test::TemporaryFolder folder;
  explicit Folder(const std::string& manifest,
                  const std::vector<std::string>& files = {"a.png", "b.png", "c.png", "d.png"}) {
    for (const auto& file : files) std::ofstream(folder / file).put('x');
    std::ofstream(folder / "manifest.csv") << manifest;
  }
  vt::data::Dataset read(bool overlap = false) const {
    return vt::data::read_manifest(folder / "manifest.csv", {.allow_patient_overlap = overlap});
  }
};

}  // namespace

TEST_CASE("a manifest gives items in its order, classes as sorted names, and the task") {
  Folder f(
      "split,label,path,patient,age\ntrain,pneumonia,a.png,p1,7\nval, normal "
      ",b.png,p2,8\r\ntest,pneumonia,c.png,p3,\n");
  const auto set = f.read();
  CHECK(set.classes == std::vector<std::string>{"normal", "pneumonia"});
  CHECK(set.task == vt::data::Task::binary);
  REQUIRE(set.items.size() == 3);
  CHECK(set.items[0].path == "a.png");
  CHECK(set.items[0].labels == std::vector<std::size_t>{1});
  CHECK(set.items[1].labels == std::vector<std::size_t>{0});
  CHECK(set.items[2].patient == "p3");
  CHECK(set.items[2].line == 4);
  CHECK(set.where(2) == "c.png (line 4 of manifest.csv)");
  CHECK(set.indices(Split::test) == std::vector<std::size_t>{2});
  CHECK(set.sha256.size() == 64);
  CHECK(!set.patients_overlap);
  const auto targets = set.targets({2, 1});
  CHECK(std::vector<int>(targets.begin(), targets.end()) == std::vector<int>{0, 1, 1, 0});
}

TEST_CASE("three classes are multiclass; several labels or none make it multilabel") {
  CHECK(Folder("path,label,split\na.png,x,train\nb.png,y,val\nc.png,z,test\n").read().task ==
        vt::data::Task::multiclass);
  const auto set = Folder("path,label,split\na.png,y|x,train\nb.png,,val\nc.png,x | x,test\n").read();
  CHECK(set.task == vt::data::Task::multilabel);
  CHECK(set.items[0].labels == std::vector<std::size_t>{0, 1});
  CHECK(set.items[1].labels.empty());
  CHECK(set.items[2].labels == std::vector<std::size_t>{0});
}

TEST_CASE("a quoted name may hold commas and line breaks; the line is the one where it begins") {
  Folder f("path,label,split\n\"a,1.png\",\"x\ny\",train\nb.png,z,test\n", {"a,1.png", "b.png"});
  const auto set = f.read();
  CHECK(set.items[0].path == "a,1.png");
  CHECK(set.classes[0] == "x\ny");
  CHECK(set.items[1].line == 4);
}

TEST_CASE("a patient in two splits is an error that names the patient, unless it is allowed") {
  Folder f("path,label,split,patient\na.png,x,train,p7\nb.png,y,test,p7\nc.png,y,test,p8\nd.png,y,val,p8\n");
  REQUIRE_THROWS_AS(f.read(), vt::DataError);
  CHECK_THROWS_WITH(f.read(), Contains("patient p7 is in train and test") && Contains("1 more"));
  CHECK(f.read(true).patients_overlap);
  CHECK_NOTHROW(Folder("path,label,split,patient\na.png,x,train,\nb.png,y,test,\n").read());
}

TEST_CASE("missing files are counted and the first ones named") {
  Folder f("path,label,split\na.png,x,train\nm1.png,y,test\nm2.png,x,test\nm3.png,x,test\nm4.png,x,test\n");
  REQUIRE_THROWS_AS(f.read(), vt::DataError);
  CHECK_THROWS_WITH(f.read(), Contains("4 of 5 files are missing") && Contains("m1.png (line 3)") &&
                                  Contains("m3.png") && !Contains("m4.png"));
}

TEST_CASE("what is wrong with a manifest is said with its line") {
  CHECK_THROWS_AS(vt::data::read_manifest("/nowhere/manifest.csv"), vt::IoError);
  CHECK_THROWS_WITH(Folder("path,split\na.png,train\n").read(), Contains("no column label"));
  CHECK_THROWS_WITH(Folder("path,mask,split\na.png,b.png,train\n").read(), Contains("segmentation manifest"));
  CHECK_THROWS_WITH(Folder("path,label,split,path\na.png,x,train,b\n").read(), Contains("column path stands twice"));
  CHECK_THROWS_WITH(Folder("path,label,split\na.png,x,train\nb.png,y,tset\n").read(),
                    Contains("\"tset\"") && Contains("line 3"));
  CHECK_THROWS_WITH(Folder("path,label,split\na.png,x,train\n./a.png,y,test\n").read(), Contains("lines 2 and 3"));
  CHECK_THROWS_WITH(Folder("path,label,split\n,x,train\n").read(), Contains("path is empty") && Contains("line 2"));
  CHECK_THROWS_WITH(Folder("path,label,split\n").read(), Contains("no images"));
  CHECK_THROWS_WITH(Folder("path,label,split\na.png,x,train\n").read(), Contains("only one class (x)"));
  CHECK_THROWS_AS(Folder("path,label,split\na.png,x\n").read(), vt::FormatError);
  CHECK_THROWS_AS(Folder("").read(), vt::FormatError);
}

TEST_CASE("the real chest X-rays") {
  NEEDS_SHARED("data/cxr_pneumonia_kermany/manifest_patient_disjoint.csv");
  const auto set = vt::data::read_manifest(test::shared("data/cxr_pneumonia_kermany/manifest_patient_disjoint.csv"));
  CHECK(set.task == vt::data::Task::binary);
  CHECK(set.indices(Split::train).size() == 636);
  CHECK(set.indices(Split::val).size() == 147);
  CHECK(set.indices(Split::test).size() == 200);
}
