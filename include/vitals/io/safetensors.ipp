// Implementation of safetensors.hpp.
#pragma once

#include <algorithm>
#include <cstring>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#if !__has_include(<rapidjson/rapidjson.h>)
#error "vitals needs RapidJSON (Debian: rapidjson-dev)"
#endif
#include <rapidjson/error/en.h>
#include <rapidjson/memorystream.h>
#include <rapidjson/reader.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <vitals/core/error.hpp>
#include <vitals/core/tensor.hpp>
#include <vitals/io/atomic_file.hpp>
#include <vitals/io/bytes.hpp>
#include <vitals/io/safetensors.hpp>

namespace vitals::inline v0::io {

namespace detail {

// The reference implementation refuses longer headers too.
inline constexpr std::uint64_t safetensors_header_limit = 100'000'000;

// In the order of DType.
inline constexpr const char* safetensors_dtypes[] = {"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2", "I64", "I32",
                                                     "I16", "I8",  "U64", "U32",  "U16",     "U8",      "BOOL"};

inline std::optional<DType> safetensors_dtype(std::string_view text) {
  for (std::size_t i = 0; i < std::size(safetensors_dtypes); ++i)
    if (text == safetensors_dtypes[i]) return static_cast<DType>(i);
  return std::nullopt;
}

struct SafetensorsItem {
  std::string name;
  std::optional<std::string> dtype;
  std::optional<std::vector<std::uint64_t>> shape, offsets;
};

// Takes the events of the JSON reader for {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...,
// "__metadata__": {"key": "text"}}. Anything else stops the parse with `problem`.
class SafetensorsHeader : public rapidjson::BaseReaderHandler<rapidjson::UTF8<>, SafetensorsHeader> {
 public:
  std::vector<SafetensorsItem> items;
  std::map<std::string, std::string> metadata;
  std::string problem;

  bool StartObject() {
    if (depth_ == 0 || (depth_ == 1 && !list_)) {
      ++depth_;
      return true;
    }
    return refuse("an object where none belongs");
  }
  bool Key(const char* text, rapidjson::SizeType length, bool) {
    const std::string_view key(text, length);
    if (depth_ == 1) {
      in_metadata_ = key == "__metadata__";
      if (in_metadata_ && std::exchange(seen_metadata_, true)) return refuse("'__metadata__' stands twice");
      if (!in_metadata_) items.emplace_back().name = key;
      return true;
    }
    if (in_metadata_) {
      metadata_key_ = key;
      return metadata.contains(metadata_key_) ? refuse("metadata key " + printable(key) + " stands twice") : true;
    }
    list_ = nullptr;
    wants_dtype_ = key == "dtype";
    auto& item = items.back();
    if (wants_dtype_) return item.dtype ? refuse("'dtype' stands twice") : true;
    auto* list = key == "shape" ? &item.shape : key == "data_offsets" ? &item.offsets : nullptr;
    if (!list) return refuse("unknown key " + printable(key));
    if (*list) return refuse(printable(key) + " stands twice");
    list_ = &list->emplace();
    return true;
  }
  bool String(const char* text, rapidjson::SizeType length, bool) {
    if (depth_ == 2 && in_metadata_) return metadata.emplace(metadata_key_, std::string(text, length)), true;
    if (depth_ == 2 && wants_dtype_) return items.back().dtype = std::string(text, length), wants_dtype_ = false, true;
    return refuse("text where none belongs");
  }
  bool StartArray() {
    if (depth_ != 2 || in_metadata_ || !list_ || in_list_) return refuse("a list where none belongs");
    return in_list_ = true;
  }
  bool EndArray(rapidjson::SizeType) {
    in_list_ = false;
    list_ = nullptr;
    return true;
  }
  bool EndObject(rapidjson::SizeType) {
    if (depth_ == 2 && !in_metadata_) {
      const auto& item = items.back();
      if (!item.dtype || !item.shape || !item.offsets) return refuse("'dtype', 'shape' or 'data_offsets' is missing");
    }
    --depth_;
    return true;
  }
  bool Uint(unsigned value) { return Uint64(value); }
  bool Uint64(std::uint64_t value) {
    if (!in_list_) return refuse("a number where none belongs");
    list_->push_back(value);
    return true;
  }
  bool Default() { return refuse("a value of a kind that does not belong here"); }

 private:
  bool refuse(const std::string& what) {
    problem = what;
    if (depth_ > 1 && !in_metadata_ && !items.empty()) problem += " in tensor " + printable(items.back().name);
    return false;
  }
  int depth_ = 0;
  bool in_metadata_ = false, seen_metadata_ = false, wants_dtype_ = false, in_list_ = false;
  std::vector<std::uint64_t>* list_ = nullptr;
  std::string metadata_key_;
};

inline SafetensorsHeader parse_safetensors_header(std::string_view text, const std::string& where) {
  SafetensorsHeader header;
  rapidjson::MemoryStream stream(text.data(), text.size());
  rapidjson::Reader reader;
  const auto result =
      reader.Parse<rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag>(stream, header);
  if (!header.problem.empty()) throw FormatError("safetensors header: " + header.problem, where);
  if (result.IsError())
    throw FormatError(std::string("safetensors header is not JSON: ") + rapidjson::GetParseError_En(result.Code()),
                      where + ", byte " + std::to_string(8 + result.Offset()));
  if (stream.Tell() != text.size())  // a NUL ends the text for the JSON reader
    throw FormatError("safetensors header has bytes after its end", where);
  return header;
}

VITALS_INLINE bool looks_like_safetensors(std::span<const std::byte> file) {
  return file.size() > 8 && load<std::uint64_t>(file.data()) <= safetensors_header_limit && file[8] == std::byte{'{'};
}

VITALS_INLINE ParsedTensors parse_safetensors(std::span<const std::byte> file, const std::string& where) {
  const std::string advice = "the file is damaged or was not downloaded to its end";
  if (file.size() < 8)
    throw FormatError("safetensors: " + std::to_string(file.size()) + " bytes are too few", where, advice);
  const auto length = load<std::uint64_t>(file.data());
  if (length > safetensors_header_limit)
    throw FormatError("safetensors: a header of " + std::to_string(length) + " bytes", where,
                      "the file is not of this format, or damaged");
  if (length > file.size() - 8)
    throw FormatError(
        "safetensors: a header of " + std::to_string(length) + " bytes in a file of " + std::to_string(file.size()),
        where, advice);
  if (length == 0 || file[8] != std::byte{'{'})
    throw FormatError("safetensors: the header does not begin with '{'", where);

  auto header = parse_safetensors_header(as_text(file.subspan(8, length)), where);
  const auto data = file.subspan(8 + length);
  ParsedTensors parsed{"safetensors", {}, std::move(header.metadata)};
  std::set<std::string_view> names;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
  for (auto& item : header.items) {
    const auto refuse = [&](const std::string& what) {
      return FormatError("safetensors: " + what, where + ", tensor " + printable(item.name));
    };
    if (!names.insert(item.name).second) throw refuse("the name stands twice");
    TensorEntry entry;
    const auto type = safetensors_dtype(*item.dtype);
    if (!type) throw refuse("unknown dtype " + printable(*item.dtype));
    entry.dtype = *type;
    if (item.shape->size() > 32) throw refuse("a shape of " + std::to_string(item.shape->size()) + " axes");
    entry.shape.assign(item.shape->begin(), item.shape->end());
    if (item.offsets->size() != 2) throw refuse("data_offsets are not two numbers");
    const std::uint64_t begin = (*item.offsets)[0], end = (*item.offsets)[1];
    if (begin > end || end > data.size())
      throw refuse("data_offsets [" + std::to_string(begin) + ", " + std::to_string(end) + "] are not inside the " +
                   std::to_string(data.size()) + " bytes of data (" + advice + ")");
    std::size_t bytes = size_of(entry.dtype);
    for (auto extent : entry.shape)
      if (!multiply_fits(bytes, extent)) throw refuse("shape " + to_string(entry.shape) + " is absurd");
    if (bytes != end - begin)
      throw refuse("shape " + to_string(entry.shape) + " of " + name(entry.dtype) + " needs " + std::to_string(bytes) +
                   " bytes, data_offsets give " + std::to_string(end - begin));
    entry.strides = row_major_strides(entry.shape);
    entry.data = data.data() + begin;
    ranges.emplace_back(begin, end);
    parsed.entries.push_back(std::move(entry));
  }
  // In the order of the data, which has to be covered without overlap and without holes.
  std::vector<std::size_t> order(ranges.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return ranges[a] < ranges[b]; });
  std::vector<TensorEntry> sorted;
  sorted.reserve(order.size());
  std::uint64_t at = 0;
  for (const auto i : order) {
    if (ranges[i].first != at)
      throw FormatError(std::string("safetensors: data_offsets ") + (ranges[i].first < at ? "overlap" : "leave a hole"),
                        where + ", tensor " + printable(header.items[i].name));
    at = ranges[i].second;
    sorted.push_back(std::move(parsed.entries[i]));
    sorted.back().name = std::move(header.items[i].name);
  }
  if (at != data.size())
    throw FormatError("safetensors: the tensors end at " + std::to_string(at) + " of " + std::to_string(data.size()) +
                          " bytes of data",
                      where, "the file is damaged");
  parsed.entries = std::move(sorted);
  return parsed;
}

}  // namespace detail

VITALS_INLINE void write_safetensors(const std::filesystem::path& file, std::span<const NamedTensor> tensors,
                                     const std::map<std::string, std::string>& metadata) {
  std::vector<const NamedTensor*> order;
  std::set<std::string_view> names{"__metadata__"};
  for (const auto& tensor : tensors) {
    if (!names.insert(tensor.name).second)
      throw ArgumentError("[write_safetensors] a name given twice or reserved: " + detail::printable(tensor.name),
                          file.string());
    std::size_t bytes = size_of(tensor.dtype);
    bool fits = true;
    for (auto extent : tensor.shape) fits = fits && detail::multiply_fits(bytes, extent);
    if (!fits || bytes != tensor.bytes.size())
      throw ShapeError("[write_safetensors] " + std::to_string(tensor.bytes.size()) + " bytes for shape " +
                           to_string(tensor.shape) + " of " + name(tensor.dtype),
                       file.string() + ", tensor " + detail::printable(tensor.name));
    order.push_back(&tensor);
  }
  std::stable_sort(order.begin(), order.end(), [](auto* a, auto* b) { return size_of(a->dtype) > size_of(b->dtype); });

  rapidjson::StringBuffer json;
  rapidjson::Writer<rapidjson::StringBuffer, rapidjson::UTF8<>, rapidjson::UTF8<>, rapidjson::CrtAllocator,
                    rapidjson::kWriteValidateEncodingFlag>
      writer(json);
  const auto text = [&](const std::string& s) {
    if (!writer.String(s.data(), static_cast<rapidjson::SizeType>(s.size())))
      throw ArgumentError("[write_safetensors] not UTF-8: " + detail::printable(s), file.string());
  };
  writer.StartObject();
  if (!metadata.empty()) {
    writer.Key("__metadata__");
    writer.StartObject();
    for (const auto& [key, value] : metadata) text(key), text(value);
    writer.EndObject();
  }
  std::uint64_t offset = 0;
  for (const auto* tensor : order) {
    text(tensor->name);
    writer.StartObject();
    writer.Key("dtype");
    writer.String(detail::safetensors_dtypes[static_cast<std::size_t>(tensor->dtype)]);
    writer.Key("shape");
    writer.StartArray();
    for (auto extent : tensor->shape) writer.Uint64(extent);
    writer.EndArray();
    writer.Key("data_offsets");
    writer.StartArray();
    writer.Uint64(offset);
    writer.Uint64(offset += tensor->bytes.size());
    writer.EndArray();
    writer.EndObject();
  }
  writer.EndObject();

  std::string head(8, '\0');
  head.append(json.GetString(), json.GetSize());
  head.append((8 - head.size() % 8) % 8, ' ');
  const std::uint64_t length = head.size() - 8;
  if (length > detail::safetensors_header_limit)
    throw ArgumentError("[write_safetensors] a header of " + std::to_string(length) + " bytes", file.string());
  std::memcpy(head.data(), &length, sizeof length);
  AtomicFile out(file);
  out.write(head);
  for (const auto* tensor : order) out.write(tensor->bytes);
  out.commit();
}

}  // namespace vitals::inline v0::io
