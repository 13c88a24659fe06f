#include <vitals/report/svg.hpp>

#include <algorithm>

#include <catch2/catch.hpp>

#include <vitals/core/error.hpp>

namespace vt = vitals;
using namespace vt::report;

namespace {

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t n = 0;
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++n;
  return n;
}

// Every tag is closed and nothing of the text slips into the markup.
void check_well_formed(const std::string& svg) {
  CHECK(svg.rfind("<svg xmlns=\"http://www.w3.org/2000/svg\"", 0) == 0);
  CHECK(svg.size() > 7);
  CHECK(svg.substr(svg.size() - 7) == "</svg>\n");
  CHECK(count(svg, "<text") == count(svg, "</text>"));
  CHECK(count(svg, "<") == count(svg, ">"));
  CHECK(count(svg, "nan") == 0);
}

}  // namespace

TEST_CASE("the ROC plot draws each curve from corner to corner, and says why one has no points") {
  const std::vector<std::uint8_t> targets{1, 0, 1, 0}, alike{1, 1, 1, 1};
  const std::vector<double> perfect{0.9, 0.1, 0.8, 0.2};
  const std::vector<std::pair<std::string, vt::metrics::Curve>> curves{
      {"a", vt::metrics::roc_curve(targets, perfect, true)}, {"b", vt::metrics::roc_curve(alike, perfect)}};
  const auto svg = roc_svg("Lungs & <hearts>", curves);
  check_well_formed(svg);
  CHECK(count(svg, "<polyline") == 1);
  CHECK(svg.find("points=\"70.00,450.00 70.00,50.00 470.00,50.00\"") != std::string::npos);
  CHECK(svg.find("Lungs &amp; &lt;hearts&gt;") != std::string::npos);
  CHECK(svg.find("b (not defined: no negative item)") != std::string::npos);
  CHECK(svg == roc_svg("Lungs & <hearts>", curves));
}

TEST_CASE("the few-shot plot leaves a gap where a score is not defined") {
  const auto svg =
      few_shot_svg("Few shots", "AUROC", {"1", "2", "all"}, {{"linear", {0.5, std::nullopt, 0.9}, {0.1, 0, 0}}});
  check_well_formed(svg);
  CHECK(count(svg, "<circle") == 2);
  CHECK_THROWS_AS(few_shot_svg("t", "m", {"1", "2"}, {{"linear", {0.5}, {}}}), vt::ShapeError);
  check_well_formed(few_shot_svg("t", "m", {"1"}, {{"linear", {std::nullopt}, {}}}));
  check_well_formed(few_shot_svg("t", "m", {"1"}, {{"linear", {0.7}, {}}}));
}

TEST_CASE("the table of scores draws value and interval, and writes why there is none") {
  std::vector<Result> results(2);
  results[0].name = "linear";
  results[0].metric = results[1].metric = "auroc";
  results[0].value = 0.75;
  results[0].ci95 = vt::metrics::Interval{0.7, 0.8};
  results[1].name = "knn";
  results[1].value = vt::metrics::Score::none("no positives");
  const auto svg = table_svg("Scores", results);
  check_well_formed(svg);
  CHECK(count(svg, "<circle") == 1);
  CHECK(svg.find("0.750  (0.700 - 0.800)") != std::string::npos);
  CHECK(svg.find("not defined: no positives") != std::string::npos);
}
