// Learning rates over time and over depth: cosine decay after a linear warm-up, and smaller rates for earlier blocks.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <vitals/core/error.hpp>
#include <vitals/nn/module.hpp>
#include <vitals/train/optimizer.hpp>

namespace vitals::inline v0::train {

/// Linear warm-up, then half a cosine from lr down to min_lr. Loshchilov, Hutter, "SGDR", arXiv 1608.03983. Without warm-up
/// it is torch's CosineAnnealingLR(T_max = steps).
struct CosineSchedule {
  double lr = 1e-3;
  std::uint64_t steps = 1;   ///< in all, warm-up included
  std::uint64_t warmup = 0;  ///< of them; step i of these uses lr * (i + 1) / warmup
  double min_lr = 0;

  /// The rate of step `step`, from 0 on; after the last step min_lr.
  double at(std::uint64_t step) const {
    if (step < warmup) return lr * static_cast<double>(step + 1) / static_cast<double>(warmup);
    if (step >= steps) return min_lr;
    const double done = static_cast<double>(step - warmup) / static_cast<double>(steps - warmup);
    return min_lr + (lr - min_lr) * 0.5 * (1 + std::cos(3.14159265358979323846 * done));
  }
};

/// The place of a parameter in a model of `depth` blocks: 0 what comes before them (tokens, positions, patch embedding),
/// i + 1 block i, depth + 1 what comes after (final norm, head).
inline std::size_t layer_of(std::string_view name, std::size_t depth) {
  if (name.starts_with("blocks.")) {
    std::size_t block = 0;
    for (std::size_t i = 7; i < name.size() && name[i] >= '0' && name[i] <= '9'; ++i)
      block = block * 10 + static_cast<std::size_t>(name[i] - '0');
    return block + 1;
  }
  for (std::string_view before : {"cls_token", "pos_embed", "register_tokens", "mask_token", "patch_embed."})
    if (name.starts_with(before)) return 0;
  return depth + 1;
}

/// Groups whose rate shrinks by `decay` from one layer to the one before it: decay^(depth + 1 - layer_of). Parameters of
/// one axis (biases, norms, LayerScale) get no weight decay where `decay_matrices_only`. Clark et al., "ELECTRA", arXiv
/// 2003.10555; Bao et al., "BEiT", arXiv 2106.08254. Throws ArgumentError where decay is not in (0, 1].
template <class B>
std::vector<ParameterGroup<B>> layer_groups(const std::vector<nn::NamedParameter<B>>& parameters, std::size_t depth,
                                            double decay, bool decay_matrices_only = false) {
  if (!(decay > 0 && decay <= 1))
    throw ArgumentError("[layer_groups] decay " + std::to_string(decay), "", "use a factor above 0 and up to 1");
  std::vector<ParameterGroup<B>> groups(2 * (depth + 2));
  for (std::size_t i = 0; i < groups.size(); ++i) {
    groups[i].lr_scale = std::pow(decay, static_cast<double>(depth + 1 - i / 2));
    if (i % 2) groups[i].weight_decay = 0;
  }
  for (const auto& row : parameters) {
    const std::size_t layer = std::min(layer_of(row.name, depth), depth + 1);
    const bool vector = row.parameter->shape().size() < 2;
    groups[2 * layer + (decay_matrices_only && vector ? 1 : 0)].parameters.push_back(row);
  }
  return groups;
}

}  // namespace vitals::inline v0::train
