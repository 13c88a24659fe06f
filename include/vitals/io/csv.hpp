// CSV as RFC 4180 describes it: quoted fields may hold commas, doubled quotes and line ends. What manifests, label
// tables and predictions are kept in.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <vitals/core/config.hpp>

namespace vitals::inline v0::io {

/// A table with a header. Every row has as many fields as the header.
struct CsvTable {
  std::string source;  ///< file name, for messages
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
  std::vector<std::size_t> lines;  ///< the line of the file (from 1) where each row begins

  /// The number of a column. Throws DataError, which lists the columns there are, where it is missing or stands twice.
  std::size_t column(std::string_view name) const;
  /// As column(), but nothing where it is missing.
  std::optional<std::size_t> find_column(std::string_view name) const;
  /// "FILE, row 3 (line 4)" for row index 2: where a message says something is wrong.
  std::string where(std::size_t row) const;
};

/// Line ends may be LF, CRLF or CR; a byte order mark is skipped; empty lines are skipped; blanks belong to a field.
/// Throws IoError; FormatError, naming the row: no header, another number of fields than the header, a quote inside a
/// plain field, text after a closing quote, a quote that is never closed, NUL bytes or UTF-16.
CsvTable read_csv(const std::filesystem::path& file);
/// The same from text; `source` names it in errors.
CsvTable parse_csv(std::string_view text, const std::string& source);

/// A field as it stands in a file: in quotes where it holds a comma, a quote, a line end, or blanks at its ends.
std::string csv_field(std::string_view text);
/// Writes header and rows (LF line ends) atomically. Throws ShapeError where a row has another number of fields than
/// the header, IoError.
void write_csv(const std::filesystem::path& file, std::span<const std::string> header,
               std::span<const std::vector<std::string>> rows);

}  // namespace vitals::inline v0::io

#if VITALS_HEADER_ONLY
#include <vitals/io/csv.ipp>
#endif
