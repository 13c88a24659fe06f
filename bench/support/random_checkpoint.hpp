// Checkpoint files of the published shapes with random numbers in them: what is loaded and compared where the published
// weights are not at hand.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <vitals/core/rng.hpp>
#include <vitals/io/safetensors.hpp>
#include <vitals/models/dinov2.hpp>

namespace bench {

namespace detail {

/// Name and shape of every parameter. Nothing is allocated for their numbers.
template <class Model>
std::vector<std::pair<std::string, std::vector<std::size_t>>> table_of() {
  Model empty;
  std::vector<std::pair<std::string, std::vector<std::size_t>>> table;
  for (const auto& [name, parameter] : empty.parameters())
    table.emplace_back(name, std::vector<std::size_t>(parameter->shape().begin(), parameter->shape().end()));
  return table;
}

inline std::vector<std::pair<std::string, std::vector<std::size_t>>> table_of(std::string_view preset) {
  using namespace vitals;
  if (preset == "dinov2_vits14") return table_of<ViT<dinov2::vits14, Cpu<float>>>();
  if (preset == "dinov2_vitb14") return table_of<ViT<dinov2::vitb14, Cpu<float>>>();
  if (preset == "dinov2_vitl14") return table_of<ViT<dinov2::vitl14, Cpu<float>>>();
  throw ArgumentError("no random checkpoint of '" + std::string(preset) + "'", "",
                      "use dinov2_vits14, dinov2_vitb14 or dinov2_vitl14");
}

}  // namespace detail

/// Writes a .safetensors file in the published names. Weights, tokens and biases are uniform with deviation 0.02, norms
/// and LayerScale 1 give or take as much. Every tensor is a piece of one block of random numbers, from a place that its
/// name and the seed choose: a gigabyte is written in seconds and a few megabytes of memory. The same seed gives the
/// same file.
inline void write_random_checkpoint(std::string_view preset, std::uint64_t seed, const std::filesystem::path& file) {
  const auto table = detail::table_of(preset);
  const auto size_of = [](const std::vector<std::size_t>& shape) {
    std::size_t n = 1;
    for (auto s : shape) n *= s;
    return n;
  };
  constexpr std::size_t places = std::size_t{1} << 20;
  std::size_t largest = 0;
  for (const auto& [name, shape] : table) largest = std::max(largest, size_of(shape));
  const vitals::Rng rng(seed);
  std::vector<float> weights(places + largest), ones(weights.size());
  for (std::size_t i = 0; i < weights.size(); ++i) {
    weights[i] = 0.02f * 1.7320508f * (static_cast<float>(rng.bits_at(i)) * 0x1p-31f - 1.0f);
    ones[i] = 1.0f + weights[i];
  }
  std::vector<vitals::io::NamedTensor> tensors;
  for (const auto& [name, shape] : table) {
    std::uint64_t place = 1469598103934665603ull ^ seed;  // FNV-1a
    for (unsigned char c : name) place = (place ^ c) * 1099511628211ull;
    const bool scale = name.ends_with("gamma") || (name.find("norm") != std::string::npos && name.ends_with("weight"));
    const auto& from = scale ? ones : weights;
    tensors.emplace_back(name, shape, std::span<const float>(from.data() + place % places, size_of(shape)));
  }
  vitals::io::write_safetensors(file, tensors, {{"format", "pt"}});
}

}  // namespace bench
