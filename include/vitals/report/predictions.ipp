// Implementation of predictions.hpp.
#pragma once

#include <array>
#include <charconv>
#include <optional>
#include <string_view>
#include <system_error>

#include <vitals/core/error.hpp>
#include <vitals/io/csv.hpp>
#include <vitals/report/predictions.hpp>

namespace vitals::inline v0::report {

namespace detail {

inline constexpr std::string_view target_column = "target:", score_column = "score:";

inline std::string nine_digits(double value) {
  char text[40];
  return std::string(text, std::to_chars(text, text + sizeof text, value, std::chars_format::general, 9).ptr);
}

inline std::optional<double> number_of(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty() || value != value) return std::nullopt;
  return value;
}

}  // namespace detail

VITALS_INLINE double as_written(double score) {
  const auto text = detail::nine_digits(score);
  return detail::number_of(text).value_or(score);
}

VITALS_INLINE void write_predictions(const std::filesystem::path& file, const Predictions& p) {
  const std::array<std::size_t, 2> shape{p.paths.size(), p.classes.size()};
  if (p.targets.shape() != shape || p.scores.shape() != shape)
    throw ShapeError("[write_predictions] targets " + to_string(p.targets.shape()) + ", scores " +
                         to_string(p.scores.shape()) + ", expected " + to_string(shape),
                     file.string());
  std::vector<std::string> header{"path"};
  for (const auto& name : p.classes) header.push_back(std::string(detail::target_column) + name);
  for (const auto& name : p.classes) header.push_back(std::string(detail::score_column) + name);
  std::vector<std::vector<std::string>> rows;
  for (std::size_t i = 0; i < shape[0]; ++i) {
    auto& row = rows.emplace_back(1, p.paths[i]);
    for (std::size_t k = 0; k < shape[1]; ++k) row.push_back(p.targets(i, k) ? "1" : "0");
    for (std::size_t k = 0; k < shape[1]; ++k) row.push_back(detail::nine_digits(p.scores(i, k)));
  }
  io::write_csv(file, header, rows);
}

VITALS_INLINE Predictions read_predictions(const std::filesystem::path& file) {
  const auto table = io::read_csv(file);
  Predictions p;
  std::vector<std::size_t> target_at, score_at;
  for (const auto& name : table.header)
    if (name.rfind(detail::target_column, 0) == 0) {
      p.classes.push_back(name.substr(detail::target_column.size()));
      target_at.push_back(table.column(name));
      score_at.push_back(table.column(std::string(detail::score_column) + p.classes.back()));
    }
  for (const auto& name : table.header)
    if (name.rfind(detail::score_column, 0) == 0)
      table.column(std::string(detail::target_column) + name.substr(detail::score_column.size()));
  if (p.classes.empty())
    throw FormatError("no column target:CLASS", file.string(), "the header is path,target:CLASS...,score:CLASS...");
  const std::size_t path_at = table.column("path"), n = table.rows.size();
  p.targets = Tensor<std::uint8_t, dyn, dyn>({n, p.classes.size()});
  p.scores = Tensor<double, dyn, dyn>({n, p.classes.size()});
  for (std::size_t i = 0; i < n; ++i) {
    const auto& row = table.rows[i];
    p.paths.push_back(row[path_at]);
    for (std::size_t k = 0; k < p.classes.size(); ++k) {
      const auto where = [&](std::size_t column) { return table.where(i) + ", column " + table.header[column]; };
      const auto target = detail::number_of(row[target_at[k]]), score = detail::number_of(row[score_at[k]]);
      if (target != 0.0 && target != 1.0)
        throw FormatError("the target \"" + row[target_at[k]] + "\" is neither 0 nor 1", where(target_at[k]));
      if (!score) throw FormatError("the score \"" + row[score_at[k]] + "\" is no number", where(score_at[k]));
      p.targets(i, k) = target == 1.0;
      p.scores(i, k) = *score;
    }
  }
  return p;
}

}  // namespace vitals::inline v0::report
