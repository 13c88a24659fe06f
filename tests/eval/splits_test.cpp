#include <vitals/eval/splits.hpp>

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include <vitals/core/error.hpp>

#include "json.hpp"
#include "paths.hpp"

namespace vt = vitals;
using vt::eval::split_indices;
using vt::eval::study_split_rule;
using vt::eval::systematic;
using vt::eval::systematic_count;
using Indices = std::vector<std::size_t>;

TEST_CASE("a systematic sample rounds halves to even") {
  CHECK(systematic(10, 2.5) == Indices{0, 2, 5, 8});  // 0, 2.5, 5, 7.5
  CHECK(systematic(6, 1.5) == Indices{0, 2, 3, 4});   // 0, 1.5, 3, 4.5
  CHECK(systematic(0, 3) == Indices{});
  CHECK(systematic_count(10, 10) == Indices{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  CHECK(systematic_count(69, 2) == Indices{0, 34});  // 34.5
}

TEST_CASE("an index that rounds up to n is left out") {
  // The step n / k was rounded down, so one more element, equal to n, comes before the end.
  for (auto [n, k] : {std::pair{15, 13}, {17, 7}, {34, 29}, {260, 30}}) {
    const auto picked = systematic_count(n, k);
    CHECK(picked.size() == static_cast<std::size_t>(k));
    CHECK(picked.back() < static_cast<std::size_t>(n));
  }
}

TEST_CASE("an impossible sample is refused") {
  CHECK_THROWS_AS(systematic(10, 0.5), vt::ArgumentError);
  CHECK_THROWS_AS(systematic(10, 0), vt::ArgumentError);
  CHECK_THROWS_AS(systematic(10, std::nan("")), vt::ArgumentError);
  CHECK_THROWS_AS(systematic_count(10, 11), vt::ArgumentError);
  CHECK_THROWS_AS(systematic_count(10, 0), vt::ArgumentError);
  CHECK_THROWS_AS(split_indices(study_split_rule("amos"), 100), vt::ArgumentError);  // 80, then 20, then 50 of none
  CHECK_THROWS_WITH(study_split_rule("amoss"), Catch::Contains("amoss") && Catch::Contains("montgomery"));
}

TEST_CASE("the study's sizes follow from its rules") {
  struct Sizes {
    const char* rule;
    std::size_t n, train, val, test, unused;
  };
  for (const auto& s : {Sizes{"montgomery", 138, 69, 23, 46, 0}, Sizes{"shenzhen", 566, 361, 91, 114, 0},
                        Sizes{"sars_cov_2_ct", 210, 90, 50, 70, 0}, Sizes{"brain_tumour", 233, 113, 50, 70, 0},
                        Sizes{"msd_hippocampus", 260, 120, 60, 80, 0}, Sizes{"msd_spleen", 41, 16, 10, 15, 0},
                        Sizes{"amos", 300, 80, 20, 50, 150}}) {
    CAPTURE(s.rule);
    const auto parts = split_indices(study_split_rule(s.rule), s.n);
    CHECK(parts.train.size() == s.train);
    CHECK(parts.val.size() == s.val);
    CHECK(parts.test.size() == s.test);
    CHECK(parts.unused.size() == s.unused);
    Indices all;
    for (const auto* part : {&parts.train, &parts.val, &parts.test, &parts.unused}) {
      CHECK(std::is_sorted(part->begin(), part->end()));
      all.insert(all.end(), part->begin(), part->end());
    }
    std::sort(all.begin(), all.end());
    Indices every(s.n);
    std::iota(every.begin(), every.end(), std::size_t{0});
    CHECK(all == every);
  }
  CHECK(vt::eval::study_split_rules().size() == 7);
}

TEST_CASE("the second step of a rule works on what the first left") {
  const auto parts = split_indices(study_split_rule("montgomery"), 12);
  CHECK(parts.test == Indices{0, 3, 6, 9});
  CHECK(parts.val == Indices{1, 7});  // of 1 2 4 5 7 8 10 11
  CHECK(parts.train == Indices{2, 4, 5, 8, 10, 11});
}

TEST_CASE("names are sorted before they are split") {
  const auto parts = vt::eval::split_names(study_split_rule("shenzhen"), {"f", "b", "a", "e", "d", "c", "B"});
  CHECK(parts.test == std::vector<std::string>{"B", "e"});
  CHECK(parts.val == std::vector<std::string>{"a"});
  CHECK(parts.train == std::vector<std::string>{"b", "c", "d", "f"});
}

TEST_CASE("patients stay together, numbered by their first image") {
  const vt::eval::SplitRule rule{"every second", {{vt::data::Split::test, 2, 0}, {vt::data::Split::val, 0, 1}}};
  const std::vector<std::string> patients{"z", "a", "z", "m", "a", "k", "z"};  // z a m k
  const auto parts = vt::eval::split_groups(rule, patients);
  CHECK(parts.test == Indices{0, 2, 3, 6});  // z, m
  CHECK(parts.val == Indices{1, 4});         // a
  CHECK(parts.train == Indices{5});          // k
}

TEST_CASE("NIH: the last 10002 lines are val") {
  const auto parts = vt::eval::nih_split(86524);
  CHECK(parts.train.size() == 76522);
  CHECK(parts.train.back() == 76521);
  CHECK(parts.val.size() == 10002);
  CHECK(parts.val.front() == 76522);
  CHECK(parts.val.back() == 86523);
  CHECK_THROWS_AS(vt::eval::nih_split(10002), vt::ArgumentError);
}

TEST_CASE("goldens: every split") {
  NEEDS_SHARED("goldens/evaluation/splits.json");
  const auto golden = test::read_json(test::shared("goldens/evaluation/splits.json"));
  std::size_t checked = 0;
  for (const auto& split : golden["splits"]) {
    std::string name = split["name"];
    CAPTURE(name);
    name = name.substr(0, name.find(' '));
    const auto parts = split_indices(study_split_rule(name), split["n"].get<std::size_t>());
    for (auto [key, part] : {std::pair{"train", &parts.train}, {"val", &parts.val}, {"test", &parts.test}})
      if (split.contains(key)) CHECK(*part == split[key].get<Indices>());
    CHECK((name == "amos" ? parts.unused : parts.train).size() == split["rest"].get<std::size_t>());
    ++checked;
  }
  CHECK(checked == 7);
}
