// Implementation of csv.hpp.
#pragma once

#include <algorithm>
#include <utility>

#include <vitals/core/error.hpp>
#include <vitals/io/atomic_file.hpp>
#include <vitals/io/bytes.hpp>
#include <vitals/io/csv.hpp>
#include <vitals/io/mapped_file.hpp>

namespace vitals::inline v0::io {

namespace detail {

// Cuts the text into records; knows nothing of headers.
class CsvScanner {
 public:
  CsvScanner(std::string_view text, const std::string& source) : text_(text), source_(source) {}

  /// The next record that is not an empty line, and the line it begins at; false at the end.
  bool next(std::vector<std::string>& fields, std::size_t& line) {
    while (at_ < text_.size() && at_line_end()) skip_line_end();
    if (at_ == text_.size()) return false;
    fields.clear();
    line = line_;
    begin_ = line_;
    for (;;) {
      fields.push_back(at_ < text_.size() && text_[at_] == '"' ? quoted() : plain());
      if (at_ < text_.size() && text_[at_] == ',')
        ++at_;
      else
        break;
    }
    if (at_ < text_.size()) skip_line_end();
    return true;
  }

 private:
  bool at_line_end() const { return text_[at_] == '\n' || text_[at_] == '\r'; }
  void skip_line_end() {
    if (text_[at_] == '\r' && at_ + 1 < text_.size() && text_[at_ + 1] == '\n') ++at_;
    ++at_;
    ++line_;
  }
  FormatError error(const std::string& what) const {
    return FormatError("CSV: " + what, source_ + ", line " + std::to_string(begin_));
  }
  std::string plain() {
    const auto end = std::min(text_.find_first_of(",\r\n\"", at_), text_.size());
    if (end < text_.size() && text_[end] == '"')
      throw FormatError("CSV: a quote inside a field that does not begin with one",
                        source_ + ", line " + std::to_string(line_),
                        "put the field in quotes and double the quotes inside");
    std::string field(text_.substr(at_, end - at_));
    at_ = end;
    return field;
  }
  std::string quoted() {
    std::string field;
    for (++at_;;) {
      const auto end = text_.find('"', at_);
      if (end == std::string_view::npos) throw error("a quote is never closed, in the row that begins here");
      const auto piece = text_.substr(at_, end - at_);
      for (std::size_t i = 0; i < piece.size(); ++i)
        line_ += piece[i] == '\n' || (piece[i] == '\r' && (i + 1 == piece.size() || piece[i + 1] != '\n'));
      field += piece;
      at_ = end + 1;
      if (at_ < text_.size() && text_[at_] == '"') {
        field += '"';
        ++at_;
      } else if (at_ == text_.size() || text_[at_] == ',' || at_line_end()) {
        return field;
      } else {
        throw error("text after a closing quote");
      }
    }
  }

  std::string_view text_;
  const std::string& source_;
  std::size_t at_ = 0, line_ = 1, begin_ = 1;
};

}  // namespace detail

VITALS_INLINE std::optional<std::size_t> CsvTable::find_column(std::string_view name) const {
  std::optional<std::size_t> found;
  for (std::size_t i = 0; i < header.size(); ++i) {
    if (header[i] != name) continue;
    if (found) throw DataError("CSV: column " + detail::printable(name) + " stands twice", source);
    found = i;
  }
  return found;
}

VITALS_INLINE std::size_t CsvTable::column(std::string_view name) const {
  if (const auto found = find_column(name)) return *found;
  std::string columns;
  for (const auto& column : header) {
    columns += (columns.empty() ? "" : ", ") + detail::printable(column);
    if (columns.size() > 500) {
      columns += ", ...";
      break;
    }
  }
  throw DataError("CSV: no column " + detail::printable(name), source, "it has the columns " + columns);
}

VITALS_INLINE std::string CsvTable::where(std::size_t row) const {
  return source + ", row " + std::to_string(row + 1) + " (line " + std::to_string(lines.at(row)) + ")";
}

VITALS_INLINE CsvTable parse_csv(std::string_view text, const std::string& source) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff"))
    throw FormatError("CSV: text in UTF-16", source, "save it as UTF-8");
  if (text.find('\0') != std::string_view::npos) throw FormatError("CSV: NUL bytes, so not text", source);
  CsvTable table;
  table.source = source;
  detail::CsvScanner scanner(text, source);
  std::size_t line = 0;
  if (!scanner.next(table.header, line)) throw FormatError("CSV: no header", source, "the first row names the columns");
  std::vector<std::string> fields;
  while (scanner.next(fields, line)) {
    table.rows.push_back(std::move(fields));
    table.lines.push_back(line);
    if (table.rows.back().size() != table.header.size())
      throw FormatError("CSV: " + std::to_string(table.rows.back().size()) + " fields where the header has " +
                            std::to_string(table.header.size()),
                        table.where(table.rows.size() - 1));
  }
  return table;
}

VITALS_INLINE CsvTable read_csv(const std::filesystem::path& file) {
  const MappedFile mapping(file);
  return parse_csv(detail::as_text(mapping.bytes()), file.string());
}

VITALS_INLINE std::string csv_field(std::string_view text) {
  const bool blank_ends =
      !text.empty() && (text.front() == ' ' || text.back() == ' ' || text.front() == '\t' || text.back() == '\t');
  if (!blank_ends && text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string field = "\"";
  for (const char c : text) {
    if (c == '"') field += '"';
    field += c;
  }
  return field + '"';
}

VITALS_INLINE void write_csv(const std::filesystem::path& file, std::span<const std::string> header,
                             std::span<const std::vector<std::string>> rows) {
  std::string text;
  const auto add = [&](std::span<const std::string> fields) {
    for (std::size_t i = 0; i < fields.size(); ++i) text += (i ? "," : "") + csv_field(fields[i]);
    if (fields.size() == 1 && fields[0].empty()) text += "\"\"";  // else it would be an empty line
    text += '\n';
  };
  add(header);
  AtomicFile out(file);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].size() != header.size())
      throw ShapeError(
          "[write_csv] " + std::to_string(rows[i].size()) + " fields for " + std::to_string(header.size()) + " columns",
          file.string() + ", row " + std::to_string(i + 1));
    add(rows[i]);
    if (text.size() > (std::size_t{1} << 20)) out.write(std::exchange(text, {}));
  }
  out.write(text);
  out.commit();
}

}  // namespace vitals::inline v0::io
