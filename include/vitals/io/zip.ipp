// Implementation of zip.hpp; field names and layout as in PKWARE's APPNOTE 6.3.
#pragma once

#include <algorithm>
#include <optional>
#include <unordered_set>

#include <vitals/core/error.hpp>
#include <vitals/io/bytes.hpp>
#include <vitals/io/zip.hpp>

namespace vitals::inline v0::io::detail {

inline constexpr std::size_t zip_end_size = 22, zip_central_size = 46, zip_local_size = 30;

struct ZipDirectoryPlace {
  std::uint64_t offset, size, count;
};

inline FormatError zip_error(const std::string& what, const std::string& where) {
  return FormatError("zip archive: " + what, where, "the file is damaged or was not downloaded to its end");
}

// The end record stands in the last 64 KiB (a comment may follow it); its zip64 form takes over where it exists.
inline ZipDirectoryPlace find_zip_directory(std::span<const std::byte> archive, const std::string& where) {
  if (archive.size() < zip_end_size) throw zip_error("too short", where);
  const std::size_t lowest = archive.size() - std::min<std::size_t>(archive.size(), zip_end_size + 0xffff);
  std::optional<std::size_t> end;
  for (std::size_t at = archive.size() - zip_end_size + 1; at-- > lowest && !end;)
    if (load<std::uint32_t>(archive.data() + at) == 0x06054b50u &&
        at + zip_end_size + load<std::uint16_t>(archive.data() + at + 20) == archive.size())
      end = at;
  if (!end) throw zip_error("its table of contents is missing", where);
  const std::byte* p = archive.data() + *end;
  if (load<std::uint16_t>(p + 4) != load<std::uint16_t>(p + 6) ||
      load<std::uint16_t>(p + 8) != load<std::uint16_t>(p + 10))
    throw zip_error("split over several files", where);
  ZipDirectoryPlace place{load<std::uint32_t>(p + 16), load<std::uint32_t>(p + 12), load<std::uint16_t>(p + 10)};
  std::uint64_t limit = *end;
  if (*end >= 20 && load<std::uint32_t>(p - 20) == 0x07064b50u) {
    const auto at = load<std::uint64_t>(p - 20 + 8);
    if (*end - 20 < 56 || at > *end - 20 - 56 || load<std::uint32_t>(archive.data() + at) != 0x06064b50u)
      throw zip_error("its zip64 end record is not where it should be", where);
    const std::byte* q = archive.data() + at;
    place = {load<std::uint64_t>(q + 48), load<std::uint64_t>(q + 40), load<std::uint64_t>(q + 32)};
    limit = at;
  }
  if (place.size > limit || place.offset > limit - place.size || place.count > place.size / zip_central_size)
    throw zip_error("a table of contents of " + std::to_string(place.count) + " entries that is not inside the file",
                    where);
  return place;
}

// Replaces the fields that are all ones by the 64-bit numbers of extra field 1.
inline void apply_zip64(std::span<const std::byte> extra, std::uint64_t& size, std::uint64_t& packed,
                        std::uint64_t& offset, const std::string& where) {
  constexpr std::uint64_t ones = 0xffffffffu;
  while (extra.size() >= 4) {
    const auto id = load<std::uint16_t>(extra.data()), length = load<std::uint16_t>(extra.data() + 2);
    if (length > extra.size() - 4u) throw zip_error("an extra field longer than its record", where);
    auto field = extra.subspan(4, length);
    extra = extra.subspan(4u + length);
    if (id != 1) continue;
    for (auto* value : {&size, &packed, &offset}) {
      if (*value != ones) continue;
      if (field.size() < 8) throw zip_error("a zip64 field is missing", where);
      *value = load<std::uint64_t>(field.data());
      field = field.subspan(8);
    }
    return;
  }
}

VITALS_INLINE std::vector<ZipEntry> read_zip_directory(std::span<const std::byte> archive, const std::string& where) {
  const auto place = find_zip_directory(archive, where);
  auto directory = archive.subspan(place.offset, place.size);
  std::vector<ZipEntry> entries;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;  // local header to end of data
  std::unordered_set<std::string_view> names;
  entries.reserve(place.count);
  for (std::uint64_t i = 0; i < place.count; ++i) {
    const std::byte* p = directory.data();
    if (directory.size() < zip_central_size || load<std::uint32_t>(p) != 0x02014b50u)
      throw zip_error("entry " + std::to_string(i) + " of its table of contents is not one", where);
    const std::size_t name_size = load<std::uint16_t>(p + 28), extra_size = load<std::uint16_t>(p + 30);
    const std::size_t record = zip_central_size + name_size + extra_size + load<std::uint16_t>(p + 32);
    if (record > directory.size()) throw zip_error("its table of contents is cut off", where);
    ZipEntry entry;
    entry.name = as_text(directory.subspan(zip_central_size, name_size));
    entry.method = load<std::uint16_t>(p + 10);
    entry.crc = load<std::uint32_t>(p + 16);
    entry.size = load<std::uint32_t>(p + 24);
    std::uint64_t packed = load<std::uint32_t>(p + 20), offset = load<std::uint32_t>(p + 42);
    const std::string here = where + ", entry " + printable(entry.name);
    apply_zip64(directory.subspan(zip_central_size + name_size, extra_size), entry.size, packed, offset, here);
    if (load<std::uint16_t>(p + 8) & 1u) throw FormatError("zip archive: an encrypted entry", here);
    if (!names.insert(entry.name).second) throw zip_error("two entries of one name", here);
    if (entry.method == 0 && entry.size != packed) throw zip_error("a stored entry with two sizes", here);

    if (place.offset < zip_local_size || offset > place.offset - zip_local_size ||
        load<std::uint32_t>(archive.data() + offset) != 0x04034b50u)
      throw zip_error("the entry is not where its table of contents says", here);
    const std::byte* q = archive.data() + offset;
    const std::uint64_t header = zip_local_size + load<std::uint16_t>(q + 26) + load<std::uint16_t>(q + 28);
    const std::uint64_t space = place.offset - offset;
    if (header > space || packed > space - header) throw zip_error("the entry reaches beyond the file", here);
    if (as_text(archive.subspan(offset + zip_local_size, load<std::uint16_t>(q + 26))) != entry.name)
      throw zip_error("the entry has two names", here);
    entry.data = archive.subspan(offset + header, packed);
    ranges.emplace_back(offset, offset + header + packed);
    entries.push_back(entry);
    directory = directory.subspan(record);
  }
  std::sort(ranges.begin(), ranges.end());
  for (std::size_t i = 1; i < ranges.size(); ++i)
    if (ranges[i].first < ranges[i - 1].second) throw zip_error("entries overlap", where);
  return entries;
}

VITALS_INLINE const ZipEntry* find_zip_entry(std::span<const ZipEntry> entries, std::string_view name) {
  const auto found = std::find_if(entries.begin(), entries.end(), [&](const auto& e) { return e.name == name; });
  return found == entries.end() ? nullptr : &*found;
}

}  // namespace vitals::inline v0::io::detail
