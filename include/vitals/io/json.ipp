// Implementation of json.hpp, on RapidJSON's iterative SAX reader.
#pragma once

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#if !__has_include(<rapidjson/rapidjson.h>)
#error "vitals needs RapidJSON (Debian: rapidjson-dev)"
#endif
#include <rapidjson/error/en.h>
#include <rapidjson/memorystream.h>
#include <rapidjson/reader.h>

#include <vitals/core/error.hpp>
#include <vitals/io/bytes.hpp>
#include <vitals/io/json.hpp>
#include <vitals/io/mapped_file.hpp>

namespace vitals::inline v0::io {

namespace detail {

// Builds the value from the reader's events: one open container a level, its members' keys beside it.
class JsonBuilder : public rapidjson::BaseReaderHandler<rapidjson::UTF8<>, JsonBuilder> {
 public:
  JsonValue root;
  std::string problem;

  bool Null() { return add(JsonValue()); }
  bool Bool(bool b) { return add(JsonValue(b)); }
  bool Int(int i) { return add(JsonValue(std::int64_t{i})); }
  bool Uint(unsigned u) { return add(JsonValue(std::int64_t{u})); }
  bool Int64(std::int64_t i) { return add(JsonValue(i)); }
  bool Uint64(std::uint64_t u) {
    return u <= static_cast<std::uint64_t>(INT64_MAX) ? Int64(static_cast<std::int64_t>(u))
                                                      : Double(static_cast<double>(u));
  }
  bool Double(double d) { return add(JsonValue(d)); }
  bool String(const char* text, rapidjson::SizeType size, bool) { return add(JsonValue(std::string(text, size))); }
  bool Key(const char* text, rapidjson::SizeType size, bool) {
    auto& level = open_.back();
    level.key.assign(text, size);
    if (level.keys.insert(level.key).second) return true;
    problem = "key " + printable(level.key) + " stands twice";
    return false;
  }
  bool StartObject() { return start(true); }
  bool StartArray() { return start(false); }
  bool EndObject(rapidjson::SizeType) { return end(); }
  bool EndArray(rapidjson::SizeType) { return end(); }

 private:
  struct Level {
    bool is_object;
    JsonValue::List list;
    JsonValue::Object object;
    std::string key;
    std::set<std::string> keys;
  };

  bool start(bool is_object) {
    if (open_.size() == 64) {
      problem = "nested deeper than 64";
      return false;
    }
    open_.push_back({is_object, {}, {}, {}, {}});
    return true;
  }
  bool end() {
    Level level = std::move(open_.back());
    open_.pop_back();
    return add(level.is_object ? JsonValue(std::move(level.object)) : JsonValue(std::move(level.list)));
  }
  bool add(JsonValue value) {
    if (open_.empty())
      root = std::move(value);
    else if (open_.back().is_object)
      open_.back().object.push_back({open_.back().key, std::move(value)});
    else
      open_.back().list.push_back(std::move(value));
    return true;
  }
  std::vector<Level> open_;
};

}  // namespace detail

VITALS_INLINE const char* JsonValue::kind() const {
  constexpr const char* names[] = {"null", "a boolean", "a number", "a number", "a text", "a list", "an object"};
  return names[value_.index()];
}

VITALS_INLINE bool JsonValue::as_bool() const {
  if (const auto* b = std::get_if<bool>(&value_)) return *b;
  throw FormatError(std::string("JSON: expected a boolean, got ") + kind());
}
VITALS_INLINE double JsonValue::as_number() const {
  if (const auto* i = std::get_if<std::int64_t>(&value_)) return static_cast<double>(*i);
  if (const auto* d = std::get_if<double>(&value_)) return *d;
  throw FormatError(std::string("JSON: expected a number, got ") + kind());
}
VITALS_INLINE std::int64_t JsonValue::as_integer() const {
  if (const auto* i = std::get_if<std::int64_t>(&value_)) return *i;
  const double d = as_number();
  if (std::abs(d) < 0x1p63 && d == std::floor(d)) return static_cast<std::int64_t>(d);
  throw FormatError("JSON: expected a whole number, got " + std::to_string(d));
}
VITALS_INLINE const std::string& JsonValue::as_text() const {
  if (const auto* text = std::get_if<std::string>(&value_)) return *text;
  throw FormatError(std::string("JSON: expected a text, got ") + kind());
}
VITALS_INLINE std::span<const JsonValue> JsonValue::as_list() const {
  if (const auto* list = std::get_if<List>(&value_)) return *list;
  throw FormatError(std::string("JSON: expected a list, got ") + kind());
}
VITALS_INLINE std::span<const JsonMember> JsonValue::as_object() const {
  if (const auto* object = std::get_if<Object>(&value_)) return *object;
  throw FormatError(std::string("JSON: expected an object, got ") + kind());
}

VITALS_INLINE const JsonValue* JsonValue::find(std::string_view key) const {
  const auto* object = std::get_if<Object>(&value_);
  if (!object) return nullptr;
  const auto found =
      std::find_if(object->begin(), object->end(), [&](const auto& member) { return member.key == key; });
  return found == object->end() ? nullptr : &found->value;
}
VITALS_INLINE const JsonValue& JsonValue::at(std::string_view key) const {
  if (const auto* value = find(key)) return *value;
  throw FormatError("JSON: key " + detail::printable(key) + " is missing");
}

VITALS_INLINE JsonValue parse_json(std::string_view text, const std::string& source) {
  if (text.size() > (std::size_t{16} << 20))
    throw FormatError("JSON: " + std::to_string(text.size()) + " bytes, more than 16 MiB", source);
  detail::JsonBuilder builder;
  rapidjson::MemoryStream stream(text.data(), text.size());
  rapidjson::Reader reader;
  constexpr unsigned flags = rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag |
                             rapidjson::kParseFullPrecisionFlag | rapidjson::kParseNanAndInfFlag;
  const auto result = reader.Parse<flags>(stream, builder);
  const auto where = [&] { return source + ", byte " + std::to_string(result.Offset()); };
  if (!builder.problem.empty()) throw FormatError("JSON: " + builder.problem, where());
  if (result.IsError())
    throw FormatError(std::string("not JSON: ") + rapidjson::GetParseError_En(result.Code()), where());
  if (stream.Tell() != text.size())
    throw FormatError("JSON: bytes after its end", source);  // a NUL ends it for the reader
  return std::move(builder.root);
}

VITALS_INLINE JsonValue read_json(const std::filesystem::path& file) {
  const MappedFile mapping(file);
  return parse_json(detail::as_text(mapping.bytes()), file.string());
}

}  // namespace vitals::inline v0::io
