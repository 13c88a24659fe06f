// .npy and .npz: bytes as numpy writes them, both orders, every type, and files that lie.
#include <vitals/io/npy.hpp>
#include <vitals/io/npz.hpp>

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <zlib.h>

#include <catch2/catch.hpp>

#include "archives.hpp"
#include "paths.hpp"

namespace vt = vitals;
using Catch::Matchers::Contains;
using vt::io::DType;

namespace {

const test::TemporaryFolder folder;

std::string npy(const std::string& header, const std::string& data, int version = 1) {
  const auto length = version == 1 ? test::le16(header.size()) : test::le32(header.size());
  return "\x93NUMPY" + std::string(1, static_cast<char>(version)) + std::string(1, '\0') + length + header + data;
}
std::string header(const std::string& type, const std::string& shape, const char* fortran = "False") {
  return "{'descr': '" + type + "', 'fortran_order': " + fortran + ", 'shape': " + shape + ", }   \n";
}
vt::io::NpyArray read(const std::string& bytes) {
  test::save(folder / "a.npy", bytes);
  return vt::io::read_npy(folder / "a.npy");
}
void refused(const std::string& bytes, const std::string& word) {
  test::save(folder / "bad.npy", bytes);
  CHECK_THROWS_AS(vt::io::read_npy(folder / "bad.npy"), vt::FormatError);
  CHECK_THROWS_WITH(vt::io::read_npy(folder / "bad.npy"), Contains(word) && Contains("bad.npy"));
}
std::string content(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
std::string deflated(const std::string& text) { return test::deflated(text, -MAX_WBITS, 9); }

const std::string six = test::floats({1, 2, 3, 4, 5, 6});

}  // namespace

TEST_CASE("arrays of every header version, order and byte order") {
  for (const int version : {1, 2, 3}) {
    const auto a = read(npy(header("<f4", "(2, 3)"), six, version));
    CHECK(a.dtype == DType::f32);
    CHECK(a.shape == std::vector<std::size_t>{2, 3});
    CHECK(a.to_double() == std::vector<double>{1, 2, 3, 4, 5, 6});
    CHECK(a.values<float>()[5] == 6);
  }
  const auto f = read(npy(header("<f4", "(2, 3)", "True"), six));
  CHECK(f.to_float() == std::vector<float>{1, 3, 5, 2, 4, 6});
  const auto cube = read(npy(header("|u1", "(2, 2, 2)", "True"), std::string("\0\1\2\3\4\5\6\7", 8)));
  CHECK(cube.to_float() == std::vector<float>{0, 4, 2, 6, 1, 5, 3, 7});
  CHECK(read(npy(header(">i4", "(2,)"), std::string("\0\0\1\2\xff\xff\xff\xff", 8))).to_double() ==
        std::vector<double>{258, -1});
  CHECK(read(npy(header("<f8", "()"), test::le(0.1))).to_double() == std::vector<double>{0.1});
  CHECK(read(npy(header("<f2", "(1,)"), test::le16(0x3e00))).to_float() == std::vector<float>{1.5f});
  CHECK(read(npy(header("|b1", "(3,)"), std::string("\0\1\2", 3))).to_float() == std::vector<float>{0, 1, 1});
  CHECK(read(npy(header("|i1", "(1,)"), "\xff")).to_double() == std::vector<double>{-1});
  CHECK(read(npy(header("<u8", "(1,)"), test::le64(~0ull))).to_double() == std::vector<double>{18446744073709551616.0});
  CHECK(read(npy(header("<i2", "(0, 5)"), "")).size() == 0);
  CHECK_THROWS_AS(read(npy(header("<f4", "(2, 3)"), six)).values<double>(), vt::FormatError);
}

TEST_CASE("what is written is read back and has numpy's layout") {
  const std::vector<double> d{1, 2, 3, 4, 5, 6};
  vt::io::write_npy(folder / "d.npy", {3, 2}, std::span(d));
  const auto a = vt::io::read_npy(folder / "d.npy");
  CHECK(a.shape == std::vector<std::size_t>{3, 2});
  CHECK(a.to_double() == d);
  const auto bytes = content(folder / "d.npy");
  std::string expected = "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 2), }";
  expected.resize(117, ' ');
  CHECK(bytes.substr(0, 128) == npy(expected + "\n", ""));
  const std::vector<std::uint8_t> u{7};
  vt::io::write_npy(folder / "u.npy", {1}, std::span(u));
  CHECK_THAT(content(folder / "u.npy"), Contains("'|u1'") && Contains("(1,)"));
  CHECK(vt::io::read_npy(folder / "u.npy").to_float() == std::vector<float>{7});
  vt::io::write_npy(folder / "s.npy", {}, std::span(u));
  CHECK(vt::io::read_npy(folder / "s.npy").shape.empty());
  CHECK_THROWS_AS(vt::io::write_npy(folder / "x.npy", {2}, std::span(u)), vt::ShapeError);
  CHECK_THROWS_AS(vt::io::write_npy(folder / "x.npy", {1}, DType::bf16, std::as_bytes(std::span(d)).first(2)),
                  vt::ArgumentError);
  CHECK_FALSE(std::filesystem::exists(folder / "x.npy"));
}

TEST_CASE("npy files that are refused") {
  refused("", "not a .npy");
  refused("\x93NUMPY\x01", "not a .npy");
  refused(npy(header("<f4", "(2, 3)"), six, 4), "version 4");
  refused(npy(header("<f4", "(2, 3)"), six.substr(1)), "needs 24 bytes, the file has 23");
  refused(npy(header("<f4", "(2, 3)"), six + "x"), "the file has 25");
  refused(npy(header("<f4", "(9223372036854775808, 4)"), six), "absurd");
  refused(npy(header("<f4", "(99999999999999999999,)"), six), "shape");
  refused(npy(header("<f4", "(-1,)"), six), "shape");
  refused(npy(header("|O", "(1,)"), six), "'|O'");
  refused(npy(header("<c8", "(1,)"), six), "'<c8'");
  refused(npy(header("<U3", "(1,)"), six), "'<U3'");
  refused(npy("{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (6,), }", six), "structured");
  refused(npy("{'descr': '<f4', 'shape': (6,), }", six), "missing");
  refused(npy("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (6,), }", six), "repeated key");
  refused(npy("{'descr': '<f4', 'fortran_order': 1, 'shape': (6,), }", six), "True or False");
  refused(npy(header("<f4", "(6,)") + "x", six), "after its end");
  refused(npy("", six), "expected '{'");
  refused("\x93NUMPY\x01" + std::string(1, '\0') + test::le16(9999) + "{}", "cut off");
  CHECK_THROWS_AS(vt::io::read_npy(folder / "missing.npy"), vt::IoError);
}

TEST_CASE("npz archives, stored and deflated") {
  const auto plain = npy(header("<f4", "(2, 3)"), six);
  const auto zeros = npy(header("<f8", "(10000,)"), std::string(80000, '\0'));
  const auto packed = deflated(zeros);
  REQUIRE(packed.size() < 1000);
  const auto file = folder / "a.npz";
  test::save(file, test::zip({{"x.npy", plain}, {"folder/z.npy", packed, 8, zeros}, {"notes.txt", "hello"}}));
  const auto arrays = vt::io::read_npz(file);
  REQUIRE(arrays.size() == 2);
  CHECK(arrays.at("x").to_double() == std::vector<double>{1, 2, 3, 4, 5, 6});
  CHECK(arrays.at("folder/z").to_double() == std::vector<double>(10000, 0.0));

  CHECK_THROWS_WITH(vt::io::read_npz(file, 80000), Contains("limit") && Contains("'folder/z.npy'"));
  const auto bad = [&](const test::ZipItem& item, const std::string& word) {
    test::save(folder / "bad.npz", test::zip({item}));
    CHECK_THROWS_AS(vt::io::read_npz(folder / "bad.npz"), vt::FormatError);
    CHECK_THROWS_WITH(vt::io::read_npz(folder / "bad.npz"), Contains(word) && Contains("'z.npy'"));
  };
  bad({"z.npy", packed, 8, zeros.substr(1)}, "damaged");                     // unpacks to more than it says
  bad({"z.npy", packed, 8, zeros + "x"}, "damaged");                         // to less
  bad({"z.npy", packed.substr(0, packed.size() - 1), 8, zeros}, "damaged");  // cut off
  bad({"z.npy", packed + "x", 8, zeros}, "damaged");
  bad({"z.npy", std::string(100, '\xff'), 8, zeros}, "damaged");
  bad({"z.npy", packed.substr(0, 20), 8, zeros}, "damaged");  // claims more than deflate can
  bad({"z.npy", packed, 8, std::string(80000, 'x') + zeros.substr(0, zeros.size() - 80000)}, "checksum");
  bad({"z.npy", packed, 12, zeros}, "method 12");
  CHECK_THROWS_AS(vt::io::read_npz(folder / "missing.npz"), vt::IoError);
}
