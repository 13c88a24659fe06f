// PyTorch checkpoints assembled by hand: what is read, and what is refused and with which word.
#include <cmath>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include <vitals/core/error.hpp>
#include <vitals/io/tensor_file.hpp>

#include "archives.hpp"
#include "paths.hpp"

namespace vt = vitals;
using Catch::Matchers::Contains;
using test::PickleText;
using vt::io::DType;
using vt::io::TensorFile;

namespace {

const test::TemporaryFolder folder;

TensorFile open(const std::string& bytes) {
  test::save(folder / "m.pth", bytes);
  return TensorFile::open(folder / "m.pth");
}
std::vector<double> numbers(const TensorFile& file, const std::string& name) {
  const auto* entry = file.find(name);
  REQUIRE(entry);
  std::vector<double> out(entry->size());
  file.read(*entry, std::span<double>(out));
  return out;
}
void refused(const std::string& bytes, const std::string& word) {
  test::save(folder / "bad.pth", bytes);
  CHECK_THROWS_AS(TensorFile::open(folder / "bad.pth"), vt::FormatError);
  CHECK_THROWS_WITH(TensorFile::open(folder / "bad.pth"), Contains(word) && Contains("bad.pth") && !Contains("\n"));
}

const std::string six = test::floats({1, 2, 3, 4, 5, 6});
std::string dict(const PickleText& items) {
  return PickleText().proto().raw("}(").raw(items.bytes).raw("u").stop().bytes;
}
std::string one(const std::vector<std::int64_t>& shape, const std::vector<std::int64_t>& strides,
                std::int64_t offset = 0, std::int64_t numel = 6) {
  return dict(PickleText().text("w").tensor("0", numel, offset, shape, strides));
}
std::string zip_of(const std::string& pickle) { return test::torch_zip(pickle, {{"0", six, 6}}); }

}  // namespace

TEST_CASE("a dictionary of views of one storage") {
  const auto items = PickleText()
                         .text("a")
                         .tensor("0", 6, 0, {2, 3}, {3, 1})
                         .text("t")
                         .tensor("0", 6, 0, {3, 2}, {1, 3})
                         .text("tail")
                         .tensor("0", 6, 4, {2}, {1})
                         .text("scalar")
                         .tensor("0", 6, 5, {}, {})
                         .text("empty")
                         .tensor("0", 6, 6, {0, 7}, {7, 1});
  for (const auto& bytes : {zip_of(dict(items)), test::torch_legacy(dict(items), {{"0", six, 6}})}) {
    const auto file = open(bytes);
    REQUIRE(file.entries().size() == 5);
    CHECK(file.entries()[0].name == "a");
    CHECK(file.metadata().empty());
    CHECK(numbers(file, "a") == std::vector<double>{1, 2, 3, 4, 5, 6});
    CHECK(numbers(file, "t") == std::vector<double>{1, 4, 2, 5, 3, 6});
    CHECK(numbers(file, "tail") == std::vector<double>{5, 6});
    CHECK(numbers(file, "scalar") == std::vector<double>{6});
    CHECK(file.find("empty")->size() == 0);
    CHECK(file.find("b") == nullptr);
    file.release(*file.find("a"));
    CHECK(numbers(file, "a")[5] == 6);
  }
}

TEST_CASE("nested dictionaries, lists, number keys, parameters and what is not a tensor") {
  const auto tensor = PickleText().tensor("0", 6, 1, {1}, {1});
  const auto file = open(zip_of(dict(PickleText()
                                         .text("model")
                                         .raw("}(")
                                         .text("x.weight")
                                         .global("torch._utils", "_rebuild_parameter")
                                         .raw("(")
                                         .raw(tensor.bytes)
                                         .raw("\x88")
                                         .global("collections", "OrderedDict")
                                         .raw(")RtRu")
                                         .text("state")
                                         .raw("}(K\x07")
                                         .raw(tensor.bytes)
                                         .raw("u")
                                         .text("list")
                                         .raw("](")
                                         .raw("N")
                                         .raw(tensor.bytes)
                                         .raw("e")
                                         .text("epoch")
                                         .raw("K\x05")
                                         .text("name")
                                         .text("tiny")
                                         .text("lr")
                                         .raw("G\x3f\xe0" + std::string(6, '\0'))
                                         .text("args")
                                         .global("argparse", "Namespace")
                                         .raw(")\x81}(")
                                         .text("rank")
                                         .raw("K\x01ub"))));
  REQUIRE(file.entries().size() == 3);
  for (const char* name : {"model.x.weight", "state.7", "list.1"}) CHECK(numbers(file, name) == std::vector<double>{2});
}

TEST_CASE("protocol 4 and 5 opcodes: frames, memoize, stack globals, short texts") {
  PickleText p;
  const auto short_text = [&](const std::string& s) {
    p.raw("\x8c" + std::string(1, static_cast<char>(s.size())) + s + "\x94");
  };
  p.raw("\x80\x05\x95" + test::le64(100)).raw("}\x94");
  short_text("w");
  short_text("torch._utils"), short_text("_rebuild_tensor_v2"), p.raw("\x93\x94((");
  short_text("storage"), short_text("torch"), short_text("FloatStorage"), p.raw("\x93\x94");
  short_text("0"), short_text("cpu");
  p.raw("K\x06t\x94QK\x02K\x02\x85\x94K\x01\x85\x94\x89");
  short_text("collections"), short_text("OrderedDict"), p.raw("\x93\x94)R\x94t\x94R\x94s.");
  CHECK(numbers(open(zip_of(p.bytes)), "w") == std::vector<double>{3, 4});
}

TEST_CASE("every storage type, and the typed rebuild for numbers without a storage class") {
  const std::string bytes("\x01\x80\x38\x3c\x40\x41\x00\xff", 8);
  const auto make = [&](const char* type, std::int64_t numel) {
    return test::torch_zip(dict(PickleText().text("w").tensor("0", numel, 0, {numel}, {1}, type)), {{"0", bytes, 0}});
  };
  const std::vector<std::pair<const char*, DType>> types{
      {"DoubleStorage", DType::f64},    {"FloatStorage", DType::f32}, {"HalfStorage", DType::f16},
      {"BFloat16Storage", DType::bf16}, {"LongStorage", DType::i64},  {"IntStorage", DType::i32},
      {"ShortStorage", DType::i16},     {"CharStorage", DType::i8},   {"ByteStorage", DType::u8},
      {"BoolStorage", DType::boolean}};
  for (const auto& [type, dtype] : types) {
    const auto file = open(make(type, static_cast<std::int64_t>(8 / vt::io::size_of(dtype))));
    CHECK(file.find("w")->dtype == dtype);
  }
  CHECK(numbers(open(make("CharStorage", 8)), "w") == std::vector<double>{1, -128, 56, 60, 64, 65, 0, -1});
  CHECK(numbers(open(make("BoolStorage", 8)), "w") == std::vector<double>{1, 1, 1, 1, 1, 1, 0, 1});
  CHECK(numbers(open(make("ShortStorage", 4)), "w") == std::vector<double>{-32767, 15416, 16704, -256});
  refused(make("ComplexFloatStorage", 1), "torch.ComplexFloatStorage");

  const auto typed = [&](const char* type) {
    return test::torch_zip(dict(PickleText()
                                    .text("w")
                                    .global("torch._utils", "_rebuild_tensor_v3")
                                    .raw("((")
                                    .text("storage")
                                    .global("torch.storage", "UntypedStorage")
                                    .text("0")
                                    .text("cpu")
                                    .integer(8)
                                    .raw("tQ")
                                    .integer(0)
                                    .integers({8})
                                    .integers({1})
                                    .raw("\x89")
                                    .global("collections", "OrderedDict")
                                    .raw(")R")
                                    .global("torch", type)
                                    .raw("tR")),
                           {{"0", bytes, 0}});
  };
  const auto f8 = open(typed("float8_e4m3fn"));
  const auto v = numbers(f8, "w");  // 0x38 is 1, 0x01 the smallest subnormal, 0x80 is -0
  CHECK(v[0] == 0x1p-9);
  CHECK((v[1] == 0 && std::signbit(v[1])));
  CHECK(std::vector<double>(v.begin() + 2, v.begin() + 7) == std::vector<double>{1, 1.5, 2, 2.25, 0});
  CHECK(std::isnan(v[7]));
  const auto e5 = numbers(open(typed("float8_e5m2")), "w");
  CHECK(std::vector<double>(e5.begin() + 2, e5.begin() + 7) == std::vector<double>{0.5, 1, 2, 2.5, 0});
  refused(typed("complex64"), "torch.complex64");
}

TEST_CASE("tensors and parameters as PyTorch before 0.4 wrote them") {
  const auto storage =
      PickleText().raw("(").text("storage").global("torch", "FloatStorage").text("0").text("cpu").integer(6).raw("NtQ");
  PickleText tensor;
  tensor.global("torch", "FloatTensor")
      .raw(")\x81(")
      .raw(storage.bytes)
      .integer(1)
      .integers({2})
      .integers({2})
      .raw("tb");
  PickleText parameter;
  parameter.global("torch.nn.parameter", "Parameter").raw(")\x81(").raw(tensor.bytes).raw("\x88\x88}\x89tb");
  const auto file = open(test::torch_legacy(
      dict(PickleText().text("t").raw(tensor.bytes).text("p").raw(parameter.bytes)), {{"0", six, 6}}));
  CHECK(numbers(file, "t") == std::vector<double>{2, 4});
  CHECK(numbers(file, "p") == std::vector<double>{2, 4});
  const auto unbuilt = PickleText().global("torch", "FloatTensor").raw(")\x81");
  CHECK(open(zip_of(dict(PickleText().text("t").raw(unbuilt.bytes)))).entries().empty());
  refused(zip_of(dict(PickleText()
                          .text("t")
                          .raw(unbuilt.bytes)
                          .raw("K\x01"
                               "b"))),
          "the state of a tensor");
  refused(zip_of(dict(PickleText().text("t").raw(unbuilt.bytes).raw(")b"))), "0 parts");
  refused(zip_of(dict(PickleText().text("t").raw(unbuilt.bytes).raw("(NNNNtb"))), "a storage");
}

TEST_CASE("integers are read as double, refused as float, and sizes are checked") {
  const auto file = open(test::torch_zip(dict(PickleText().text("n").tensor("0", 2, 0, {2}, {1}, "LongStorage")),
                                         {{"0", test::le64(7) + test::le64(~0ull), 2}}));
  CHECK(numbers(file, "n") == std::vector<double>{7, -1});
  std::vector<float> f(2);
  CHECK_THROWS_AS(file.read(*file.find("n"), std::span<float>(f)), vt::FormatError);
  std::vector<double> d(3);
  CHECK_THROWS_AS(file.read(*file.find("n"), std::span<double>(d)), vt::ShapeError);
}

TEST_CASE("zip64 records and a comment behind the archive") {
  const auto pickle = one({6}, {1});
  const std::vector<test::ZipItem> items{{"m/data.pkl", pickle, 0, {}, true}, {"m/data/0", six, 0, {}, true}};
  CHECK(numbers(open(test::zip(items, "made by hand", true)), "w")[5] == 6);
  CHECK(numbers(open(test::zip(items, {}, false)), "w")[0] == 1);
}

TEST_CASE("a pickle that asks for anything but tensors is refused by name and nothing runs") {
  const auto marker = (folder / "ran").string(), command = "touch " + marker;
  const auto attack = [&](const std::string& module, const std::string& name) {
    return PickleText().proto().global(module, name).raw("(").text(command).raw("tR").stop().bytes;
  };
  refused(zip_of(attack("os", "system")), "'os.system'");
  refused(zip_of(attack("posix", "system")), "'posix.system'");
  refused(zip_of(attack("builtins", "eval")), "'builtins.eval'");
  refused(zip_of(attack("torch.hub", "load")), "'torch.hub.load'");
  refused(test::torch_legacy(attack("posix", "system"), {}), "'posix.system'");
  refused(attack("posix", "system"), "'posix.system'");  // a plain pickle under the name of a checkpoint
  refused(zip_of(PickleText().proto().raw("(").text(command).raw("ios\nsystem\n.").bytes), "'os.system'");
  refused(zip_of(PickleText().raw("\x80\x04\x8c\x02os\x8c\x06system\x93.").bytes), "'os.system'");
  refused(zip_of(PickleText().proto().global("models.vit", "VisionTransformer").raw(")\x81}b").stop().bytes),
          "'models.vit.VisionTransformer'");
  refused(zip_of(dict(PickleText().text("w").raw("\x82\x01"))), "opcode 0x82");
  // Known names cannot be misused either.
  refused(zip_of(PickleText().proto().global("torch", "FloatStorage").raw(")R.").bytes), "calls a type");
  refused(zip_of(PickleText().proto().raw("K\x01)R.").bytes), "a name to call");
  refused(zip_of(PickleText().proto().text("attribute").raw("}b.").bytes), "attributes of a plain value");
  CHECK_FALSE(std::filesystem::exists(marker));
}

TEST_CASE("tensors that reach beyond their storage, and storages beyond their record") {
  refused(zip_of(one({7}, {1})), "tensor 'w'");
  refused(zip_of(one({2, 3}, {4, 1})), "beyond a storage of 6");
  refused(zip_of(one({6}, {1}, 1)), "beyond a storage of 6");
  refused(zip_of(one({}, {}, 6)), "beyond");
  refused(zip_of(one({0}, {1}, 7)), "beyond");
  refused(zip_of(one({2}, {std::int64_t{1} << 62}, 0)), "beyond");
  refused(zip_of(one({std::int64_t{1} << 62, 16}, {1, 1})), "beyond");
  refused(zip_of(one({1}, {1}, -1)), "negative");
  refused(zip_of(one({-1}, {1})), "not a count");
  refused(zip_of(one({2}, {-1})), "not a count");
  refused(zip_of(one({2, 3}, {1})), "different length");
  refused(zip_of(one({1000000, 6}, {0, 1})), "contiguous()");
  refused(zip_of(one(std::vector<std::int64_t>(40, 1), std::vector<std::int64_t>(40, 1))), "40 axes");
  refused(zip_of(one({6}, {1}, 0, 7)), "storage '0'");
  refused(zip_of(one({6}, {1}, 0, std::int64_t{1} << 62)), "storage '0'");
  refused(zip_of(one({6}, {1}, 0, -6)), "negative");
  refused(test::torch_legacy(one({6}, {1}), {{"0", six, 7}}), "two sizes");
  refused(test::torch_legacy(one({6}, {1}, 0, 7), {{"0", six, 7}}), "storage '0'");
  refused(test::torch_legacy(one({6}, {1}), {}), "missing");
  refused(test::torch_legacy(one({6}, {1}), {{"0", six, 6}, {"0", six, 6}}), "twice");
  refused(test::torch_legacy(one({6}, {1}), {{"1", six, 6}}), "no tensor uses");
  refused(test::torch_zip(one({6}, {1}), {{"1", six, 6}}), "record of a storage is missing");
  refused(
      zip_of(dict(
          PickleText().text("a").tensor("0", 6, 0, {1}, {1}).text("b").tensor("0", 3, 0, {1}, {1}, "DoubleStorage"))),
      "described in two ways");
}

TEST_CASE("archives of another kind") {
  refused(test::torch_zip(one({6}, {1}), {{"0", six, 6}}, "big"), "'big'");
  refused(test::torch_legacy(one({6}, {1}), {{"0", six, 6}}, false), "big-endian");
  refused(test::zip({{"readme.txt", "hello"}}), "without data.pkl");
  refused(test::zip({{"m/data.pkl", one({6}, {1})}, {"m/constants.pkl", "."}, {"m/data/0", six}}), "TorchScript");
  refused(test::zip({{"m/data.pkl", one({6}, {1})}, {"m/data/0", six, 8, six}}), "packed");
  refused(PickleText().proto().raw("K\x01").stop().bytes, "magic");
  refused(zip_of(dict(PickleText()
                          .text("a.b")
                          .tensor("0", 6, 0, {1}, {1})
                          .text("a")
                          .raw("}(")
                          .text("b")
                          .tensor("0", 6, 0, {1}, {1})
                          .raw("u"))),
          "two tensors of one name");
  CHECK(open(zip_of(PickleText().proto().tensor("0", 6, 0, {1}, {1}).stop().bytes)).entries()[0].name == "tensor");
  CHECK(open(zip_of(PickleText().proto().raw("}").stop().bytes)).entries().empty());
}

TEST_CASE("zip archives that lie about their entries") {
  auto good = test::zip({{"m/data.pkl", one({6}, {1})}, {"m/data/0", six}});
  const auto patched = [&](std::size_t at, const std::string& bytes) {
    auto bad = good;
    return bad.replace(at, bytes.size(), bytes);
  };
  const auto first = good.find("PK\1\2"), second = good.find("PK\1\2", first + 1), end = good.find("PK\5\6");
  CHECK(open(good).entries().size() == 1);
  refused(patched(first + 8, test::le16(1)), "encrypted");
  refused(patched(second + 20, test::le32(0x7fffffff) + test::le32(0x7fffffff)), "beyond the file");
  refused(patched(second + 20, test::le32(4)), "two sizes");
  refused(patched(second + 42, test::le32(0)), "two names");
  refused(patched(second + 42, test::le32(0x7ffffff0)), "not where");
  refused(patched(first + 20, test::le32(first - 40) + test::le32(first - 40)), "overlap");
  refused(patched(end + 8, test::le16(9999) + test::le16(9999)), "not inside the file");
  refused(patched(end + 12, test::le32(0x7fffffff)), "not inside the file");
  refused(patched(end + 4, test::le16(1)), "several files");
  refused(test::zip({{"m/data.pkl", one({6}, {1})}, {"m/data.pkl", one({6}, {1})}, {"m/data/0", six}}), "of one name");
}
