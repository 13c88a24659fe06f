// What the programs say when something is wrong: exit status, one line on stderr, no file left.
#include "program.hpp"

using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
using test::run;

TEST_CASE("what cannot be done ends with status 1, one line that says what to do, and no file") {
  test::Study s;
  const auto fails = [&](const std::vector<std::string>& more) {
    const auto done = run("knn", s.arguments(more));
    CHECK(done.status == 1);
    CHECK(done.out.empty());
    CHECK(!s.has("r.json"));
    CHECK_THAT(test::last_line(done.err), StartsWith("knn: error: "));
    return test::last_line(done.err);
  };
  CHECK_THAT(fails({"--k", "3,22"}), Contains("22 neighbours") && Contains("21 images"));
  CHECK_THAT(fails({"--k", "3", "--size", "30"}), Contains("28 and 42"));
  CHECK_THAT(fails({"--k", "3", "--size", "28x45"}), Contains("42 and 56"));
  CHECK_THAT(fails({"--k", "3", "--weights", s / "0.png"}), Contains("0.png"));
  CHECK_THAT(fails({"--k", "3", "--weights", s / "none.pth"}), Contains("none.pth"));
  CHECK_THAT(fails({"--k", "3", "--adapter", s / "none"}), Contains("none"));
  CHECK_THAT(fails({"--k", "3", "--predictions", s / "none/p.csv"}), Contains("none/p.csv") && Contains("folder"));
  CHECK_THAT(fails({"--k", "3", "--cache", s / "0.png"}), Contains("0.png") && Contains("cache"));
  s.write("manifest.csv", "path,label,split\n0.png,a,train\nx.png,b,test\ny.png,a,test\n");
  CHECK_THAT(fails({"--k", "1"}), Contains("2 of 3 files are missing: x.png (line 3)"));
  s.write("manifest.csv", "path,label,split,patient\n0.png,a,train,p1\n1.png,b,test,p1\n");
  CHECK_THAT(fails({"--k", "1"}), Contains("patient p1 is in train and test"));
  s.write("manifest.csv", "path,label,split\n0.png,a,train\n1.png,b,train\n");
  CHECK_THAT(fails({"--k", "1"}), Contains("test"));
  s.write("bad.png", "no picture");
  s.write("manifest.csv", "path,label,split\n0.png,a,train\nbad.png,b,train\n1.png,a,test\n");
  CHECK_THAT(fails({"--k", "1"}), Contains("bad.png (line 3 of manifest.csv)"));
}

TEST_CASE("a wrong command line ends with status 2") {
  test::Study s;
  const auto fails = [&](const std::string& program, const std::vector<std::string>& arguments) {
    const auto done = run(program, arguments);
    CHECK(done.status == 2);
    CHECK(done.out.empty());
    CHECK_THAT(test::last_line(done.err), StartsWith(program + ": error: "));
    return test::last_line(done.err);
  };
  CHECK_THAT(fails("knn", {}), Contains("--data"));
  CHECK_THAT(fails("knn", s.arguments({"--neighbours", "3"})), Contains("--neighbours"));
  CHECK_THAT(fails("knn", s.arguments({"--k", "3,x"})), Contains("--k") && Contains("\"x\""));
  CHECK_THAT(fails("knn", s.arguments({"--k", "-3"})), Contains("--k"));
  CHECK_THAT(fails("knn", s.arguments({"--k", ""})), Contains("--k"));
  CHECK_THAT(fails("knn", s.arguments({"--model", "dinov3"})), Contains("dinov3") && Contains("dinov2_vits14_reg"));
  CHECK_THAT(fails("knn", s.arguments({"--size", "big"})), Contains("--size"));
  CHECK_THAT(fails("knn", s.arguments({"--dtype", "float16"})), Contains("float16") && Contains("bfloat16"));
  CHECK_THAT(fails("knn", s.arguments({"--adapter", s / "a", "--dtype", "int8"})), Contains("adapter"));
  CHECK_THAT(fails("linear_probe", s.arguments({"--blocks", "1,5"})), Contains("--blocks: 5"));
  CHECK_THAT(fails("linear_probe", s.arguments({"--lrs", "nan"})), Contains("--lrs"));
  CHECK_THAT(fails("few_shot", s.arguments({"--shots", "1,two"})), Contains("two"));
  CHECK_THAT(fails("metrics", {}), Contains("metrics"));
  CHECK_THAT(fails("metrics", {"classification", "--report", s / "r.json"}), Contains("--predictions"));
  CHECK(!s.has("r.json"));
}

TEST_CASE("--help and --version go to stdout") {
  for (const char* program : {"features", "knn", "linear_probe", "few_shot", "fine_tune", "metrics", "inspect"}) {
    const auto help = run(program, {"--help"}), version = run(program, {"--version"});
    CHECK(help.status == 0);
    CHECK(help.err.empty());
    CHECK_THAT(help.out, Contains("--help"));
    CHECK(version.status == 0);
    CHECK_THAT(version.out, StartsWith(std::string(program) + " 0."));
  }
  CHECK_THAT(run("knn", {"--help"}).out, Contains("--k") && Contains("10,20,100,200") && Contains("--weights"));
}

TEST_CASE("--quiet says nothing") {
  test::Study s;
  const auto done = run("knn", s.arguments({"--k", "3", "--quiet"}));
  CHECK(done.status == 0);
  CHECK(done.err.empty());
}

TEST_CASE("metrics of a file by hand: several labels, an absent class, and faults of the file") {
  test::Study s;
  s.write("p.csv", "path,target:a,target:b,score:a,score:b\nx,1,0,0.9,0.2\ny,0,0,0.4,0.3\nz,1,0,0.3,0.1\n");
  REQUIRE(run("metrics", {"classification", "--predictions", s / "p.csv", "--report", s / "m.json"}).status == 0);
  const auto report = test::json_of(s / "m.json");
  CHECK(std::string(report["conditions"]["task"].GetString()) == "multilabel");
  const auto& auroc = test::result_of(report, "predictions");
  CHECK(auroc["per_class"]["a"].GetDouble() == 0.5);
  CHECK(auroc["value"].GetDouble() == 0.5);
  CHECK(std::string(auroc["undefined"]["b"].GetString()) == "no positive item");
  const auto forced = run(
      "metrics", {"classification", "--predictions", s / "p.csv", "--task", "multiclass", "--report", s / "n.json"});
  CHECK(forced.status == 1);
  CHECK_THAT(forced.err, Contains("metrics: error: ") && Contains("0 classes are 1"));
  s.write("p.csv", "path,target:a,score:a\nx,1,high\n");
  const auto wrong = run("metrics", {"classification", "--predictions", s / "p.csv", "--report", s / "n.json"});
  CHECK(wrong.status == 1);
  CHECK_THAT(wrong.err, Contains("\"high\"") && Contains("score:a"));
  CHECK(!s.has("n.json"));
}
