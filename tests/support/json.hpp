// JSON files of reference values, for tests. "nan", "inf" and "-inf" stand for the numbers that JSON cannot hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <vitals/core/tensor.hpp>

namespace test {

using Json = nlohmann::json;

inline Json read_json(const std::filesystem::path& file) {
  std::ifstream stream(file);
  if (!stream) throw std::runtime_error("cannot read " + file.string());
  return Json::parse(stream);
}

inline double number(const Json& value) {
  if (!value.is_string()) return value.get<double>();
  const auto text = value.get<std::string>();
  if (text == "nan") return std::numeric_limits<double>::quiet_NaN();
  if (text == "inf") return std::numeric_limits<double>::infinity();
  if (text == "-inf") return -std::numeric_limits<double>::infinity();
  throw std::runtime_error("not a number: " + text);
}

/// A list of numbers.
template <class T = double>
std::vector<T> list(const Json& values) {
  std::vector<T> result;
  for (const auto& v : values) result.push_back(static_cast<T>(number(v)));
  return result;
}

/// A list of rows of equal length.
template <class T = double>
vitals::Tensor<T, vitals::dyn, vitals::dyn> matrix(const Json& rows) {
  vitals::Tensor<T, vitals::dyn, vitals::dyn> result({rows.size(), rows.at(0).size()});
  for (std::size_t i = 0; i < rows.size(); ++i)
    for (std::size_t k = 0; k < result.extent(1); ++k) result(i, k) = static_cast<T>(number(rows[i].at(k)));
  return result;
}

}  // namespace test
