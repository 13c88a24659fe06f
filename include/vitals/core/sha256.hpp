// SHA-256 (FIPS 180-4): names the weights, images and features that a result came from.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include <vitals/core/config.hpp>

namespace vitals::inline v0 {

namespace detail {

/// The compression function on `count` blocks of 64 bytes, in plain C++: what runs without the SHA instructions.
void sha256_blocks_portable(std::uint32_t* state, const std::byte* p, std::size_t count);

}  // namespace detail

/// Feed it bytes, then ask for the digest once. Uses the processor's SHA instructions where it has them.
class Sha256 {
 public:
  Sha256& update(std::span<const std::byte> bytes);
  Sha256& update(std::string_view text);
  /// 64 lower-case hexadecimal digits of everything fed so far. Ends the computation.
  std::string hex();

 private:
  void blocks(const std::byte* p, std::size_t count);
  std::array<std::uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<std::byte, 64> pending_{};
  std::size_t pending_size_ = 0;
  std::uint64_t total_ = 0;
};

/// Of a file's bytes, read in pieces. Throws IoError.
std::string sha256_of_file(const std::filesystem::path& file);

}  // namespace vitals::inline v0

#if VITALS_HEADER_ONLY
#include <vitals/core/sha256.ipp>
#endif
