// .safetensors: written and read back; every rule of the header checked by a file that breaks it.
#include <vitals/io/safetensors.hpp>

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include <vitals/core/error.hpp>
#include <vitals/io/tensor_file.hpp>

#include "archives.hpp"
#include "paths.hpp"

namespace vt = vitals;
using Catch::Matchers::Contains;
using vt::io::DType;
using vt::io::NamedTensor;
using vt::io::TensorFile;

namespace {

const test::TemporaryFolder folder;

std::string content(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
std::string with_header(const std::string& json, std::size_t data_bytes) {
  return test::le64(json.size()) + json + std::string(data_bytes, '\1');
}
void refused(const std::string& bytes, const std::string& word) {
  const auto file = folder / "bad.safetensors";
  test::save(file, bytes);
  CHECK_THROWS_AS(TensorFile::open(file), vt::FormatError);
  CHECK_THROWS_WITH(TensorFile::open(file), Contains(word) && Contains("bad.safetensors") && !Contains("\n"));
}
std::string tensor(const std::string& name, const std::string& dtype, const std::string& shape,
                   const std::string& offsets) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}";
}

}  // namespace

TEST_CASE("what is written is read back, whatever the type") {
  const std::vector<float> f{1.5f, -2, 3, 4, 5, 6};
  const std::vector<double> d{0.1};
  const std::vector<std::uint8_t> u{0, 1, 255};
  const std::vector<std::int64_t> i{-5, 1LL << 40};
  const std::vector<vt::bfloat16> b{vt::bfloat16(1.25f)};
  const std::vector<vt::float16> h{vt::float16(-0.5f), vt::float16(65504.0f)};
  const bool flags[] = {true, false};
  const auto path = folder / "all.safetensors";
  const std::vector<NamedTensor> tensors{{"small", {3}, std::span(u)},     {"w", {2, 3}, std::span(f)},
                                         {"d", {}, std::span(d)},          {"i", {2, 1}, std::span(i)},
                                         {"b", {1}, std::span(b)},         {"h", {2}, std::span(h)},
                                         {"flags", {2}, std::span(flags)}, {"none", {0, 4}, std::span(f).first(0)}};
  vt::io::write_safetensors(path, tensors, {{"model", "tiny \"quoted\" \xc3\xa9\n"}, {"a", ""}});
  const auto file = TensorFile::open(path);
  CHECK(file.format() == "safetensors");
  CHECK(file.metadata() == std::map<std::string, std::string>{{"model", "tiny \"quoted\" \xc3\xa9\n"}, {"a", ""}});
  REQUIRE(file.entries().size() == tensors.size());
  for (const auto& t : tensors) {
    const auto* entry = file.find(t.name);
    REQUIRE(entry);
    CHECK(entry->shape == t.shape);
    CHECK(entry->dtype == t.dtype);
    CHECK(entry->contiguous());
    CHECK(std::equal(t.bytes.begin(), t.bytes.end(), entry->data));
    CHECK(reinterpret_cast<std::uintptr_t>(entry->data) % vt::io::size_of(t.dtype) == 0);
  }
  std::vector<double> values(2);
  file.read(*file.find("h"), std::span<double>(values));
  CHECK(values == std::vector<double>{-0.5, 65504});
  file.read(*file.find("i"), std::span<double>(values));
  CHECK(values == std::vector<double>{-5, 1099511627776.0});
  file.read(*file.find("flags"), std::span<double>(values));
  CHECK(values == std::vector<double>{1, 0});

  const auto bytes = content(path);
  CHECK((8 + bytes[0] + 256 * bytes[1]) % 8 == 0);
  vt::io::write_safetensors(path, tensors, {{"a", ""}, {"model", "tiny \"quoted\" \xc3\xa9\n"}});
  CHECK(content(path) == bytes);
}

TEST_CASE("the layout is the one the format describes") {
  const std::vector<float> f{1, 2};
  const auto path = folder / "layout.safetensors";
  const std::vector<NamedTensor> tensors{{"a", {2}, std::span(f)}};
  vt::io::write_safetensors(path, tensors);
  std::string json = "{" + tensor("a", "F32", "[2]", "[0,8]") + "}";
  json.append((8 - json.size() % 8) % 8, ' ');
  CHECK(content(path) == test::le64(json.size()) + json + test::floats(f));
}

TEST_CASE("an unaligned tensor of another writer is read") {
  const std::string json = "{" + tensor("odd", "U8", "[1]", "[0,1]") + "," + tensor("w", "F32", "[2]", "[1,9]") + "}";
  test::save(folder / "odd.safetensors", test::le64(json.size()) + json + "x" + test::floats({7, 8}));
  const auto file = TensorFile::open(folder / "odd.safetensors");
  std::vector<float> w(2);
  file.read(*file.find("w"), std::span<float>(w));
  CHECK(w == std::vector<float>{7, 8});
}

TEST_CASE("entries come in the order of the data") {
  const std::string json =
      "{" + tensor("late", "F8_E5M2", "[2]", "[2,4]") + "," + tensor("early", "F8_E4M3", "[2]", "[0,2]") + "}";
  test::save(folder / "order.safetensors", with_header(json, 4));
  const auto file = TensorFile::open(folder / "order.safetensors");
  CHECK(file.entries()[0].name == "early");
  CHECK(file.entries()[0].dtype == DType::f8_e4m3);
  CHECK(file.entries()[1].dtype == DType::f8_e5m2);
}

TEST_CASE("headers that break a rule") {
  const auto one = [](const std::string& json, std::size_t n = 8) { return with_header("{" + json + "}", n); };
  refused("", "empty");
  refused("1234567", "too few");
  refused(test::le64(100) + "{}", "100 bytes in a file of 10");
  refused(test::le64(~0ull) + "{}", "bytes");
  refused(test::le64(0), "does not begin");
  refused(with_header("[]", 0), "does not begin");
  refused(with_header("{", 0), "not JSON");
  refused(with_header("{} x", 0), "not JSON");
  refused(with_header(std::string("{}\0x", 4), 0), "after its end");
  refused(with_header("{\"\xff\":{}}", 0), "not JSON");
  refused(with_header("{\"a\":" + std::string(100000, '['), 0), "list where none belongs");
  refused(with_header("{\"a\":" + std::string(100000, '{'), 0), "not JSON");
  refused(one("\"a\":1"), "number where none belongs");
  refused(one("\"a\":null"), "does not belong");
  refused(one("\"a\":{\"dtype\":\"F32\"}"), "missing in tensor 'a'");
  refused(one("\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\"}"), "'dtype' stands twice");
  refused(one("\"a\":{\"shape\":[],\"shape\":[]}"), "'shape' stands twice");
  refused(one("\"a\":{\"color\":1}"), "'color'");
  refused(one("\"a\":{\"shape\":[-1]}"), "does not belong");
  refused(one("\"a\":{\"shape\":[1.5]}"), "does not belong");
  refused(one("\"a\":{\"shape\":[[1]]}"), "list where none belongs");
  refused(one("\"__metadata__\":{\"a\":1}"), "number where none belongs");
  refused(one("\"__metadata__\":{\"a\":\"x\",\"a\":\"y\"}"), "stands twice");
  refused(one("\"__metadata__\":{},\"__metadata__\":{}"), "stands twice");
  refused(one(tensor("a", "F4", "[2]", "[0,8]")), "'F4'");
  refused(one(tensor("a", "F32", "[2]", "[0,8,9]")), "not two numbers");
  refused(one(tensor("a", "F32", "[2]", "[8,0]")), "not inside");
  refused(one(tensor("a", "F32", "[2]", "[0,18446744073709551615]")), "not inside");
  refused(one(tensor("a", "F32", "[3]", "[0,8]")), "needs 12 bytes");
  refused(one(tensor("a", "F32", "[4611686018427387904,4]", "[0,8]")), "absurd");
  refused(one(tensor("a", "F32", "[1]", "[0,4]")), "end at 4 of 8");
  refused(one(tensor("a", "F32", "[1]", "[4,8]")), "hole");
  refused(one(tensor("a", "F32", "[1]", "[0,4]") + "," + tensor("b", "F32", "[2]", "[0,8]")), "overlap");
  refused(one(tensor("a", "F32", "[1]", "[0,4]") + "," + tensor("a", "F32", "[1]", "[4,8]")), "name stands twice");
}

TEST_CASE("what cannot be written") {
  const std::vector<float> f{1, 2};
  const auto path = folder / "no.safetensors";
  const auto write = [&](const std::vector<NamedTensor>& t, const std::map<std::string, std::string>& m = {}) {
    vt::io::write_safetensors(path, t, m);
  };
  CHECK_THROWS_AS(write({{"a", {3}, std::span(f)}}), vt::ShapeError);
  CHECK_THROWS_AS(write({{"a", {std::size_t{1} << 63, 4}, std::span(f)}}), vt::ShapeError);
  CHECK_THROWS_AS(write({{"a", {2}, std::span(f)}, {"a", {2}, std::span(f)}}), vt::ArgumentError);
  CHECK_THROWS_AS(write({{"__metadata__", {2}, std::span(f)}}), vt::ArgumentError);
  CHECK_THROWS_AS(write({{"\xff", {2}, std::span(f)}}), vt::ArgumentError);
  CHECK_THROWS_AS(write({}, {{"key", "\xff"}}), vt::ArgumentError);
  CHECK_FALSE(std::filesystem::exists(path));
  write({});
  CHECK(TensorFile::open(path).entries().empty());
  CHECK_THROWS_AS(vt::io::write_safetensors(folder / "missing/x.safetensors", {}), vt::IoError);
}

TEST_CASE("what is not a file") {
  CHECK_THROWS_AS(TensorFile::open(folder / "missing.safetensors"), vt::IoError);
  CHECK_THROWS_AS(TensorFile::open(folder.path()), vt::IoError);
  CHECK_THROWS_WITH(TensorFile::open(folder.path()), Contains("a folder"));
  CHECK_THROWS_AS(TensorFile::open("/dev/zero"), vt::IoError);
  test::save(folder / "text.bin", "just some text that is no model");
  CHECK_THROWS_WITH(TensorFile::open(folder / "text.bin"), Contains("neither"));
}
