// The table of contents of a zip archive in memory, as PyTorch's .pth and numpy's .npz need it: zip64, stored or
// deflated, checked so that no entry lies about its place. Unpacking is the caller's affair (npz.hpp has zlib).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <vitals/core/config.hpp>

namespace vitals::inline v0::io::detail {

struct ZipEntry {
  std::string_view name;            ///< a view of the archive
  std::span<const std::byte> data;  ///< as it stands in the archive: packed where method is not 0
  std::uint64_t size = 0;           ///< unpacked, as the archive claims
  std::uint32_t crc = 0;
  std::uint16_t method = 0;  ///< 0 stored, 8 deflated
};

/// Every entry, in the order of the directory. Entries lie inside the archive, do not overlap (zip bombs that share
/// data do), have different names and, where stored, equal sizes. Throws FormatError: truncated, encrypted, split over
/// several disks, or lying. Checksums are not computed here. `where` names the file.
std::vector<ZipEntry> read_zip_directory(std::span<const std::byte> archive, const std::string& where);

/// nullptr where there is none of that name.
const ZipEntry* find_zip_entry(std::span<const ZipEntry> entries, std::string_view name);

}  // namespace vitals::inline v0::io::detail

#if VITALS_HEADER_ONLY
#include <vitals/io/zip.ipp>
#endif
