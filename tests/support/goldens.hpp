// Reference values: tensors of a safetensors file, and how far a result is from them.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include <vitals/core/tensor.hpp>
#include <vitals/io/tensor_file.hpp>

namespace test {

/// Tensor NAME of a file as float (or double), with the rank that the caller expects.
template <std::size_t Rank, class T = float>
auto tensor(const vitals::io::TensorFile& file, const std::string& name) {
  const auto* entry = file.find(name);
  if (!entry) throw vitals::DataError("no tensor " + name, file.path().string());
  if (entry->shape.size() != Rank) throw vitals::ShapeError("rank of " + name, file.path().string());
  std::array<std::size_t, Rank> shape;
  std::copy(entry->shape.begin(), entry->shape.end(), shape.begin());
  const auto make = [&]<std::size_t... I>(std::index_sequence<I...>) {
    return vitals::Tensor<T, ((void)I, vitals::dyn)...>(shape);
  };
  auto out = make(std::make_index_sequence<Rank>{});
  file.read(*entry, out.span());
  return out;
}

/// The largest absolute difference, relative to the largest value of the reference; infinite where sizes differ or a
/// number is NaN.
template <class A, class B>
double distance(const A& got, const B& reference) {
  if (got.size() != reference.size()) return INFINITY;
  double worst = 0, largest = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double difference = std::abs(static_cast<double>(got.data()[i]) - static_cast<double>(reference.data()[i]));
    if (!(difference <= worst)) worst = std::isnan(difference) ? INFINITY : difference;
    largest = std::max(largest, std::abs(static_cast<double>(reference.data()[i])));
  }
  return worst / largest;
}

}  // namespace test
