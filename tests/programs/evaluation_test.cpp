// knn, linear_probe, few_shot and metrics from end to end, on small drawn pictures and the demo's backbone.
#include "program.hpp"

#include <algorithm>

#include <vitals/io/tensor_file.hpp>
#include <vitals/report/predictions.hpp>

using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
using test::run;

TEST_CASE("knn: a report with its conditions, predictions that give the same scores, plots; demo weights say so") {
  test::Study s;
  const auto done =
      run("knn",
          s.arguments({"--k", "3,5", "--predictions", s / "p.csv", "--plot", s / "roc.svg", "--table", s / "t.svg"}));
  INFO(done.err);
  REQUIRE(done.status == 0);
  CHECK_THAT(done.out, Contains("mlknn k=3") && Contains("mlknn k=5") && Contains("note: demo weights:"));
  CHECK_THAT(done.err, Contains("no --weights: demo weights") && Contains("features 30/30"));
  const auto report = test::json_of(s / "r.json");
  CHECK(std::string(report["program"].GetString()) == "knn");
  const auto& c = report["conditions"];
  CHECK(std::string(c["model"].GetString()) == "vitals_demo");
  CHECK(std::string(c["weights"].GetString()) == "demo weights");
  CHECK(c["weights_sha256"].GetStringLength() == 64);
  CHECK(std::string(c["transform"].GetString()) == "paper");
  CHECK(std::string(c["size"].GetString()) == "28");
  CHECK(c["data_sha256"].GetStringLength() == 64);
  CHECK(c["k"][1].GetInt() == 5);
  CHECK(c["patient_overlap"].IsFalse());
  CHECK(report["time_s"]["features"].GetDouble() > 0);
  CHECK(report["peak_memory_mib"].GetDouble() > 10);
  const auto& first = test::result_of(report, "mlknn k=3");
  CHECK(std::string(first["split"].GetString()) == "test");
  CHECK(first["n"].GetInt() == 9);
  CHECK(first["ci95"][0].GetDouble() <= first["value"].GetDouble());
  CHECK(first["ci95"][1].GetDouble() >= first["value"].GetDouble());

  const auto p = vitals::report::read_predictions(s / "p.csv");
  CHECK(p.classes == std::vector<std::string>{"across", "upright"});
  CHECK(p.paths == std::vector<std::string>{"7.png", "8.png", "9.png", "17.png", "18.png", "19.png", "27.png", "28.png",
                                            "29.png"});
  CHECK(p.targets(0u, 1u) == 1);
  CHECK(p.targets(1u, 1u) == 0);
  const auto alone = run("metrics", {"classification", "--predictions", s / "p.csv", "--report", s / "m.json"});
  REQUIRE(alone.status == 0);
  const auto metrics = test::json_of(s / "m.json");
  for (const char* metric : {"auroc", "average_precision", "accuracy", "f1", "brier", "ece"})
    CHECK(test::result_of(metrics, "predictions", metric)["value"].GetDouble() ==
          test::result_of(report, "mlknn k=3", metric)["value"].GetDouble());
  CHECK(std::string(metrics["conditions"]["task"].GetString()) == "binary");
  CHECK_THAT(test::text_of(s / "roc.svg"), StartsWith("<svg") && Contains("upright, AUROC"));
  CHECK_THAT(test::text_of(s / "t.svg"), StartsWith("<svg") && Contains("mlknn k=5"));
}

TEST_CASE(
    "without --weights: the demo's model and weights, another --model random ones; a file of the demo's shape is "
    "known") {
  test::Study s(10);
  const auto features = [&](std::vector<std::string> more, const std::string& to) {
    more.insert(more.end(), {s / "0.png", "--size", "28", "--output", s / to});
    return run("features", more);
  };
  const auto cls = [&](const std::string& from) {
    const auto file = vitals::io::TensorFile::open(s / from);
    std::vector<float> out(file.find("cls")->size());
    file.read(*file.find("cls"), std::span<float>(out));
    return out;
  };
  REQUIRE(features({}, "a.safetensors").status == 0);
  REQUIRE(features({"--seed", "5"}, "b.safetensors").status == 0);
  CHECK(cls("a.safetensors").size() == 192);
  CHECK(cls("a.safetensors") == cls("b.safetensors"));  // weights that do not depend on a seed
  const auto random = features({"--model", "dinov2_vits14"}, "c.safetensors");
  REQUIRE(random.status == 0);
  CHECK_THAT(random.err, Contains("random weights (seed 0)"));
  CHECK(cls("c.safetensors").size() == 384);
  CHECK(vitals::io::TensorFile::open(s / "a.safetensors").metadata().at("weights") == "demo weights");
  for (const char* dtype : {"bfloat16", "int8"}) {
    REQUIRE(features({"--dtype", dtype}, "d.safetensors").status == 0);
    CHECK(cls("d.safetensors") != cls("a.safetensors"));
  }

  REQUIRE(
      run("fine_tune", s.arguments({"--method", "head", "--steps", "1", "--save-model", s / "w.safetensors"})).status ==
      0);
  const auto again = features({"--weights", s / "w.safetensors"}, "e.safetensors");
  REQUIRE(again.status == 0);
  CHECK(cls("e.safetensors") == cls("a.safetensors"));  // the head alone has trained
  CHECK_THAT(run("inspect", {s / "w.safetensors"}).out, Contains("preset: vitals_demo"));
  const auto wrong = features({"--model", "dinov2_vitb14", "--weights", s / "w.safetensors"}, "f.safetensors");
  CHECK(wrong.status == 1);
  CHECK_THAT(wrong.err, Contains("give --model vitals_demo"));
}

TEST_CASE("the report has the same bits for one and two threads, any batch, and with a cache") {
  test::Study s;
  REQUIRE(run("knn", s.arguments({"--k", "3", "--method", "dinov2", "--threads", "1", "--predictions", s / "p1.csv"},
                                 "1.json"))
              .status == 0);
  REQUIRE(run("knn", s.arguments({"--k", "3", "--method", "dinov2", "--threads", "2", "--batch", "3", "--predictions",
                                  s / "p2.csv"},
                                 "2.json"))
              .status == 0);
  REQUIRE(
      run("knn", s.arguments({"--k", "3", "--method", "dinov2", "--threads", "2", "--cache", s / "cache"}, "3.json"))
          .status == 0);
  const auto cached =
      run("knn", s.arguments({"--k", "3", "--method", "dinov2", "--threads", "1", "--cache", s / "cache"}, "4.json"));
  REQUIRE(cached.status == 0);
  CHECK_THAT(cached.err, Contains("30 of 30 features came from the cache"));
  const auto expected = test::report_without_conditions_of_the_machine(s / "1.json");
  CHECK_THAT(expected, Contains("dinov2 k=3") && Contains("\"value\""));
  for (const char* other : {"2.json", "3.json", "4.json"})
    CHECK(test::report_without_conditions_of_the_machine(s / other) == expected);
  CHECK(test::text_of(s / "p1.csv") == test::text_of(s / "p2.csv"));
}

TEST_CASE(
    "linear_probe: the grid on val, the winner on test, its head in a file; the same bits for one and two threads") {
  test::Study s;
  const std::vector<std::string> how{"--cache", s / "cache", "--epochs", "4", "--lrs", "0.01,0.001", "--blocks", "1,2"};
  auto one = how, two = how;
  one.insert(one.end(), {"--threads", "1", "--save-head", s / "head.safetensors"});
  two.insert(two.end(), {"--threads", "2"});
  const auto done = run("linear_probe", s.arguments(one, "1.json"));
  INFO(done.err);
  REQUIRE(done.status == 0);
  REQUIRE(run("linear_probe", s.arguments(two, "2.json")).status == 0);
  CHECK(test::report_without_conditions_of_the_machine(s / "1.json") ==
        test::report_without_conditions_of_the_machine(s / "2.json"));
  const auto report = test::json_of(s / "1.json");
  std::size_t grid = 0;
  for (const auto& result : report["results"].GetArray())
    grid += result["metric"] == "auroc of the grid" && result["split"] == "val";
  CHECK(grid == 8);
  CHECK(std::string(report["conditions"]["augment"].GetString()) == "none");
  CHECK(report["conditions"]["paper_mode"].IsFalse());
  const auto head = vitals::io::TensorFile::open(s / "head.safetensors");
  REQUIRE(head.find("weight"));
  CHECK(head.find("weight")->shape[0] == 1);
  CHECK(head.find("weight")->shape[1] % 192 == 0);
  CHECK(head.find("bias")->shape == std::vector<std::size_t>{1});
}

TEST_CASE("linear_probe with random crops sees other features than without") {
  test::Study s;
  const std::vector<std::string> how{"--epochs", "1", "--lrs", "0.01", "--blocks", "1", "--avgpool", "0"};
  auto plain = how, augmented = how;
  plain.insert(plain.end(), {"--predictions", s / "p.csv"});
  augmented.insert(augmented.end(), {"--augment", "paper", "--predictions", s / "q.csv"});
  REQUIRE(run("linear_probe", s.arguments(plain)).status == 0);
  const auto done = run("linear_probe", s.arguments(augmented));
  INFO(done.err);
  REQUIRE(done.status == 0);
  CHECK(std::string(test::json_of(s / "r.json")["conditions"]["augment"].GetString()) == "paper");
  CHECK(test::text_of(s / "p.csv") != test::text_of(s / "q.csv"));
}

TEST_CASE("few_shot: one result for each number of shots, and the curve") {
  test::Study s;
  const auto done = run("few_shot", s.arguments({"--shots", "1,4,all", "--k", "3", "--repeats", "2", "--plot",
                                                 s / "f.svg", "--cache", s / "cache"}));
  INFO(done.err);
  REQUIRE(done.status == 0);
  const auto report = test::json_of(s / "r.json");
  CHECK(test::result_of(report, "mlknn k=3 shots=1")["repeats"].GetInt() == 2);
  CHECK(test::result_of(report, "mlknn k=3 shots=1")["ci95"].IsNull());
  CHECK(test::result_of(report, "mlknn k=3 shots=4")["sd"].GetDouble() >= 0);
  CHECK(!test::result_of(report, "mlknn k=3 shots=all").HasMember("sd"));  // nothing random in it
  CHECK_THAT(test::text_of(s / "f.svg"), StartsWith("<svg") && Contains(">all</text>"));
  const auto linear = run("few_shot", s.arguments({"--shots", "2", "--method", "linear", "--selection", "study",
                                                   "--epochs", "3", "--cache", s / "cache"}));
  INFO(linear.err);
  REQUIRE(linear.status == 0);
  const auto study = test::json_of(s / "r.json");  // the same two images each time: images 0 and 13
  CHECK(!test::result_of(study, "linear shots=2").HasMember("sd"));
  CHECK(std::string(study["conditions"]["selection"].GetString()) == "study");
  const auto many = run("few_shot", s.arguments({"--shots", "2,50"}, "none.json"));
  CHECK(many.status == 1);
  CHECK_THAT(test::last_line(many.err), StartsWith("few_shot: error: ") && Contains("50"));
  CHECK(!s.has("none.json"));
}

TEST_CASE("few_shot by the study's rule for NIH: the first patients of each class, where there are patients") {
  test::Study s;
  s.write("manifest.csv",
          "path,label,split,patient\n0.png,a,train,p3\n2.png,a,train,p1\n4.png,a,train,p1\n1.png,b,train,p9\n"
          "3.png,b,train,p10\n5.png,b,test,p4\n6.png,a,test,p5\n");
  const std::vector<std::string> how{"--shots", "1", "--k", "1", "--selection", "study-nih"};
  const auto done = run("few_shot", s.arguments(how));
  INFO(done.err);
  REQUIRE(done.status == 0);
  const auto report = test::json_of(s / "r.json");
  CHECK(std::string(report["conditions"]["selection"].GetString()) == "study-nih");
  CHECK(!test::result_of(report, "mlknn k=1 shots=1").HasMember("sd"));
  s.write("manifest.csv", "path,label,split\n0.png,a,train\n1.png,b,train\n2.png,a,test\n3.png,b,test\n");
  const auto without = run("few_shot", s.arguments(how, "none.json"));
  CHECK(without.status == 1);
  CHECK_THAT(test::last_line(without.err), Contains("an image without patient") && Contains("0.png"));
  s.write("manifest.csv",
          "path,label,split,patient\n0.png,a,train,1\n1.png,b,train,1\n2.png,a,test,2\n3.png,b,test,2\n");
  const auto nobody = run("few_shot", s.arguments(how, "none.json"));
  CHECK(nobody.status == 1);
  CHECK_THAT(test::last_line(nobody.err), Contains("no patient"));
  CHECK(!s.has("none.json"));
}

TEST_CASE("linear_probe without val: paper mode picks on test, and says so once") {
  test::Study s;
  s.write("manifest.csv",
          "path,label,split\n0.png,a,train\n1.png,b,train\n2.png,a,train\n3.png,b,train\n4.png,a,test\n5.png,b,test\n");
  const auto done =
      run("linear_probe", s.arguments({"--paper-mode", "--epochs", "1", "--lrs", "0.01", "--blocks", "1"}));
  INFO(done.err);
  REQUIRE(done.status == 0);
  const auto report = test::json_of(s / "r.json");
  std::size_t said = 0;
  for (const auto& note : report["notes"].GetArray())
    said += std::string(note.GetString()).find("picked on test") != std::string::npos;
  CHECK(said == 1);
}

TEST_CASE("a class that the test split lacks is null and named") {
  test::Study s;
  s.write("manifest.csv",
          "path,label,split\n0.png,a,train\n1.png,b,train\n2.png,c,train\n3.png,b,val\n4.png,a,test\n5.png,b,test\n6."
          "png,a,test\n");
  const auto done = run("knn", s.arguments({"--k", "2"}));
  REQUIRE(done.status == 0);
  const auto report = test::json_of(s / "r.json");
  const auto& result = test::result_of(report, "mlknn k=2");
  CHECK(result["per_class"]["c"].IsNull());
  CHECK(std::string(result["undefined"]["c"].GetString()) == "no positive item");
  CHECK(result["value"].IsNumber());
  CHECK_THAT(done.out, Contains("not defined: mlknn k=2, auroc, class c: no positive item"));
}

TEST_CASE("a patient in two splits is allowed when asked for, and the report says so") {
  test::Study s;
  s.write("manifest.csv",
          "path,label,split,patient\n0.png,a,train,p1\n1.png,b,train,p2\n2.png,a,test,p1\n3.png,b,test,p3\n");
  REQUIRE(run("knn", s.arguments({"--k", "1", "--allow-patient-overlap"})).status == 0);
  const auto report = test::json_of(s / "r.json");
  CHECK(report["conditions"]["patient_overlap"].IsTrue());
  CHECK_THAT(report["notes"][1].GetString(), Contains("more than one split"));
}

TEST_CASE("real chest X-rays and the real backbone: better than chance") {
  NEEDS_SHARED("data/cxr_pneumonia_kermany/manifest_patient_disjoint.csv");
  NEEDS_SHARED("weights/dinov2_vits14/dinov2_vits14_pretrain.pth");
  test::Study s;
  const auto folder = test::shared("data/cxr_pneumonia_kermany");
  std::ifstream manifest(folder / "manifest_patient_disjoint.csv");
  std::string line, some = "path,label,split,patient\n";
  std::getline(manifest, line);
  for (std::size_t i = 0; std::getline(manifest, line); ++i)
    if (i % 6 == 0) some += std::filesystem::absolute(folder).string() + "/" + line + "\n";
  s.write("manifest.csv", some);
  const auto done =
      run("linear_probe",
          {"--data", s / "manifest.csv", "--size", "98", "--epochs", "30", "--bootstrap", "100", "--weights",
           test::shared("weights/dinov2_vits14/dinov2_vits14_pretrain.pth").string(), "--report", s / "r.json"});
  INFO(done.err);
  REQUIRE(done.status == 0);
  const auto report = test::json_of(s / "r.json");
  const auto& results = report["results"].GetArray();
  const auto scored = std::find_if(results.begin(), results.end(), [](const auto& r) {
    return std::string(r["split"].GetString()) == "test" && std::string(r["metric"].GetString()) == "auroc";
  });
  REQUIRE(scored != results.end());
  CHECK((*scored)["value"].GetDouble() > 0.75);
  CHECK(report["notes"].Empty());
  CHECK(report["conditions"]["weights_sha256"].GetStringLength() == 64);
}
