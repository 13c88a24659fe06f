// CSV: RFC 4180 in and out, lines counted for messages, and tables that are refused.
#include <vitals/io/csv.hpp>

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include <vitals/core/error.hpp>

#include "archives.hpp"
#include "paths.hpp"

namespace vt = vitals;
using Catch::Matchers::Contains;
using Rows = std::vector<std::vector<std::string>>;

namespace {

vt::io::CsvTable parse(const std::string& text) { return vt::io::parse_csv(text, "t.csv"); }
void refused(const std::string& text, const std::string& what, const std::string& where) {
  CHECK_THROWS_AS(parse(text), vt::FormatError);
  CHECK_THROWS_WITH(parse(text), Contains(what) && Contains(where));
}

}  // namespace

TEST_CASE("fields, quotes and line ends") {
  const auto t = parse("path,label,split\na.png,Mass|Nodule,train\n\"b, c.png\",\"say \"\"no\"\"\",\n");
  CHECK(t.header == std::vector<std::string>{"path", "label", "split"});
  CHECK(t.rows == Rows{{"a.png", "Mass|Nodule", "train"}, {"b, c.png", "say \"no\"", ""}});
  CHECK(t.lines == std::vector<std::size_t>{2, 3});
  CHECK(t.column("split") == 2);
  CHECK_FALSE(t.find_column("patient"));
  CHECK_THROWS_AS(t.column("patient"), vt::DataError);
  CHECK_THROWS_WITH(t.column("patient"),
                    Contains("'patient'") && Contains("t.csv") && Contains("'path', 'label', 'split'"));
  CHECK(t.where(1) == "t.csv, row 2 (line 3)");
}

TEST_CASE("CRLF, CR, a byte order mark, empty lines, no line end at the end") {
  const Rows expected{{"1", "2"}, {"3", ""}};
  CHECK(parse("a,b\r\n1,2\r\n3,\r\n").rows == expected);
  CHECK(parse("a,b\r1,2\r3,").rows == expected);
  CHECK(parse("\xef\xbb\xbf\"a\",b\n1,2\n3,").rows == expected);
  const auto t = parse("\n\na,b\n\n1,2\n\n\n3,\n\n");
  CHECK(t.header[0] == "a");
  CHECK(t.rows == expected);
  CHECK(t.lines == std::vector<std::size_t>{5, 8});
  CHECK(parse("a\n\"\"\n").rows == Rows{{""}});
  CHECK(parse("a,b\n").rows.empty());
  CHECK(parse(" a ,b\n 1,2 \n").rows == Rows{{" 1", "2 "}});
}

TEST_CASE("line ends inside quotes belong to the field and are counted") {
  const auto t = parse("a,b\n\"one\ntwo\r\nthree\rfour\",x\ny,z\n");
  CHECK(t.rows == Rows{{"one\ntwo\r\nthree\rfour", "x"}, {"y", "z"}});
  CHECK(t.lines == std::vector<std::size_t>{2, 6});
}

TEST_CASE("tables that are refused name the place") {
  refused("", "no header", "t.csv");
  refused("\n\n", "no header", "t.csv");
  refused("a,b\n1,2\n1,2,3\n", "3 fields where the header has 2", "row 2 (line 3)");
  refused("a,b\n\n1\n", "1 fields", "row 1 (line 3)");
  refused("a,b\n1,x\"y\"\n", "a quote inside", "line 2");
  refused("a,b\n1,\"x\"y\n", "after a closing quote", "line 2");
  refused("a,b\n1,2\n1,\"x\n\n\n", "never closed", "line 3");
  refused(std::string("a,b\n1,\0\n", 8), "NUL", "t.csv");
  refused(
      "\xff\xfe"
      "a",
      "UTF-16", "t.csv");
  CHECK_THROWS_WITH(parse("a,a\n1,2\n").column("a"), Contains("twice"));
}

TEST_CASE("what is written is read back") {
  const test::TemporaryFolder folder;
  const std::vector<std::string> header{"plain", "with, comma", ""};
  const Rows rows{{"a", "b\"c", "d\ne"}, {"", " x", "y\t"}, {"\r", ",", "\"\""}};
  vt::io::write_csv(folder / "t.csv", header, rows);
  const auto t = vt::io::read_csv(folder / "t.csv");
  CHECK(t.header == header);
  CHECK(t.rows == rows);
  CHECK(t.source == (folder / "t.csv").string());
  const std::vector<std::string> one{"only"};
  vt::io::write_csv(folder / "one.csv", one, Rows{{""}, {"x"}});
  CHECK(vt::io::read_csv(folder / "one.csv").rows == Rows{{""}, {"x"}});
  CHECK_THROWS_AS(vt::io::write_csv(folder / "bad.csv", one, Rows{{"x"}, {"x", "y"}}), vt::ShapeError);
  CHECK_FALSE(std::filesystem::exists(folder / "bad.csv"));
  CHECK_THROWS_AS(vt::io::read_csv(folder / "bad.csv"), vt::IoError);
  CHECK(vt::io::csv_field("plain 1.5") == "plain 1.5");
  CHECK(vt::io::csv_field("a,b") == "\"a,b\"");
}
