#include <vitals/eval/few_shot.hpp>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include <vitals/core/error.hpp>
#include <vitals/eval/splits.hpp>

#include "json.hpp"
#include "paths.hpp"

namespace vt = vitals;
using vt::data::Split;
using Indices = std::vector<std::size_t>;

namespace {

vt::data::Dataset dataset_of(std::vector<Indices> labels, std::size_t classes) {
  vt::data::Dataset dataset;
  for (std::size_t c = 0; c < classes; ++c) dataset.classes.push_back(std::string(1, static_cast<char>('a' + c)));
  for (std::size_t i = 0; i < labels.size(); ++i)
    dataset.items.push_back({"image" + std::to_string(i), labels[i], Split::train, ""});
  return dataset;
}

std::size_t count(const vt::data::Dataset& dataset, const Indices& items, std::size_t label) {
  return static_cast<std::size_t>(std::count_if(items.begin(), items.end(), [&](auto i) {
    const auto& labels = dataset.items[i].labels;
    return std::find(labels.begin(), labels.end(), label) != labels.end();
  }));
}

}  // namespace

TEST_CASE("per class: as many of each as asked, from train alone, by seed") {
  std::vector<Indices> labels;
  for (std::size_t i = 0; i < 90; ++i) labels.push_back({i % 3});
  auto dataset = dataset_of(labels, 3);
  for (std::size_t i = 0; i < 90; i += 2) dataset.items[i].split = i % 4 ? Split::val : Split::test;
  std::set<Indices> different;
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    const auto items = vt::eval::few_shot_per_class(dataset, 4, seed);
    CHECK(items.size() == 12);
    CHECK(std::is_sorted(items.begin(), items.end()));
    for (std::size_t c = 0; c < 3; ++c) CHECK(count(dataset, items, c) == 4);
    for (auto i : items) CHECK(dataset.items[i].split == Split::train);
    CHECK(items == vt::eval::few_shot_per_class(dataset, 4, seed));
    different.insert(items);
  }
  CHECK(different.size() == 8);
  CHECK_THROWS_AS(vt::eval::few_shot_per_class(dataset, 0, 0), vt::ArgumentError);
  CHECK_THROWS_WITH(vt::eval::few_shot_per_class(dataset, 16, 0),
                    Catch::Contains("class a") && Catch::Contains("has 15"));
}

TEST_CASE("per class, several labels: an image serves all its classes, images without label are a class too") {
  const auto dataset = dataset_of({{0, 1}, {0, 1}, {1}, {1}, {2}, {0, 2}, {}, {}, {}}, 3);
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const auto items = vt::eval::few_shot_per_class(dataset, 2, seed);
    for (std::size_t c = 0; c < 3; ++c) CHECK(count(dataset, items, c) >= 2);
    CHECK(std::count_if(items.begin(), items.end(), [](auto i) { return i >= 6; }) == 2);
    CHECK(std::count(items.begin(), items.end(), 4u) == 1);  // class c has two images only
  }
  const auto few = dataset_of({{0}, {0}, {0}, {1}, {1}, {1}, {}}, 2);
  CHECK(vt::eval::few_shot_per_class(few, 3, 0) == Indices{0, 1, 2, 3, 4, 5, 6});  // one without label is all there is
}

TEST_CASE("the study's rule takes a systematic sample in all") {
  auto dataset = dataset_of(std::vector<Indices>(12, Indices{0}), 2);
  dataset.items[0].split = dataset.items[5].split = Split::test;
  CHECK(vt::eval::few_shot_study(dataset, 4) == Indices{1, 3, 7, 10});  // 0, 2, 5, 8 of the ten left
  CHECK_THROWS_AS(vt::eval::few_shot_study(dataset, 11), vt::ArgumentError);
}

TEST_CASE("NIH: patients all of whose images carry the class, ascending by number") {
  const auto item = [](Indices labels, const char* patient) {
    return vt::data::Item{"x", std::move(labels), Split::train, patient};
  };
  const std::vector<vt::data::Item> items{item({0}, "10"), item({0}, "9"), item({0, 1}, "9"), item({0, 1}, "010"),
                                          item({1}, "2"),  item({0}, "2"), item({1}, "11")};
  CHECK(vt::eval::few_shot_nih(items, 2, 1) == Indices{1, 2, 6});        // 9; then 11
  CHECK(vt::eval::few_shot_nih(items, 2, 2) == Indices{1, 2, 0, 3, 6});  // 9, 10; then 11
  const std::vector<vt::data::Item> nobody{item({0}, "")};
  CHECK_THROWS_AS(vt::eval::few_shot_nih(nobody, 1, 1), vt::DataError);
}

TEST_CASE("NIH: a patient taken before counts among the shots") {
  const auto item = [](Indices labels, const char* patient) {
    return vt::data::Item{"x", std::move(labels), Split::train, patient};
  };
  auto dataset = dataset_of({}, 2);
  dataset.items = {item({0, 1}, "1"), item({1}, "2"), item({0, 1}, "3"), item({1}, "4")};
  CHECK(vt::eval::few_shot_nih(dataset, 1) == Indices{0});  // of class 1 again patient 1: nothing new
  CHECK(vt::eval::few_shot_nih(dataset, 2) == Indices{0, 2, 1});
  dataset.items[0].split = Split::test;
  CHECK(vt::eval::few_shot_nih(dataset, 1) == Indices{2, 1});
}

TEST_CASE("goldens: systematic few-shot") {
  NEEDS_SHARED("goldens/evaluation/few_shot.json");
  const auto golden = test::read_json(test::shared("goldens/evaluation/few_shot.json"));
  for (const auto& c : golden["cases"]) {
    const auto dataset = dataset_of(std::vector<Indices>(c["n"].get<std::size_t>(), Indices{0}), 1);
    CHECK(vt::eval::few_shot_study(dataset, c["shots"].get<std::size_t>()) == c["index"].get<Indices>());
  }
  for (const auto& c : golden["one_too_many"]) {
    const auto n = c["n"].get<std::size_t>(), k = c["k"].get<std::size_t>();
    const auto picked = vt::eval::systematic_count(n, k);
    CHECK(picked.size() == k);
    CHECK(picked.back() < n);
  }
}

TEST_CASE("goldens: NIH few-shot on a made-up table") {
  NEEDS_SHARED("goldens/evaluation/nih_few_shot.json");
  const auto golden = test::read_json(test::shared("goldens/evaluation/nih_few_shot.json"));
  const auto classes = golden["classes"].get<std::vector<std::string>>();
  std::vector<vt::data::Item> items;
  std::ifstream table(test::shared("goldens/evaluation/nih_made_up.csv"));
  std::string line;
  std::getline(table, line);
  while (std::getline(table, line)) {
    std::istringstream row(line);
    vt::data::Item item;
    std::string labels, label;
    std::getline(row, item.path, ',');
    std::getline(row, labels, ',');
    std::getline(row, item.patient);
    for (std::istringstream all(labels); std::getline(all, label, '|');)
      item.labels.push_back(
          static_cast<std::size_t>(std::find(classes.begin(), classes.end(), label) - classes.begin()));
    items.push_back(item);
  }
  CHECK(items.size() == 40);
  for (const auto& [shots, expected] : golden["shots"].items())
    CHECK(vt::eval::few_shot_nih(items, classes.size(), std::stoul(shots)) == expected["rows"].get<Indices>());
}
