// Pictures in and out: every kind of pixel with known values, and files that are truncated, damaged or hostile.
// This file has its own copy of stb on purpose: a program may use stb beside the library.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include <zlib.h>

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb/stb_image.h>
#include <stb/stb_image_write.h>

#include <catch2/catch.hpp>
#include <paths.hpp>

#include <vitals/core/rng.hpp>
#include <vitals/io/image.hpp>
#include <vitals/io/tensor_file.hpp>

using namespace vitals;
using Bytes = std::string;
using Pixels8 = Tensor<std::uint8_t, dyn, dyn, dyn>;
using Pixels16 = Tensor<std::uint16_t, dyn, dyn, dyn>;

namespace {

Bytes big_endian(std::uint32_t v) {
  return {static_cast<char>(v >> 24), static_cast<char>(v >> 16), static_cast<char>(v >> 8), static_cast<char>(v)};
}

Bytes chunk(const Bytes& type, const Bytes& data) {
  const Bytes body = type + data;
  const auto crc = ::crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()));
  return big_endian(static_cast<std::uint32_t>(data.size())) + body + big_endian(static_cast<std::uint32_t>(crc));
}

Bytes deflated(const Bytes& raw) {
  uLongf size = ::compressBound(raw.size());
  Bytes out(size, '\0');
  ::compress2(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(raw.data()), raw.size(), 9);
  out.resize(size);
  return out;
}

const Bytes signature = "\x89PNG\r\n\x1a\n";

Bytes header(std::uint32_t width, std::uint32_t height, int depth, int color) {
  return chunk("IHDR", big_endian(width) + big_endian(height) +
                           Bytes{static_cast<char>(depth), static_cast<char>(color), '\0', '\0', '\0'});
}

/// A PNG of rows that are already in PNG's bit packing; `between` are chunks before the data (palette, transparency).
Bytes png(std::uint32_t width, int depth, int color, const std::vector<Bytes>& rows, const Bytes& between = {}) {
  Bytes raw;
  for (const auto& row : rows) raw += '\0' + row;  // filter 0
  return signature + header(width, static_cast<std::uint32_t>(rows.size()), depth, color) + between +
         chunk("IDAT", deflated(raw)) + chunk("IEND", {});
}

void put(const std::filesystem::path& file, const Bytes& bytes) {
  std::filesystem::remove(file);  // some file systems flush a file that is cut to nothing and written again
  std::ofstream out(file, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  REQUIRE(out.flush());
}

Bytes get(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

Bytes jpeg(int width, int height, int channels, int quality) {
  std::vector<unsigned char> pixels(static_cast<std::size_t>(width) * height * channels);
  const Rng rng(7);
  for (std::size_t i = 0; i < pixels.size(); ++i)
    pixels[i] = static_cast<unsigned char>(i / channels % width * 5 + rng.below_at(i, 40));
  Bytes out;
  stbi_write_jpg_to_func(
      [](void* to, void* data, int size) { static_cast<Bytes*>(to)->append(static_cast<char*>(data), size); }, &out,
      width, height, channels, pixels.data(), quality);
  return out;
}

template <class T>
std::vector<int> values(const io::Image& image) {
  const auto& p = std::get<Tensor<T, dyn, dyn, dyn>>(image.pixels);
  return {p.begin(), p.end()};
}

/// The picture, or nothing where the file was refused; anything but a FormatError that names the file fails the test.
bool readable(const std::filesystem::path& file) {
  try {
    const auto image = io::read_image(file);
    REQUIRE(image.height() * image.width() * image.channels() > 0);
    return true;
  } catch (const FormatError& error) {
    REQUIRE(std::string(error.what()).find(file.filename().string()) != std::string::npos);
    return false;
  }
}

}  // namespace

TEST_CASE("every kind of PNG pixel comes as it is stored") {
  const test::TemporaryFolder folder;
  const auto file = folder / "a.png";
  const auto read = [&](const Bytes& bytes) {
    put(file, bytes);
    return io::read_image(file);
  };
  SECTION("grey of 8 bits") {
    const auto image = read(png(2, 8, 0, {{'\0', '\x7f'}, {'\x80', '\xff'}, {'\1', '\2'}}));
    CHECK((image.height() == 3 && image.width() == 2 && image.channels() == 1));
    CHECK(values<std::uint8_t>(image) == std::vector{0, 127, 128, 255, 1, 2});
  }
  SECTION("grey with alpha") {
    const auto image = read(png(2, 8, 4, {{'\1', '\2', '\3', '\4'}}));
    CHECK(image.channels() == 2);
    CHECK(values<std::uint8_t>(image) == std::vector{1, 2, 3, 4});
  }
  SECTION("RGB and RGBA") {
    CHECK(values<std::uint8_t>(read(png(1, 8, 2, {{'\1', '\2', '\3'}}))) == std::vector{1, 2, 3});
    CHECK(values<std::uint8_t>(read(png(1, 8, 6, {{'\1', '\2', '\3', '\4'}}))) == std::vector{1, 2, 3, 4});
  }
  SECTION("grey of 16 bits keeps them all") {
    CHECK(values<std::uint16_t>(read(png(2, 16, 0, {{'\x12', '\x34', '\xff', '\xfe'}}))) ==
          std::vector{0x1234, 0xfffe});
  }
  SECTION("RGB of 16 bits") {
    const auto image = read(png(1, 16, 2, {{'\0', '\1', '\1', '\0', '\xff', '\xff'}}));
    CHECK(image.channels() == 3);
    CHECK(values<std::uint16_t>(image) == std::vector{1, 256, 65535});
  }
  SECTION("a palette is expanded, its transparency is alpha") {
    const Bytes palette = chunk("PLTE", {'\x0a', '\x14', '\x1e', '\x28', '\x32', '\x3c'});
    CHECK(values<std::uint8_t>(read(png(2, 8, 3, {{'\1', '\0'}}, palette))) == std::vector{40, 50, 60, 10, 20, 30});
    const auto image = read(png(2, 8, 3, {{'\1', '\0'}}, palette + chunk("tRNS", {'\x05'})));
    CHECK(values<std::uint8_t>(image) == std::vector{40, 50, 60, 255, 10, 20, 30, 5});
  }
  SECTION("grey of few bits is scaled to 255") {
    CHECK(values<std::uint8_t>(read(png(4, 1, 0, {{'\xa0'}}))) == std::vector{255, 0, 255, 0});
    CHECK(values<std::uint8_t>(read(png(4, 2, 0, {{'\x1b'}}))) == std::vector{0, 85, 170, 255});
  }
}

TEST_CASE("write_png gives back the same pixels, and refuses what has no pixels") {
  const test::TemporaryFolder folder;
  const auto file = folder / "a.png";
  for (std::size_t channels = 1; channels <= 4; ++channels) {
    Pixels8 pixels({13, 9, channels});
    const Rng rng(channels);
    for (std::size_t i = 0; i < pixels.size(); ++i) pixels.data()[i] = static_cast<std::uint8_t>(rng.below_at(i, 256));
    io::write_png(file, pixels);
    const auto back = std::get<Pixels8>(io::read_image(file).pixels);
    CHECK(back.shape() == pixels.shape());
    CHECK(std::equal(back.begin(), back.end(), pixels.begin()));
  }
  const Bytes before = get(file);
  CHECK_THROWS_AS(io::write_png(file, Pixels8({0, 4, 1})), ShapeError);
  CHECK_THROWS_AS(io::write_png(file, Pixels8({2, 2, 5})), ShapeError);
  CHECK_THROWS_AS(io::write_png(folder / "nowhere/a.png", Pixels8({2, 2, 1})), IoError);
  CHECK(get(file) == before);
}

TEST_CASE("JPEG gives grey or RGB close to what was written") {
  const test::TemporaryFolder folder;
  const auto file = folder / "a.jpg";
  for (const int channels : {1, 3}) {
    put(file, jpeg(40, 24, channels, 95));
    const auto image = io::read_image(file);
    CHECK((image.height() == 24 && image.width() == 40));
    CHECK(image.channels() == 3);  // stb's writer always writes three
    const auto& pixels = std::get<Pixels8>(image.pixels);
    double error = 0;
    const Rng rng(7);
    if (channels == 1) {
      for (std::size_t i = 0; i < 40 * 24; ++i)
        error += std::abs(pixels.data()[3 * i] - static_cast<double>(i % 40 * 5 + rng.below_at(i, 40)));
      CHECK(error / (40 * 24) < 4);
    }
  }
}

TEST_CASE("JPEG of one channel, and progressive JPEG") {
  // tests/data/images: drawn for this test. The values are those of libjpeg; decoders may differ by a few grey levels.
  const auto grey = io::read_image(test::data("images/grey_38x27.jpg"));
  CHECK((grey.height() == 27 && grey.width() == 38 && grey.channels() == 1));
  CHECK(std::abs(std::get<Pixels8>(grey.pixels)(13, 20, 0) - 186) <= 1);
  CHECK(std::abs(std::get<Pixels8>(grey.pixels)(3, 5, 0) - 61) <= 1);
  const auto color = io::read_image(test::data("images/progressive_38x27.jpg"));
  CHECK((color.height() == 27 && color.width() == 38 && color.channels() == 3));
  const std::array<int, 3> inside{180, 73, 119}, outside{63, 194, 54};
  for (std::size_t c = 0; c < 3; ++c) {
    CHECK(std::abs(std::get<Pixels8>(color.pixels)(13, 20, c) - inside[c]) <= 3);
    CHECK(std::abs(std::get<Pixels8>(color.pixels)(3, 5, c) - outside[c]) <= 3);
  }
}

TEST_CASE("goldens: pictures decode as Pillow decodes them") {
  NEEDS_SHARED("goldens/transforms");
  std::size_t checked = 0;
  for (const auto& file : std::filesystem::directory_iterator(test::shared("goldens/transforms"))) {
    const auto kind = file.path().extension();
    if (kind != ".png" && kind != ".jpg") continue;
    INFO(file.path().filename().string());
    const auto image = io::read_image(file.path());
    const auto goldens = io::TensorFile::open(file.path().string() + ".expected.safetensors");
    const bool sixteen = std::holds_alternative<Pixels16>(image.pixels);
    const auto* entry = goldens.find(sixteen ? "raw" : "rgb");
    REQUIRE(entry);
    std::vector<double> expected(entry->size());
    goldens.read(*entry, std::span<double>(expected));
    REQUIRE(entry->shape == std::vector<std::size_t>{image.height(), image.width(), 3});
    double largest = 0, sum = 0;
    for (std::size_t y = 0; y < image.height(); ++y)
      for (std::size_t x = 0; x < image.width(); ++x)
        for (std::size_t c = 0; c < 3; ++c) {
          const std::size_t from = image.channels() < 3 ? 0 : c;
          const double got =
              std::visit([&](const auto& p) { return static_cast<double>(p(y, x, from)); }, image.pixels);
          const double error = std::abs(got - expected[(y * image.width() + x) * 3 + c]);
          largest = std::max(largest, error);
          sum += error;
        }
    if (kind == ".png")
      CHECK(largest == 0);
    else {  // another JPEG decoder: its inverse DCT and its upsampling of colour round differently
      CHECK(largest <= 4);
      CHECK(sum / static_cast<double>(expected.size()) <= 0.5);
    }
    ++checked;
  }
  CHECK(checked >= 8);
}

TEST_CASE("what is no picture is refused with a word about why") {
  const test::TemporaryFolder folder;
  const auto file = folder / "a.png";
  CHECK_THROWS_AS(io::read_image(folder / "missing.png"), IoError);
  CHECK_THROWS_AS(io::read_image(folder.path()), IoError);
  for (const Bytes& bytes :
       {Bytes{}, Bytes{"\x89"}, Bytes{"hello, this is text"}, Bytes{"\xff\xd8"}, signature, Bytes{"\xff\xd8\xff\xd9"},
        signature + chunk("IEND", {}), signature + header(1, 1, 8, 0) + header(1, 1, 8, 0) + chunk("IEND", {})}) {
    put(file, bytes);
    CHECK_FALSE(readable(file));
  }
}

TEST_CASE("a file cut anywhere is an error") {
  const test::TemporaryFolder folder;
  const auto file = folder / "cut";
  const std::vector<Bytes> wholes{png(3, 8, 2, {{"abcdefghi"}, {"ihgfedcba"}}), png(2, 16, 0, {{"abcd"}, {"efgh"}}),
                                  jpeg(16, 16, 3, 50), jpeg(24, 17, 1, 80),
                                  get(test::data("images/progressive_38x27.jpg"))};
  for (const auto& whole : wholes) {
    put(file, whole);
    REQUIRE(readable(file));
    for (std::size_t size = 0; size < whole.size(); ++size) {
      put(file, whole.substr(0, size));
      INFO(size << " of " << whole.size() << " bytes");
      REQUIRE_FALSE(readable(file));
    }
    put(file, whole + "bytes after the end do not matter");
    CHECK(readable(file));
  }
}

TEST_CASE("damaged files: an error or a picture, never more") {
  const test::TemporaryFolder folder;
  const auto file = folder / "damaged";
  const Bytes palette = chunk("PLTE", "abcdefghijkl") + chunk("tRNS", "xy");
  std::vector<Bytes> rows8, rows24;
  for (int y = 0; y < 9; ++y) {
    rows8.push_back(Bytes(11, static_cast<char>(y % 4)));
    rows24.push_back(Bytes(33, static_cast<char>(17 * y)));
  }
  Rng rng(2024);
  const auto mutate = [&](Bytes bytes) {
    for (auto changes = 1 + rng.below(3); changes > 0; --changes) {
      auto& byte = bytes[rng.below(bytes.size())];
      byte = static_cast<char>(byte ^ (1 + rng.below(255)));
    }
    return bytes;
  };
  SECTION("PNG: checksums see every change") {
    for (const Bytes& whole : {png(11, 8, 2, rows24), png(11, 8, 3, rows8, palette)})
      for (int i = 0; i < 1000; ++i) {
        const Bytes bytes = mutate(whole);
        if (bytes == whole) continue;
        put(file, bytes);
        REQUIRE_FALSE(readable(file));
      }
  }
  SECTION("PNG with right checksums over wrong bytes") {
    // RGB, 8-bit palette, 16-bit, 1-bit: header, palette and data are changed, then signed again.
    struct Kind {
      int depth, color;
      const std::vector<Bytes>* rows;
      Bytes between;
    };
    int read = 0, refused = 0;
    for (const Kind& kind :
         {Kind{8, 2, &rows24, {}}, Kind{8, 3, &rows8, palette}, Kind{16, 0, &rows24, {}}, Kind{1, 0, &rows8, {}}})
      for (int i = 0; i < 1000; ++i) {
        Bytes raw;
        for (const auto& row : *kind.rows) raw += '\0' + row;
        Bytes head = big_endian(11) + big_endian(9) +
                     Bytes{static_cast<char>(kind.depth), static_cast<char>(kind.color), '\0', '\0', '\0'};
        Bytes data = deflated(raw);
        if (i % 3 == 0)
          head = mutate(head);
        else if (i % 3 == 1)
          data = mutate(data);
        else
          data = deflated(mutate(raw));
        put(file, signature + chunk("IHDR", head) + kind.between + chunk("IDAT", data) + chunk("IEND", {}));
        (readable(file) ? read : refused)++;
      }
    CHECK(read > 100);
    CHECK(refused > 100);
  }
  SECTION("JPEG") {
    int refused = 0;
    for (const Bytes& whole : {jpeg(33, 20, 3, 60), jpeg(16, 16, 1, 95), get(test::data("images/grey_38x27.jpg")),
                               get(test::data("images/progressive_38x27.jpg"))})
      for (int i = 0; i < 1000; ++i) {
        put(file, mutate(whole));
        refused += !readable(file);
      }
    CHECK(refused > 100);
  }
}

TEST_CASE("headers that lie about sizes are refused before memory is taken for them") {
  const test::TemporaryFolder folder;
  const auto file = folder / "liar";
  const auto message = [&](const Bytes& bytes) -> std::string {
    put(file, bytes);
    try {
      io::read_image(file);
    } catch (const FormatError& error) {
      return error.what();
    }
    return "was read";
  };
  const auto with_size = [](std::uint32_t width, std::uint32_t height) {
    return signature + header(width, height, 8, 0) + chunk("IDAT", deflated("x")) + chunk("IEND", {});
  };
  CHECK_THAT(message(with_size(0, 5)), Catch::Contains("a size of 5 x 0"));
  CHECK_THAT(message(with_size(0x7fffffff, 0x7fffffff)), Catch::Contains("at most 2^28"));
  CHECK_THAT(message(with_size(1 << 14, (1 << 14) + 1)), Catch::Contains("at most 2^28"));
  CHECK_THAT(message(with_size(1 << 14, 1 << 14)), Catch::Contains("more than its"));

  Bytes big = jpeg(16, 16, 1, 50);
  const auto frame = big.find("\xff\xc0");
  REQUIRE(frame != Bytes::npos);
  big.replace(frame + 5, 4, "\xff\xf0\xff\xf0");
  CHECK_THAT(message(big), Catch::Contains("at most 2^28"));
  big.replace(frame + 5, 4, "\x3f\xf0\x3f\xf0");
  CHECK_THAT(message(big), Catch::Contains("more than its"));

  // A 1 x 1 picture whose data inflates to 64 MiB: the decoder's allocations are bounded by the header's size.
  CHECK_THAT(message(signature + header(1, 1, 8, 0) + chunk("IDAT", deflated(Bytes(std::size_t{64} << 20, '\0'))) +
                     chunk("IEND", {})),
             Catch::Contains("cannot be decoded"));
}

TEST_CASE("a user's own stb works beside ours") {
  const unsigned char pixels[2] = {10, 200};
  int size = 0, width = 0, height = 0, channels = 0;
  unsigned char* bytes = stbi_write_png_to_mem(pixels, 2, 2, 1, 1, &size);
  REQUIRE(bytes);
  unsigned char* back = stbi_load_from_memory(bytes, size, &width, &height, &channels, 0);
  REQUIRE(back);
  CHECK((width == 2 && height == 1 && channels == 1 && back[0] == 10 && back[1] == 200));
  std::free(bytes);
  stbi_image_free(back);
}
