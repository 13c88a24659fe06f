// Implementation of npz.hpp.
#pragma once

#include <algorithm>
#include <limits>
#include <vector>

#include <zlib.h>

#include <vitals/core/error.hpp>
#include <vitals/io/bytes.hpp>
#include <vitals/io/mapped_file.hpp>
#include <vitals/io/npz.hpp>
#include <vitals/io/zip.hpp>

namespace vitals::inline v0::io {

namespace detail {

inline uInt zlib_piece(std::size_t n) {
  return static_cast<uInt>(std::min<std::size_t>(n, std::numeric_limits<uInt>::max()));
}

// The unpacked bytes of a deflated entry. Deflate cannot shrink by more than 1032, so a larger claim is a lie and is
// refused before any memory is taken.
inline std::vector<std::byte> inflate_zip_entry(const ZipEntry& entry, const std::string& where) {
  const auto damaged = [&] { return FormatError("npz: a damaged entry", where, "the file is damaged"); };
  if (entry.size / 1032 > entry.data.size() + 1) throw damaged();
  std::vector<std::byte> out(entry.size);
  std::byte nothing{};
  z_stream stream{};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) throw Error("npz: zlib cannot start", where);
  struct Closer {
    z_stream& stream;
    ~Closer() { inflateEnd(&stream); }
  } closer{stream};
  std::size_t read = 0, written = 0;
  int result = Z_OK;
  while (result == Z_OK) {
    stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(entry.data.data() + read));
    stream.avail_in = zlib_piece(entry.data.size() - read);
    stream.next_out = reinterpret_cast<Bytef*>(out.empty() ? &nothing : out.data() + written);
    stream.avail_out = zlib_piece(out.size() - written);
    const auto in = stream.avail_in, room = stream.avail_out;
    result = inflate(&stream, Z_NO_FLUSH);
    read += in - stream.avail_in;
    written += room - stream.avail_out;
  }
  if (result != Z_STREAM_END || written != out.size() || read != entry.data.size()) throw damaged();
  return out;
}

inline void check_zip_crc(const ZipEntry& entry, std::span<const std::byte> unpacked, const std::string& where) {
  auto crc = crc32(0, nullptr, 0);
  while (!unpacked.empty()) {
    const auto n = zlib_piece(unpacked.size());
    crc = crc32(crc, reinterpret_cast<const Bytef*>(unpacked.data()), n);
    unpacked = unpacked.subspan(n);
  }
  if (crc != entry.crc) throw FormatError("npz: the checksum of an entry is wrong", where, "the file is damaged");
}

VITALS_INLINE std::map<std::string, NpyArray> parse_npz(std::span<const std::byte> file, const std::string& source,
                                                        std::uint64_t limit) {
  std::map<std::string, NpyArray> arrays;
  for (const auto& entry : read_zip_directory(file, source)) {
    if (!entry.name.ends_with(".npy")) continue;
    const std::string where = source + ", entry " + printable(entry.name);
    if (entry.size > limit) throw FormatError("npz: arrays larger than the limit", where, "raise the limit");
    limit -= entry.size;
    const std::string key(entry.name.substr(0, entry.name.size() - 4));
    if (entry.method == 0) {
      check_zip_crc(entry, entry.data, where);
      arrays.emplace(key, parse_npy(entry.data, where));
    } else if (entry.method == 8) {
      const auto unpacked = inflate_zip_entry(entry, where);
      check_zip_crc(entry, unpacked, where);
      arrays.emplace(key, parse_npy(unpacked, where));
    } else {
      throw FormatError("npz: packed by method " + std::to_string(entry.method), where,
                        "only stored and deflated are read");
    }
  }
  return arrays;
}

}  // namespace detail

VITALS_INLINE std::map<std::string, NpyArray> read_npz(const std::filesystem::path& file, std::uint64_t limit) {
  const MappedFile mapping(file);
  return detail::parse_npz(mapping.bytes(), file.string(), limit);
}

}  // namespace vitals::inline v0::io
