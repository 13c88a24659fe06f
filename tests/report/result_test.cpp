#include <vitals/report/result.hpp>

#include <cmath>
#include <fstream>
#include <iterator>
#include <limits>

#include <rapidjson/document.h>

#include <catch2/catch.hpp>

#include <paths.hpp>
#include <vitals/core/error.hpp>
#include <vitals/report/text.hpp>

namespace vt = vitals;
using vt::report::Report;
using vt::report::Result;

namespace {

Report example() {
  Report report{"knn", "0.1.0", {}, {}, {}, 0, {}};
  report.conditions = {{"model", std::string("dinov2_vits14")},
                       {"seed", 0LL},
                       {"patients_overlap", false},
                       {"temperature", 0.07},
                       {"size", std::vector<std::string>{"224", "224"}}};
  Result r;
  r.name = "mlknn k=10";
  r.split = "test";
  r.metric = "auroc";
  r.value = 0.1 + 0.2;
  r.ci95 = vt::metrics::Interval{0.25, 1.0 / 3};
  r.n = 200;
  r.per_class = {{"normal", 0.5}, {"pneumo\"nia", vt::metrics::Score::none("no positive targets")}};
  report.results.push_back(r);
  report.time_s = {{"features", 12.5}};
  report.peak_memory_mib = 321.5;
  report.notes = {"random weights"};
  return report;
}

}  // namespace

TEST_CASE("a report is JSON in the stated order, with every double coming back exactly") {
  const std::string text = vt::report::to_json(example());
  rapidjson::Document json;
  json.Parse<rapidjson::kParseFullPrecisionFlag>(text.c_str());
  REQUIRE(!json.HasParseError());
  CHECK(json["program"] == "knn");
  CHECK(json["version"] == "0.1.0");
  CHECK(json["conditions"]["seed"].GetInt64() == 0);
  CHECK(json["conditions"]["patients_overlap"].IsFalse());
  CHECK(json["conditions"]["size"][1] == "224");
  CHECK(json["results"][0]["value"].GetDouble() == 0.1 + 0.2);
  CHECK(json["results"][0]["ci95"][1].GetDouble() == 1.0 / 3);
  CHECK(json["results"][0]["n"].GetInt() == 200);
  CHECK(json["time_s"]["features"].GetDouble() == 12.5);
  CHECK(json["notes"][0] == "random weights");
  std::size_t before = 0;
  for (const char* key : {"\"program\"", "\"version\"", "\"conditions\"", "\"model\"", "\"seed\"",
                          "\"patients_overlap\"", "\"results\"", "\"notes\"", "\"time_s\"", "\"peak_memory_mib\""}) {
    const std::size_t at = text.find(key);
    REQUIRE(at != std::string::npos);
    CHECK(at > before);
    before = at;
  }
}

TEST_CASE("what is not defined is null and has its reason, class by class") {
  auto report = example();
  report.results[0].value = vt::metrics::Score::none("no class is defined");
  report.results[0].ci95.reset();
  report.results[0].per_class.emplace_back("inf", std::numeric_limits<double>::infinity());
  rapidjson::Document json;
  json.Parse(vt::report::to_json(report).c_str());
  REQUIRE(!json.HasParseError());
  const auto& r = json["results"][0];
  CHECK(r["value"].IsNull());
  CHECK(r["reason"] == "no class is defined");
  CHECK(r["ci95"].IsNull());
  CHECK(r["per_class"]["normal"].GetDouble() == 0.5);
  CHECK(r["per_class"]["pneumo\"nia"].IsNull());
  CHECK(r["undefined"]["pneumo\"nia"] == "no positive targets");
  CHECK(r["per_class"]["inf"].IsNull());
  CHECK(r["undefined"]["inf"] == "not a finite number");
  CHECK(!r["undefined"].HasMember("normal"));
}

TEST_CASE("bytes that are no UTF-8 do not break the JSON") {
  auto report = example();
  report.conditions.emplace_back("data", std::string("caf\xe9/m\xc3\xa9"
                                                     "decin.csv"));
  rapidjson::Document json;
  json.Parse<rapidjson::kParseValidateEncodingFlag>(vt::report::to_json(report).c_str());
  REQUIRE(!json.HasParseError());
  CHECK(json["conditions"]["data"] ==
        "caf\xef\xbf\xbd/m\xc3\xa9"
        "decin.csv");
}

TEST_CASE("the table lines up, shows the classes, and says what is not defined") {
  const std::string text = vt::report::table(example().results);
  CHECK(text ==
        "| name       | metric | value | 95 % interval |   n | normal | pneumo\"nia |\n"
        "| ---------- | ------ | ----: | ------------: | --: | -----: | ---------: |\n"
        "| mlknn k=10 | auroc  | 0.300 | 0.250 - 0.333 | 200 |  0.500 |          - |\n"
        "not defined: mlknn k=10, auroc, class pneumo\"nia: no positive targets\n");
}

TEST_CASE("a report is written whole, or the old one stays") {
  test::TemporaryFolder folder;
  vt::report::write_json(folder / "r.json", example());
  std::ifstream stream(folder / "r.json");
  CHECK(std::string(std::istreambuf_iterator<char>(stream), {}) == vt::report::to_json(example()));
  CHECK_THROWS_AS(vt::report::write_json(folder / "none/r.json", example()), vt::IoError);
}

TEST_CASE("the peak of memory grows with what is touched") {
  const double before = vt::report::peak_memory_mib();
  CHECK(before > 1);
  std::vector<char> big(256u << 20, 1);
  CHECK(vt::report::peak_memory_mib() > before + 200);
  CHECK(big[12345] == 1);
}

TEST_CASE("numbers and names as text") {
  CHECK(vt::report::fixed(0.1235, 3) == "0.123");  // 0.1235 is a little less in binary
  CHECK(vt::report::fixed(-0.0001, 2) == "0.00");
  CHECK(vt::report::fixed(-1.5, 1) == "-1.5");
  CHECK(vt::report::fixed(std::nan(""), 2) == "nan");
  CHECK(vt::report::valid_utf8("\xed\xa0\x80") == "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");  // a surrogate
  CHECK(vt::report::valid_utf8("\xf0\x9f\xab\x80") == "\xf0\x9f\xab\x80");
  CHECK(vt::report::display_width("m\xc3\xa9"
                                  "decin") == 7);
  CHECK(vt::report::xml_escape("a<b>&\"c\"\x01") == "a&lt;b&gt;&amp;&quot;c&quot;");
}
