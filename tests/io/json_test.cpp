// JSON documents: every kind of value, and texts that are refused.
#include <vitals/io/json.hpp>

#include <cmath>
#include <cstdint>
#include <string>

#include <catch2/catch.hpp>

#include <vitals/core/error.hpp>

#include "archives.hpp"
#include "paths.hpp"

namespace vt = vitals;
using Catch::Matchers::Contains;

namespace {

vt::io::JsonValue parse(std::string_view text) { return vt::io::parse_json(text, "c.json"); }
void refused(std::string_view text, const std::string& word) {
  CHECK_THROWS_AS(parse(text), vt::FormatError);
  CHECK_THROWS_WITH(parse(text), Contains(word) && Contains("c.json"));
}

}  // namespace

TEST_CASE("values of every kind") {
  const auto v = parse(R"({"r": 48, "alpha": 1.5, "bias": "none", "targets": ["qkv", "fc1"], "pattern": {"a.b": -2},
                           "rslora": false, "nothing": null, "big": 18446744073709551615, "whole": 3.0, "x": NaN})");
  CHECK(v.at("r").as_integer() == 48);
  CHECK(v.at("r").as_number() == 48);
  CHECK(v.at("alpha").as_number() == 1.5);
  CHECK(v.at("bias").as_text() == "none");
  REQUIRE(v.at("targets").as_list().size() == 2);
  CHECK(v.at("targets").as_list()[1].as_text() == "fc1");
  CHECK(v.at("pattern").at("a.b").as_integer() == -2);
  CHECK(v.at("pattern").as_object()[0].key == "a.b");
  CHECK_FALSE(v.at("rslora").as_bool());
  CHECK(v.at("nothing").is_null());
  CHECK(v.at("big").as_number() == 18446744073709551616.0);
  CHECK(v.at("whole").as_integer() == 3);
  CHECK(std::isnan(v.at("x").as_number()));
  CHECK(v.as_object()[9].key == "x");
  CHECK(v.find("missing") == nullptr);
  CHECK(v.at("r").find("missing") == nullptr);
  CHECK(parse("[]").is_list());
  CHECK(parse("\"a\\u00e9\"").as_text() == "a\xc3\xa9");
  CHECK(parse("{}").is_object());
  CHECK(parse("\"\"").is_text());
}

TEST_CASE("a value of another kind says what it is") {
  const auto v = parse(R"({"r": "x", "f": 1.5})");
  CHECK_THROWS_WITH(v.at("r").as_number(), Contains("expected a number, got a text"));
  CHECK_THROWS_WITH(v.at("f").as_integer(), Contains("whole number"));
  CHECK_THROWS_WITH(v.as_list(), Contains("expected a list, got an object"));
  CHECK_THROWS_WITH(v.at("f").as_object(), Contains("got a number"));
  CHECK_THROWS_WITH(v.at("f").as_text(), Contains("got a number"));
  CHECK_THROWS_WITH(v.at("f").as_bool(), Contains("got a number"));
  CHECK_THROWS_WITH(v.at("missing"), Contains("'missing'"));
}

TEST_CASE("texts that are refused") {
  refused("", "not JSON");
  refused("{", "byte");
  refused("{} {}", "not JSON");
  refused(std::string_view("{}\0x", 4), "after its end");
  refused("{\"a\":1,\"a\":2}", "'a' stands twice");
  refused("\"\xff\"", "not JSON");
  refused(std::string(65, '[') + std::string(65, ']'), "nested deeper");
  refused(std::string(1000000, '['), "nested deeper");
  refused(std::string((16 << 20) + 1, ' '), "16 MiB");
  CHECK(parse(std::string(64, '[') + std::string(64, ']')).is_list());
}

TEST_CASE("a file") {
  const test::TemporaryFolder folder;
  test::save(folder / "c.json", "{\"hidden_size\": 384}\n");
  CHECK(vt::io::read_json(folder / "c.json").at("hidden_size").as_integer() == 384);
  CHECK_THROWS_AS(vt::io::read_json(folder / "missing.json"), vt::IoError);
}

TEST_CASE("the configurations of transformers and peft are read") {
  NEEDS_SHARED("goldens/formats/hf_dinov2/config.json");
  CHECK(vt::io::read_json(test::shared("goldens/formats/hf_dinov2/config.json")).at("hidden_size").as_integer() == 32);
  NEEDS_SHARED("goldens/adapters/lora_rslora_patterns/adapter_config.json");
  CHECK(vt::io::read_json(test::shared("goldens/adapters/lora_rslora_patterns/adapter_config.json"))
            .at("use_rslora")
            .as_bool());
}
