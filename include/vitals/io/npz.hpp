// .npz: several numpy arrays in a zip archive, as numpy.savez and savez_compressed write it. Needs zlib; nothing else
// of the library does, so this is a header of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>

#include <vitals/core/config.hpp>
#include <vitals/io/npy.hpp>

namespace vitals::inline v0::io {

/// Every array of the archive, under its name without ".npy"; entries that are not arrays are left out. Checksums are
/// verified. `limit` bounds the unpacked bytes of all arrays together.
/// Throws IoError, FormatError (not such a file, truncated, damaged, lying, beyond the limit).
std::map<std::string, NpyArray> read_npz(const std::filesystem::path& file,
                                         std::uint64_t limit = std::uint64_t{1} << 34);

namespace detail {

/// read_npz from the bytes of a file; `where` names it in errors.
std::map<std::string, NpyArray> parse_npz(std::span<const std::byte> file, const std::string& where,
                                          std::uint64_t limit);

}  // namespace detail

}  // namespace vitals::inline v0::io

#if VITALS_HEADER_ONLY
#include <vitals/io/npz.ipp>
#endif
