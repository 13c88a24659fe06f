// Damaged and hostile files: every truncation, thousands of mutations, and pickles built to exhaust memory or time.
// The bytes lie in buffers of their exact size, so that a sanitizer sees every read beyond the end.
#include <algorithm>
#include <cstring>
#include <ctime>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <sys/resource.h>

#include <catch2/catch.hpp>

#include <vitals/core/error.hpp>
#include <vitals/io/csv.hpp>
#include <vitals/io/npz.hpp>
#include <vitals/io/tensor_file.hpp>
#include <vitals/io/torch_archive.hpp>

#include "archives.hpp"
#include "paths.hpp"

namespace vt = vitals;
using Catch::Matchers::Contains;
using test::PickleText;

namespace {

const test::TemporaryFolder folder;

// Every number that an entry can reach lies inside the file.
void check_inside(const vt::io::detail::ParsedTensors& parsed, std::span<const std::byte> file) {
  for (const auto& entry : parsed.entries) {
    if (entry.strides.size() != entry.shape.size()) FAIL("strides and shape");
    std::size_t last = 0;
    for (std::size_t i = 0; i < entry.shape.size(); ++i)
      if (entry.shape[i] > 0) last += (entry.shape[i] - 1) * entry.strides[i];
    const auto bytes = entry.size() == 0 ? 0 : (last + 1) * vt::io::size_of(entry.dtype);
    if (entry.data < file.data() || bytes > file.size() ||
        static_cast<std::size_t>(entry.data - file.data()) > file.size() - bytes)
      FAIL("tensor " << entry.name << " reaches beyond the file");
  }
}

using Reader = void (*)(std::span<const std::byte>);

void read_safetensors(std::span<const std::byte> file) {
  check_inside(vt::io::detail::parse_safetensors(file, "f"), file);
}
void read_torch(std::span<const std::byte> file) {
  if (vt::io::detail::looks_like_torch(file)) check_inside(vt::io::detail::parse_torch(file, "f"), file);
}
void read_npy(std::span<const std::byte> file) { vt::io::detail::parse_npy(file, "f").to_double(); }
void read_npz(std::span<const std::byte> file) {
  for (const auto& [name, array] : vt::io::detail::parse_npz(file, "f", 1 << 30)) array.to_double();
}
void read_csv(std::span<const std::byte> file) {
  vt::io::parse_csv({reinterpret_cast<const char*>(file.data()), file.size()}, "f");
}

// True where it parsed, false where it was refused with one of our errors; anything else ends the test.
bool attempt(Reader reader, const std::string& text) {
  const auto buffer = std::make_unique<std::byte[]>(text.size());
  std::memcpy(buffer.get(), text.data(), text.size());
  try {
    reader({buffer.get(), text.size()});
    return true;
  } catch (const vt::Error& e) {
    if (std::string_view(e.what()).find('\n') != std::string_view::npos)
      FAIL("a message of several lines: " << e.what());
    return false;
  }
}

std::string mutated(std::string text, std::mt19937& random) {
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  const std::size_t changes = 1 + below(3);
  for (std::size_t i = 0; i < changes && !text.empty(); ++i) {
    const auto at = below(text.size());
    switch (below(7)) {
      case 0:
        text[at] = static_cast<char>(random());
        break;
      case 1:
        text[at] = static_cast<char>(text[at] ^ (1 << below(8)));
        break;
      case 2:
        text[at] = "\0\xff\x7f\x80"[below(4)];
        break;
      case 3:
        text.insert(at, 1 + below(8), static_cast<char>(random()));
        break;
      case 4:
        text.erase(at, 1 + below(8));
        break;
      case 5:
        text.replace(at, std::min<std::size_t>(4, text.size() - at), std::string(4, "\0\xff\x7f"[below(3)]));
        break;
      default:
        text.insert(at, text.substr(below(text.size()), 1 + below(40)));
        break;
    }
  }
  return text;
}

struct Sample {
  const char* name;
  std::string bytes;
  Reader reader;
};

std::vector<Sample> samples() {
  const std::string json =
      R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"b":{"dtype":"BF16","shape":[],"data_offsets":[24,26]}})";
  const auto six = test::floats({1, 2, 3, 4, 5, 6});
  const auto pickle = PickleText()
                          .proto()
                          .raw("}q\x01(")
                          .text("model")
                          .raw("}(")
                          .text("w")
                          .tensor("0", 6, 0, {3, 2}, {1, 3})
                          .text("v")
                          .tensor("0", 6, 2, {4}, {1})
                          .raw("u")
                          .text("epoch")
                          .raw("K\x03")
                          .text("self")
                          .raw("h\x01u")
                          .stop()
                          .bytes;
  const auto flat = PickleText()
                        .proto()
                        .raw("}q\x01(")
                        .text("w")
                        .tensor("0", 6, 0, {3, 2}, {1, 3})
                        .text("v")
                        .tensor("0", 6, 2, {4}, {1})
                        .text("list")
                        .raw(
                            "](K\x01K\x02"
                            "e")
                        .text("args")
                        .global("argparse", "Namespace")
                        .raw(")R}bu")
                        .stop()
                        .bytes;
  const std::string head = "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }\n";
  const auto npy = "\x93NUMPY\x01" + std::string(1, '\0') + test::le16(head.size()) + head + six;
  // "packed" by deflate's stored block: 1, length, its complement, the bytes.
  const auto packed = "\x01" + test::le16(npy.size()) + test::le16(~npy.size()) + npy;
  return {{"safetensors", test::le64(json.size()) + json + six + "xy", read_safetensors},
          {"torch zip", test::torch_zip(flat, {{"0", six, 6}}), read_torch},
          {"torch legacy", test::torch_legacy(flat, {{"0", six, 6}}), read_torch},
          {"torch zip, self-containing", test::torch_zip(pickle, {{"0", six, 6}}), read_torch},
          {"npy", npy, read_npy},
          {"npz", test::zip({{"a.npy", npy}, {"b.npy", packed, 8, npy}}), read_npz},
          {"csv", "\xef\xbb\xbfpath,\"label, x\"\n\"a\"\"b\",1\r\n\"c\nd\",\n", read_csv}};
}

void refused(const std::string& pickle, const std::string& word) {
  const auto archive = test::torch_zip(pickle, {{"0", test::floats({1}), 1}});
  const auto bytes = std::as_bytes(std::span(archive));
  INFO(word << " " << pickle.substr(0, 20));
  const auto start = std::clock();  // processor time: the machine may be busy
  std::string message = "no error";
  try {
    vt::io::detail::parse_torch(bytes, "f.pth");
  } catch (const vt::FormatError& e) {
    message = e.what();
  }
  CHECK_THAT(message, Contains(word) && Contains("f.pth"));
  CHECK((std::clock() - start) / CLOCKS_PER_SEC < 20);
}
std::string repeated(std::string_view piece, std::size_t n) {
  std::string text;
  for (std::size_t i = 0; i < n; ++i) text += piece;
  return text;
}

}  // namespace

TEST_CASE("the samples parse as they are, except the one that contains itself") {
  for (const auto& sample : samples()) {
    INFO(sample.name);
    CHECK(attempt(sample.reader, sample.bytes) == (std::string(sample.name).find("self") == std::string::npos));
  }
}

TEST_CASE("a file cut off anywhere is refused") {
  for (const auto& sample : samples()) {
    INFO(sample.name);
    std::size_t parsed = 0;
    for (std::size_t n = 0; n < sample.bytes.size(); ++n) parsed += attempt(sample.reader, sample.bytes.substr(0, n));
    // A CSV cut at a row's end is a smaller table; fewer than two bytes are not taken for a PyTorch file at all.
    if (sample.reader == read_csv)
      CHECK(parsed > 0);
    else
      CHECK(parsed <= 4);
  }
}

TEST_CASE("thousands of mutations of each kind of file end in a result or in one of our errors") {
  for (const auto& sample : samples()) {
    INFO(sample.name);
    std::mt19937 random(20240501);
    std::size_t parsed = 0, kept = 0;
    std::string text = sample.bytes;
    for (int i = 0; i < 3000; ++i) {
      // Now and then go on from a mutant, so that damage adds up.
      text = mutated(i % 8 == 0 ? sample.bytes : text, random);
      kept += text != sample.bytes;
      parsed += attempt(sample.reader, text);
    }
    CHECK(kept > 2900);
    CHECK(parsed < 3000);
  }
}

TEST_CASE("the same through the files themselves") {
  std::mt19937 random(7);
  const auto all = samples();
  std::size_t read = 0;
  for (int i = 0; i < 400; ++i) {
    const auto path = folder / (std::to_string(i) + ".pth");
    test::save(path, mutated(all[static_cast<std::size_t>(i) % 3].bytes, random));
    try {
      const auto file = vt::io::TensorFile::open(path);
      for (const auto& entry : file.entries()) {
        std::vector<double> out(entry.size());
        file.read(entry, std::span<double>(out));
        file.release(entry);
        ++read;
      }
    } catch (const vt::Error&) {
    }
  }
  CHECK(read > 0);
}

TEST_CASE("pickles built to exhaust memory, stack or time are refused") {
  const auto head = PickleText().proto().bytes;
  refused(head + repeated("]", 100000) + repeated("a", 99999) + ".", "nested deeper");
  refused(head + repeated("(", 17000000), "more values than any checkpoint");
  refused(head + repeated("N", 17000000), "more values than any checkpoint");
  refused(head + "N" + repeated("2", 17000000), "more values than any checkpoint");
  refused(head + repeated("]", 3000000), "more values than any checkpoint");
  refused(head + repeated("K\x01", 3000000), "more values than any checkpoint");
  refused(head + "]q" + std::string(1, '\0') + "h" + std::string(1, '\0') + "a.", "in themselves");
  refused(head + "}q" + std::string(1, '\0') + "K\x01h" + std::string(1, '\0') + "s.", "in themselves");
  refused(head + "Nr\xff\xff\xff\xff.", "memo number");
  refused(head + "Np4294967295\n.", "memo number");
  refused(head +
              "\x8b\xff\xff\xff\x7f"
              "abc",
          "middle of a value");
  refused(head +
              "B\xff\xff\xff\xff"
              "abc",
          "middle of a value");
  refused(head + "\x8e" + test::le64(~0ull) + "abc", "middle of a value");
  refused(head +
              "X\xff\xff\xff\xff"
              "abc",
          "middle of a value");
  refused(head + "c" + std::string(1000000, 'x'), "line of text");
  refused(head + "I" + std::string(1000, '9') + "x\n.", "a number");
  refused(head + "h\x01.", "never stored");
  refused(head + ".", "empty stack");
  refused(head + "(0..", "empty stack");
  refused(head + "t.", "mark");
  refused(head +
              "K\x01K\x02"
              "a.",
          "appends to");
  refused(head + "}(K\x01u.", "without value");

  // Sharing that unfolds to 2^50 values, in lists and in dictionaries with long keys.
  std::string lists = head + "]", dicts = head + "}";
  for (int i = 0; i < 50; ++i)
    lists +=
        "q\x01"
        "0](h\x01h\x01"
        "e";
  refused(lists + ".", "unfold");
  const auto key = PickleText().text(std::string(20000, 'k')).bytes;
  for (int i = 0; i < 50; ++i)
    dicts +=
        "q\x01"
        "0}(" +
        key +
        "h\x01N"
        "h\x01u";
  refused(dicts + ".", "unfold");
  // One tensor under 2^30 names.
  std::string names = head + PickleText().tensor("0", 1, 0, {1}, {1}).bytes;
  for (int i = 0; i < 30; ++i)
    names +=
        "q\x01"
        "0](h\x01h\x01"
        "e";
  refused(names + ".", "more tensors than any checkpoint");
  // OrderedDict over and over from one long list of pairs.
  std::string pairs = head + "](" + repeated("NN\x86", 300000) +
                      "e\x85q\x01"
                      "0";
  for (int i = 0; i < 100; ++i) pairs += "ccollections\nOrderedDict\nh\x01R0";
  refused(pairs + "N.", "more values than any checkpoint");
}

TEST_CASE("big numbers that nobody needs are carried past") {
  const auto archive =
      test::torch_zip(PickleText()
                          .proto()
                          .raw("](\x8a\xff" + std::string(255, '\x11') + "L123456789012345678901234567890L\nI00\ne")
                          .stop()
                          .bytes,
                      {});
  CHECK(vt::io::detail::parse_torch(std::as_bytes(std::span(archive)), "f").entries.empty());
}

TEST_CASE("all of this needed little memory") {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
#if defined(__SANITIZE_ADDRESS__)
  CHECK(usage.ru_maxrss / 1024 < 4000);  // a sanitizer keeps freed memory back
#else
  CHECK(usage.ru_maxrss / 1024 < 700);  // MiB, of which the test's own inputs are up to 60
#endif
}
