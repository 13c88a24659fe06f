// Implementation of sha256.hpp: the compression function of FIPS 180-4 in plain C++ and with the SHA extensions of x86.
#pragma once

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <memory>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vitals/core/error.hpp>
#include <vitals/core/sha256.hpp>

#if VITALS_X86
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace vitals::inline v0 {

namespace detail {

inline constexpr std::uint32_t sha256_k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

VITALS_INLINE void sha256_blocks_portable(std::uint32_t* state, const std::byte* p, std::size_t count) {
  for (; count > 0; --count, p += 64) {
    std::uint32_t w[64];
    for (int i = 0; i < 16; ++i)
      w[i] = std::to_integer<std::uint32_t>(p[4 * i]) << 24 | std::to_integer<std::uint32_t>(p[4 * i + 1]) << 16 |
             std::to_integer<std::uint32_t>(p[4 * i + 2]) << 8 | std::to_integer<std::uint32_t>(p[4 * i + 3]);
    for (int i = 16; i < 64; ++i) {
      const std::uint32_t a = w[i - 15], b = w[i - 2];
      w[i] = w[i - 16] + w[i - 7] + (std::rotr(a, 7) ^ std::rotr(a, 18) ^ (a >> 3)) +
             (std::rotr(b, 17) ^ std::rotr(b, 19) ^ (b >> 10));
    }
    std::uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    std::uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
    for (int i = 0; i < 64; ++i) {
      const std::uint32_t t1 =
          h + (std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25)) + ((e & f) ^ (~e & g)) + sha256_k[i] + w[i];
      const std::uint32_t t2 = (std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
      h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d;
    state[4] += e, state[5] += f, state[6] += g, state[7] += h;
  }
}

#if VITALS_X86
inline bool processor_has_sha() {
  static const bool has = [] {
    unsigned a = 0, b = 0, c = 0, d = 0;
    const bool sha = __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b >> 29 & 1u);
    return sha && __builtin_cpu_supports("sse4.1") && __builtin_cpu_supports("ssse3");
  }();
  return has;
}

// The instructions keep the eight words as (a b e f) and (c d g h); one sha256rnds2 does two rounds.
__attribute__((target("sha,sse4.1,ssse3"))) inline void sha256_blocks_x86(std::uint32_t* state, const std::byte* p,
                                                                          std::size_t count) {
  const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
  const __m128i dcba = _mm_loadu_si128(reinterpret_cast<const __m128i*>(state));
  const __m128i hgfe = _mm_loadu_si128(reinterpret_cast<const __m128i*>(state + 4));
  const __m128i cdab = _mm_shuffle_epi32(dcba, 0xb1), efgh = _mm_shuffle_epi32(hgfe, 0x1b);
  __m128i abef = _mm_alignr_epi8(cdab, efgh, 8), cdgh = _mm_blend_epi16(efgh, cdab, 0xf0);
  for (; count > 0; --count, p += 64) {
    const __m128i abef0 = abef, cdgh0 = cdgh;
    __m128i w[4];
    for (int i = 0; i < 4; ++i)
      w[i] = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 16 * i)), big_endian);
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) {
      const __m128i wk = _mm_add_epi32(w[i & 3], _mm_loadu_si128(reinterpret_cast<const __m128i*>(sha256_k + 4 * i)));
      cdgh = _mm_sha256rnds2_epu32(cdgh, abef, wk);
      abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(wk, 0x0e));
      if (i < 12) {  // the four words that take the place of w[i & 3] sixteen rounds later
        const __m128i w9 = _mm_alignr_epi8(w[(i + 3) & 3], w[(i + 2) & 3], 4);
        const __m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(w[i & 3], w[(i + 1) & 3]), w9);
        w[i & 3] = _mm_sha256msg2_epu32(sum, w[(i + 3) & 3]);
      }
    }
    abef = _mm_add_epi32(abef, abef0);
    cdgh = _mm_add_epi32(cdgh, cdgh0);
  }
  const __m128i feba = _mm_shuffle_epi32(abef, 0x1b), dchg = _mm_shuffle_epi32(cdgh, 0xb1);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(state), _mm_blend_epi16(feba, dchg, 0xf0));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}
#endif

}  // namespace detail

VITALS_INLINE void Sha256::blocks(const std::byte* p, std::size_t count) {
#if VITALS_X86
  if (detail::processor_has_sha()) return detail::sha256_blocks_x86(state_.data(), p, count);
#endif
  detail::sha256_blocks_portable(state_.data(), p, count);
}

VITALS_INLINE Sha256& Sha256::update(std::span<const std::byte> bytes) {
  if (bytes.empty()) return *this;
  total_ += bytes.size();
  if (pending_size_ > 0) {
    const std::size_t n = std::min(bytes.size(), pending_.size() - pending_size_);
    std::memcpy(pending_.data() + pending_size_, bytes.data(), n);
    pending_size_ += n;
    bytes = bytes.subspan(n);
    if (pending_size_ < pending_.size()) return *this;
    blocks(pending_.data(), 1);
    pending_size_ = 0;
  }
  const std::size_t whole = bytes.size() / 64;
  blocks(bytes.data(), whole);
  pending_size_ = bytes.size() - 64 * whole;
  if (pending_size_ > 0) std::memcpy(pending_.data(), bytes.data() + 64 * whole, pending_size_);
  return *this;
}

VITALS_INLINE Sha256& Sha256::update(std::string_view text) { return update(std::as_bytes(std::span(text))); }

VITALS_INLINE std::string Sha256::hex() {
  const std::uint64_t bits = total_ * 8;
  std::array<std::byte, 72> tail{std::byte{0x80}};  // one bit, zeros up to 56 modulo 64, the length in bits
  const std::size_t zeros = (pending_size_ < 56 ? 56 : 120) - pending_size_;
  for (std::size_t i = 0; i < 8; ++i) tail[zeros + i] = static_cast<std::byte>(bits >> (56 - 8 * i));
  update(std::span<const std::byte>(tail.data(), zeros + 8));
  std::string text;
  for (const std::uint32_t word : state_)
    for (int shift = 28; shift >= 0; shift -= 4) text += "0123456789abcdef"[word >> shift & 15u];
  return text;
}

VITALS_INLINE std::string sha256_of_file(const std::filesystem::path& file) {
  const auto fail = [&](const char* what) {
    return IoError(std::string(what) + ": " + std::error_code(errno, std::generic_category()).message(), file.string());
  };
  struct Descriptor {
    int value;
    ~Descriptor() {
      if (value >= 0) ::close(value);
    }
  } descriptor{::open(file.c_str(), O_RDONLY | O_CLOEXEC)};
  if (descriptor.value < 0) throw fail("cannot open the file");
  constexpr std::size_t piece = std::size_t{1} << 18;
  const auto buffer = std::make_unique<std::byte[]>(piece);
  Sha256 hash;
  for (;;) {
    const ssize_t n = ::read(descriptor.value, buffer.get(), piece);
    if (n == 0) return hash.hex();
    if (n > 0)
      hash.update({buffer.get(), static_cast<std::size_t>(n)});
    else if (errno != EINTR)
      throw fail("cannot read the file");
  }
}

}  // namespace vitals::inline v0
