// JSON files of reference values, for tests only.
#pragma once

#include <filesystem>
#include <fstream>

#include <nlohmann/json.hpp>

namespace test {

inline nlohmann::json read_json(const std::filesystem::path& file) {
  std::ifstream stream(file);
  return nlohmann::json::parse(stream);
}

}  // namespace test
