#include <vitals/report/classification.hpp>

#include <cmath>
#include <fstream>
#include <limits>

#include <catch2/catch.hpp>

#include <paths.hpp>
#include <vitals/core/error.hpp>
#include <vitals/core/rng.hpp>
#include <vitals/report/predictions.hpp>

namespace vt = vitals;
using Catch::Matchers::Contains;
using vt::dyn;
using vt::data::Task;

namespace {

using Targets = vt::Tensor<std::uint8_t, dyn, dyn>;
using Scores = vt::Tensor<double, dyn, dyn>;

Targets targets(std::size_t k, const std::vector<std::uint8_t>& v) { return Targets({v.size() / k, k}, v); }
Scores scores(std::size_t k, const std::vector<double>& v) { return Scores({v.size() / k, k}, v); }

const vt::report::Result& named(const std::vector<vt::report::Result>& all, const std::string& metric) {
  for (const auto& r : all)
    if (r.metric == metric) return r;
  throw std::runtime_error("no metric " + metric);
}

}  // namespace

TEST_CASE("a binary task: the second class is the positive one") {
  // Positives score 0.9, 0.6, 0.3; negatives 0.4, 0.2. Of 6 pairs 5 are in order.
  const auto t = targets(2, {0, 1, 0, 1, 0, 1, 1, 0, 1, 0});
  const auto s = scores(2, {0.1, 0.9, 0.4, 0.6, 0.7, 0.3, 0.6, 0.4, 0.8, 0.2});
  const auto all = vt::report::classification_results("m", "test", Task::binary, {"no", "yes"}, t, s);
  REQUIRE(all.size() == 9);
  for (const auto& r : all) {
    CHECK(r.name == "m");
    CHECK(r.split == "test");
    CHECK(r.n == 5);
  }
  CHECK(*all[0].value.value == Approx(5.0 / 6));
  CHECK(*all[0].per_class[0].second.value == Approx(5.0 / 6));
  CHECK(named(all, "average_precision").per_class[1].second.value == Approx((1 + 1 + 0.75) / 3));
  CHECK(*named(all, "accuracy").value.value == Approx(0.8));
  CHECK(*named(all, "sensitivity").value.value == Approx(2.0 / 3));
  CHECK(*named(all, "specificity").value.value == Approx(1.0));
  CHECK(*named(all, "f1").value.value == Approx(0.8));
  CHECK(*named(all, "balanced_accuracy").value.value == Approx((2.0 / 3 + 1) / 2));
  CHECK(*named(all, "brier").value.value == Approx((0.01 + 0.16 + 0.49 + 0.16 + 0.04) / 5));
  CHECK(!named(all, "ece").ci95);
  const auto& ci = all[0].ci95;
  REQUIRE(ci);
  CHECK(ci->low < 5.0 / 6);
  CHECK(ci->high == 1);
  REQUIRE(all[0].per_class_ci95.size() == 2);
  CHECK(all[0].per_class_ci95[1].second.low < 5.0 / 6);
}

TEST_CASE("three classes: the highest score is the prediction, Brier sums over the classes") {
  const auto t = targets(3, {1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1});
  const auto s = scores(3, {0.7, 0.2, 0.1, 0.5, 0.3, 0.2, 0.1, 0.1, 0.8, 0.2, 0.2, 0.6});
  const auto all = vt::report::classification_results("m", "test", Task::multiclass, {"a", "b", "c"}, t, s);
  CHECK(*named(all, "accuracy").value.value == Approx(0.75));
  CHECK(named(all, "accuracy").per_class.empty());
  CHECK(*named(all, "balanced_accuracy").value.value == Approx(2.0 / 3));
  CHECK(*named(all, "sensitivity").per_class[2].second.value == 1);
  CHECK(*named(all, "brier").value.value ==
        Approx((0.09 + 0.04 + 0.01 + 0.25 + 0.49 + 0.04 + 0.01 + 0.01 + 0.04 + 0.04 + 0.04 + 0.16) / 4));
  CHECK(*named(all, "f1").per_class[1].second.value == 0);
}

TEST_CASE("several labels: each class by itself at 0.5, an absent class is named and left out of the mean") {
  const auto t = targets(2, {1, 0, 0, 0, 1, 0, 0, 0});
  const auto s = scores(2, {0.5, 0.9, 0.4, 0.1, 0.3, 0.2, 0.2, 0.6});
  const auto all = vt::report::classification_results("m", "test", Task::multilabel, {"a", "b"}, t, s);
  CHECK(*all[0].value.value == Approx(0.75));  // of a alone
  CHECK(!all[0].per_class[1].second);
  CHECK(all[0].per_class[1].second.undefined == "no positive item");
  CHECK(*named(all, "accuracy").value.value == Approx((0.75 + 0.5) / 2));
  CHECK(*named(all, "accuracy").per_class[0].second.value == Approx(0.75));
}

TEST_CASE("scores that are no probabilities have no Brier score, and say so; NaN is refused") {
  const auto t = targets(2, {1, 0, 0, 1});
  const auto all =
      vt::report::classification_results("m", "test", Task::binary, {"a", "b"}, t, scores(2, {1, -3, -2, 2}));
  CHECK(*all[0].value.value == 1);
  CHECK(named(all, "brier").value.undefined == "score outside 0..1");
  CHECK(!named(all, "brier").ci95);
  CHECK(named(all, "ece").value.undefined == "score outside 0..1");
  CHECK_THROWS_AS(
      vt::report::classification_results("m", "test", Task::binary, {"a", "b"}, t, scores(2, {1, std::nan(""), 0, 1})),
      vt::DataError);
  CHECK_THROWS_AS(vt::report::classification_results("m", "test", Task::binary, {"a", "b"}, targets(2, {1, 1, 0, 1}),
                                                     scores(2, {1, 0, 0, 1})),
                  vt::DataError);
  CHECK_THROWS_AS(vt::report::classification_results("m", "test", Task::binary, {"a"}, t, scores(2, {1, 0, 0, 1})),
                  vt::ShapeError);
}

TEST_CASE("intervals have the same bits for any number of threads, are wider by patient, and narrow with n") {
  vt::Rng rng(3);
  Targets t({400, 2});
  Scores s({400, 2});
  std::vector<std::string> patients;
  for (std::size_t i = 0; i < 400; ++i) {
    const std::size_t patient = i / 10;  // ten images of a patient are alike
    const bool positive = patient % 2;
    t(i, positive ? 1u : 0u) = 1;
    s(i, 1u) = 1 / (1 + std::exp(-(positive ? 1.0 : 0.0) - vt::Rng(4, patient).normal_at(0) - 0.1 * rng.normal()));
    s(i, 0u) = 1 - s(i, 1u);
    patients.push_back("p" + std::to_string(patient));
  }
  vt::ThreadPool one(1), three(3);
  const auto run = [&](vt::Executor& pool, std::vector<std::string> names) {
    return vt::report::classification_results("m", "test", Task::binary, {"a", "b"}, t, s,
                                              {.bootstrap = 300, .patients = std::move(names), .executor = &pool});
  };
  const auto a = run(one, {}), b = run(three, {}), by_patient = run(one, patients);
  for (std::size_t m = 0; m < 8; ++m) {
    REQUIRE(a[m].ci95);
    CHECK(a[m].ci95->low == b[m].ci95->low);
    CHECK(a[m].ci95->high == b[m].ci95->high);
  }
  CHECK(by_patient[0].ci95->high - by_patient[0].ci95->low > 1.5 * (a[0].ci95->high - a[0].ci95->low));
  // DeLong and the bootstrap by item agree about the AUROC
  CHECK(a[0].per_class_ci95[1].second.low == Approx(a[0].ci95->low).margin(0.02));
  CHECK(a[0].per_class_ci95[1].second.high == Approx(a[0].ci95->high).margin(0.02));
}

TEST_CASE("predictions go to a file and come back as they were written") {
  test::TemporaryFolder folder;
  vt::report::Predictions p{
      {"a,1.png", "b.png"}, {"no", "y\"es"}, targets(2, {1, 0, 0, 1}), scores(2, {0.1, 1.0 / 3, 1e-20, 123456789.123})};
  vt::report::write_predictions(folder / "p.csv", p);
  std::ifstream file(folder / "p.csv");
  std::string line;
  std::getline(file, line);
  CHECK(line == "path,target:no,\"target:y\"\"es\",score:no,\"score:y\"\"es\"");
  std::getline(file, line);
  CHECK(line == "\"a,1.png\",1,0,0.1,0.333333333");
  const auto q = vt::report::read_predictions(folder / "p.csv");
  CHECK(q.paths == p.paths);
  CHECK(q.classes == p.classes);
  CHECK(std::equal(p.targets.begin(), p.targets.end(), q.targets.begin()));
  for (std::size_t i = 0; i < 4; ++i) CHECK(q.scores.data()[i] == vt::report::as_written(p.scores.data()[i]));
  CHECK(q.scores(0u, 1u) == 0.333333333);
}

TEST_CASE("faults of a predictions file are named with row and column") {
  test::TemporaryFolder folder;
  const auto read = [&](const std::string& text) {
    std::ofstream(folder / "p.csv") << text;
    return vt::report::read_predictions(folder / "p.csv");
  };
  CHECK_THROWS_WITH(read("path,target:a,score:a\nx,1,0.5\ny,2,0.5\n"),
                    Contains("\"2\"") && Contains("row 2") && Contains("target:a"));
  CHECK_THROWS_WITH(read("path,target:a,score:a\nx,1,oops\n"), Contains("\"oops\"") && Contains("score:a"));
  CHECK_THROWS_WITH(read("path,target:a,score:a\nx,1,nan\n"), Contains("is no number"));
  CHECK_THROWS_WITH(read("path,target:a\nx,1\n"), Contains("score:a"));
  CHECK_THROWS_WITH(read("path,target:a,score:a,score:b\nx,1,0.5,0.5\n"), Contains("target:b"));
  CHECK_THROWS_WITH(read("path,a\nx,1\n"), Contains("no column target:CLASS"));
  CHECK(read("score:a,path,extra,target:a\n0.5,x,?,1\n").scores(0u, 0u) == 0.5);
}
