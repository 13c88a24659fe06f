// Implementation of result.hpp.
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fstream>
#include <string_view>

#if !__has_include(<rapidjson/rapidjson.h>)
#error "vitals needs RapidJSON (Debian: rapidjson-dev)"
#endif
#include <rapidjson/prettywriter.h>
#include <rapidjson/stringbuffer.h>

#include <vitals/io/atomic_file.hpp>
#include <vitals/report/result.hpp>
#include <vitals/report/text.hpp>

namespace vitals::inline v0::report {

namespace detail {

using Json = rapidjson::PrettyWriter<rapidjson::StringBuffer>;

inline void json_string(Json& json, std::string_view text) {
  const std::string valid = valid_utf8(text);
  json.String(valid.data(), static_cast<rapidjson::SizeType>(valid.size()));
}
inline void json_key(Json& json, std::string_view text) { json_string(json, text); }

// JSON knows no NaN and no infinity: they are null.
inline void json_number(Json& json, double value) {
  if (std::isfinite(value))
    json.Double(value);
  else
    json.Null();
}

inline void json_condition(Json& json, const Condition& condition) {
  if (const auto* text = std::get_if<std::string>(&condition))
    json_string(json, *text);
  else if (const auto* real = std::get_if<double>(&condition))
    json_number(json, *real);
  else if (const auto* whole = std::get_if<long long>(&condition))
    json.Int64(*whole);
  else if (const auto* flag = std::get_if<bool>(&condition))
    json.Bool(*flag);
  else {
    json.StartArray();
    if (const auto* texts = std::get_if<std::vector<std::string>>(&condition))
      for (const auto& text : *texts) json_string(json, text);
    if (const auto* reals = std::get_if<std::vector<double>>(&condition))
      for (double value : *reals) json_number(json, value);
    if (const auto* wholes = std::get_if<std::vector<long long>>(&condition))
      for (long long value : *wholes) json.Int64(value);
    json.EndArray();
  }
}

// Why a score has no number; empty where it has one.
inline std::string undefined_reason(const metrics::Score& score) {
  if (!score) return score.undefined.empty() ? "not defined" : score.undefined;
  return std::isfinite(*score.value) ? "" : "not a finite number";
}

inline void json_score(Json& json, const metrics::Score& score) {
  if (score)
    json_number(json, *score.value);
  else
    json.Null();
}

inline void json_interval(Json& json, const metrics::Interval& interval) {
  json.StartArray();
  json_number(json, interval.low);
  json_number(json, interval.high);
  json.EndArray();
}

inline void json_result(Json& json, const Result& result) {
  json.StartObject();
  json.Key("name");
  json_string(json, result.name);
  json.Key("split");
  json_string(json, result.split);
  json.Key("metric");
  json_string(json, result.metric);
  json.Key("value");
  json_score(json, result.value);
  if (const auto why = undefined_reason(result.value); !why.empty()) {
    json.Key("reason");
    json_string(json, why);
  }
  json.Key("ci95");
  if (result.ci95)
    json_interval(json, *result.ci95);
  else
    json.Null();
  if (result.repeats > 1) {
    json.Key("sd");
    if (result.sd)
      json_number(json, *result.sd);
    else
      json.Null();
    json.Key("repeats");
    json.Uint64(result.repeats);
  }
  json.Key("n");
  json.Uint64(result.n);
  json.Key("per_class");
  json.StartObject();
  for (const auto& [name, score] : result.per_class) {
    json_key(json, name);
    json_score(json, score);
  }
  json.EndObject();
  if (!result.per_class_ci95.empty()) {
    json.Key("per_class_ci95");
    json.StartObject();
    for (const auto& [name, interval] : result.per_class_ci95) {
      json_key(json, name);
      json_interval(json, interval);
    }
    json.EndObject();
  }
  if (!result.skipped.empty()) {
    json.Key("skipped");
    json.StartObject();
    for (const auto& [name, count] : result.skipped) {
      json_key(json, name);
      json.Uint64(count);
    }
    json.EndObject();
  }
  const bool undefined = std::any_of(result.per_class.begin(), result.per_class.end(),
                                     [](const auto& c) { return !undefined_reason(c.second).empty(); });
  if (undefined) {
    json.Key("undefined");
    json.StartObject();
    for (const auto& [name, score] : result.per_class)
      if (const auto why = undefined_reason(score); !why.empty()) {
        json_key(json, name);
        json_string(json, why);
      }
    json.EndObject();
  }
  json.EndObject();
}

inline void json_case(Json& json, const CaseRecord& record) {
  json.StartObject();
  json.Key("path");
  json_string(json, record.path);
  json.Key("per_class");
  json.StartObject();
  for (const auto& [name, values] : record.per_class) {
    json_key(json, name);
    json.StartObject();
    for (const auto& [metric, score] : values) {
      json_key(json, metric);
      json_score(json, score);
    }
    json.EndObject();
  }
  json.EndObject();
  json.EndObject();
}

inline std::string pad(const std::string& text, std::size_t width, bool right) {
  const std::size_t length = display_width(text);
  const std::string space(width > length ? width - length : 0, ' ');
  return right ? space + text : text + space;
}

// "0.812 - 0.903", or the spread over repeats: "sd 0.021".
inline std::string interval_text(const Result& r) {
  if (r.ci95) return fixed(r.ci95->low, 3) + " - " + fixed(r.ci95->high, 3);
  return r.sd ? "sd " + fixed(*r.sd, 3) : "-";
}

// The class names that every result with a per-class score has, in order; empty where results differ or it gets too wide.
inline std::vector<std::string> shared_classes(const std::vector<Result>& results) {
  std::vector<std::string> classes;
  for (const auto& result : results) {
    if (result.per_class.empty()) continue;
    std::vector<std::string> own;
    for (const auto& [name, score] : result.per_class) own.push_back(name);
    if (classes.empty())
      classes = own;
    else if (classes != own)
      return {};
  }
  return classes.size() <= 8 ? classes : std::vector<std::string>{};
}

}  // namespace detail

VITALS_INLINE std::string to_json(const Report& report) {
  rapidjson::StringBuffer buffer;
  detail::Json json(buffer);
  json.SetIndent(' ', 2);
  json.SetFormatOptions(rapidjson::kFormatSingleLineArray);
  json.StartObject();
  json.Key("program");
  detail::json_string(json, report.program);
  json.Key("version");
  detail::json_string(json, report.version);
  json.Key("conditions");
  json.StartObject();
  for (const auto& [name, value] : report.conditions) {
    detail::json_key(json, name);
    detail::json_condition(json, value);
  }
  json.EndObject();
  json.Key("results");
  json.StartArray();
  for (const auto& result : report.results) detail::json_result(json, result);
  json.EndArray();
  if (!report.cases.empty()) {
    json.Key("cases");
    json.StartArray();
    for (const auto& record : report.cases) detail::json_case(json, record);
    json.EndArray();
  }
  json.Key("notes");
  json.StartArray();
  for (const auto& note : report.notes) detail::json_string(json, note);
  json.EndArray();
  json.Key("time_s");
  json.StartObject();
  for (const auto& [stage, seconds] : report.time_s) {
    detail::json_key(json, stage);
    detail::json_number(json, seconds);
  }
  json.EndObject();
  json.Key("peak_memory_mib");
  detail::json_number(json, report.peak_memory_mib);
  json.EndObject();
  return std::string(buffer.GetString(), buffer.GetSize()) + "\n";
}

VITALS_INLINE void write_json(const std::filesystem::path& file, const Report& report) {
  io::write_text_file(file, to_json(report));
}

VITALS_INLINE std::string table(const std::vector<Result>& results) {
  const auto classes = detail::shared_classes(results);
  std::vector<std::vector<std::string>> rows{{"name", "metric", "value", "95 % interval", "n"}};
  rows[0].insert(rows[0].end(), classes.begin(), classes.end());
  std::string reasons;
  for (const auto& r : results) {
    const bool defined = detail::undefined_reason(r.value).empty();
    std::vector<std::string> row{r.name, r.metric, defined ? fixed(*r.value.value, 3) : "-", detail::interval_text(r),
                                 std::to_string(r.n)};
    for (std::size_t c = 0; c < classes.size(); ++c) {
      const bool has = c < r.per_class.size() && detail::undefined_reason(r.per_class[c].second).empty();
      row.push_back(has ? fixed(*r.per_class[c].second.value, 3) : "-");
    }
    rows.push_back(std::move(row));
    if (!defined)
      reasons += "not defined: " + r.name + ", " + r.metric + ": " + detail::undefined_reason(r.value) + "\n";
    for (const auto& [name, score] : r.per_class)
      if (const auto why = detail::undefined_reason(score); !why.empty())
        reasons += "not defined: " + r.name + ", " + r.metric + ", class " + name + ": " + why + "\n";
  }
  std::vector<std::size_t> widths(rows[0].size(), 3);
  for (const auto& row : rows)
    for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], display_width(row[c]));
  std::string text;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    for (std::size_t c = 0; c < widths.size(); ++c) text += "| " + detail::pad(rows[r][c], widths[c], c >= 2) + " ";
    text += "|\n";
    if (r > 0) continue;
    for (std::size_t c = 0; c < widths.size(); ++c)
      text += "| " + std::string(widths[c] - (c >= 2), '-') + (c >= 2 ? ": " : " ");
    text += "|\n";
  }
  return text + reasons;
}

VITALS_INLINE double peak_memory_mib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmHWM:", 0) != 0) continue;
    const std::size_t digit = line.find_first_of("0123456789");
    double kib = 0;
    if (digit != std::string::npos) std::from_chars(line.data() + digit, line.data() + line.size(), kib);
    return kib / 1024;
  }
  return 0;
}

}  // namespace vitals::inline v0::report
