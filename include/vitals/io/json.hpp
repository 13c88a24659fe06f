// JsonValue: small JSON documents read whole, such as config.json of transformers or adapter_config.json of PEFT.
// (Large tables of numbers belong into safetensors.)
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <vitals/core/config.hpp>

namespace vitals::inline v0::io {

struct JsonMember;

/// null, a boolean, a number, a text, a list or an object. The as_...() functions throw FormatError, naming both kinds,
/// where the value is of another kind.
class JsonValue {
 public:
  using List = std::vector<JsonValue>;
  using Object = std::vector<JsonMember>;  ///< in the order of the document

  JsonValue() = default;
  template <class T>
  requires(!std::is_same_v<std::remove_cvref_t<T>, JsonValue>) explicit JsonValue(T value) : value_(std::move(value)) {}

  bool is_null() const { return std::holds_alternative<std::monostate>(value_); }
  bool is_text() const { return std::holds_alternative<std::string>(value_); }
  bool is_list() const { return std::holds_alternative<List>(value_); }
  bool is_object() const { return std::holds_alternative<Object>(value_); }

  bool as_bool() const;
  double as_number() const;
  /// A whole number; 3.0 is one, 3.5 is not.
  std::int64_t as_integer() const;
  const std::string& as_text() const;
  std::span<const JsonValue> as_list() const;
  std::span<const JsonMember> as_object() const;

  /// The member of an object; nullptr where there is none of that name or where this is no object.
  const JsonValue* find(std::string_view key) const;
  /// The member of an object. Throws FormatError where it is missing.
  const JsonValue& at(std::string_view key) const;

 private:
  const char* kind() const;
  std::variant<std::monostate, bool, std::int64_t, double, std::string, List, Object> value_;
};

struct JsonMember {
  std::string key;
  JsonValue value;
};

/// Throws FormatError, naming `source` and the byte: not JSON, not UTF-8, a key given twice, nested deeper than 64,
/// longer than 16 MiB. NaN and Infinity are read, as Python writes them.
JsonValue parse_json(std::string_view text, const std::string& source);
/// The same from a file. Throws IoError too.
JsonValue read_json(const std::filesystem::path& file);

}  // namespace vitals::inline v0::io

#if VITALS_HEADER_ONLY
#include <vitals/io/json.ipp>
#endif
