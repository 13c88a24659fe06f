// What the readers of binary files share: little-endian numbers, products that cannot overflow unseen, and names from a
// file made fit for a one-line message. The library runs on little-endian machines only, as all its file formats are.
#pragma once

#include <bit>
#include <cstddef>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <string_view>

namespace vitals::inline v0::io::detail {

static_assert(std::endian::native == std::endian::little, "the readers map files of little-endian numbers");

/// A number at any address.
template <class T>
T load(const void* p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

/// product *= factor, unless that does not fit: then false.
inline bool multiply_fits(std::size_t& product, std::size_t factor) {
  if (factor != 0 && product > std::numeric_limits<std::size_t>::max() / factor) return false;
  product *= factor;
  return true;
}
/// sum += term, unless that does not fit: then false.
inline bool add_fits(std::size_t& sum, std::size_t term) {
  if (sum > std::numeric_limits<std::size_t>::max() - term) return false;
  sum += term;
  return true;
}

/// A name out of a file, quoted: at most 120 bytes of it, control characters as '?'.
inline std::string printable(std::string_view name) {
  std::string text = "'";
  for (const char c : name.substr(0, 120)) text += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  return text + (name.size() > 120 ? "...'" : "'");
}

inline std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace vitals::inline v0::io::detail
