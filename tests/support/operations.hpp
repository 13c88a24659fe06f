// What the tests of single operations share: their reference files and how close a result has to be.
#pragma once

#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include <catch2/catch.hpp>

#include "goldens.hpp"
#include "paths.hpp"

namespace test {

/// Of the largest value of a reference.
template <class T>
constexpr double tolerance = std::is_same_v<T, float> ? 1e-5 : 1e-12;

inline vitals::io::TensorFile golden(const std::string& name) {
  return vitals::io::TensorFile::open(shared("goldens/ops/" + name + ".safetensors"));
}

/// All numbers of a tensor, whatever its rank.
template <class T>
std::vector<T> flat(const vitals::io::TensorFile& file, const std::string& name) {
  const auto* entry = file.find(name);
  REQUIRE(entry);
  std::vector<T> values(entry->size());
  file.read(*entry, std::span<T>(values));
  return values;
}

}  // namespace test
