#include <vitals/core/sha256.hpp>

#include <array>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include <vitals/core/error.hpp>

#include "paths.hpp"

namespace vt = vitals;

namespace {

// Published test vectors of FIPS 180-4 (the last is a million times 'a').
const std::vector<std::pair<std::string, std::string>> vectors{
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    {std::string(1000000, 'a'), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"}};

}  // namespace

TEST_CASE("SHA-256 gives the published digests") {
  for (const auto& [text, digest] : vectors) CHECK(vt::Sha256().update(text).hex() == digest);
}

TEST_CASE("SHA-256 does not depend on how the bytes are cut") {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += static_cast<char>(i * 37);
  const auto whole = vt::Sha256().update(text).hex();
  for (std::size_t piece = 1; piece < 200; ++piece) {
    vt::Sha256 hash;
    for (std::size_t at = 0; at < text.size(); at += piece) hash.update(std::string_view(text).substr(at, piece));
    REQUIRE(hash.hex() == whole);
  }
}

TEST_CASE("SHA-256 of every short length agrees with the byte-wise computation") {
  for (std::size_t n = 0; n < 300; ++n) {
    const std::string text(n, 'x');
    vt::Sha256 bytewise;
    for (const char c : text) bytewise.update(std::string_view(&c, 1));
    REQUIRE(bytewise.hex() == vt::Sha256().update(text).hex());
  }
}

TEST_CASE("the plain compression function gives the digest of abc and chains blocks") {
  std::array<std::byte, 128> block{std::byte{'a'}, std::byte{'b'}, std::byte{'c'}, std::byte{0x80}};
  block[63] = std::byte{24};  // the length in bits
  const std::array<std::uint32_t, 8> start{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                           0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  auto state = start;
  vt::detail::sha256_blocks_portable(state.data(), block.data(), 1);
  CHECK(state == std::array<std::uint32_t, 8>{0xba7816bf, 0x8f01cfea, 0x414140de, 0x5dae2223, 0xb00361a3, 0x96177a9c,
                                              0xb410ff61, 0xf20015ad});
  auto both = start;
  vt::detail::sha256_blocks_portable(both.data(), block.data(), 2);
  vt::detail::sha256_blocks_portable(state.data(), block.data() + 64, 1);
  CHECK(both == state);
}

TEST_CASE("SHA-256 of a file") {
  const test::TemporaryFolder folder;
  std::ofstream(folder / "million", std::ios::binary) << vectors[3].first;
  CHECK(vt::sha256_of_file(folder / "million") == vectors[3].second);
  CHECK_THROWS_AS(vt::sha256_of_file(folder / "missing"), vt::IoError);
  CHECK_THROWS_AS(vt::sha256_of_file(folder.path()), vt::IoError);
}

TEST_CASE("SHA-256 of the real weights is the one their README names") {
  NEEDS_SHARED("weights/dinov2_vits14/dinov2_vits14_pretrain.pth");
  CHECK(vt::sha256_of_file(test::shared("weights/dinov2_vits14/dinov2_vits14_pretrain.pth")) ==
        "b03329747a525fdef41913dda856fb6b1155c9cbbb6465fbc9bf4da873977fe4");
}
