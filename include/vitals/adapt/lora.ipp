// Implementation of lora.hpp: what does not depend on the type of the model.
#pragma once

#include <vitals/adapt/lora.hpp>

namespace vitals::inline v0::adapt {

VITALS_INLINE const char* name(LoraBias bias) {
  switch (bias) {
    case LoraBias::all:
      return "all";
    case LoraBias::lora_only:
      return "lora_only";
    case LoraBias::none:
      break;
  }
  return "none";
}

VITALS_INLINE LoraBias lora_bias_by_name(const std::string& word) {
  for (LoraBias bias : {LoraBias::none, LoraBias::all, LoraBias::lora_only})
    if (word == name(bias)) return bias;
  throw ArgumentError("unknown bias '" + word + "' of LoRA", "", "use none, all or lora_only");
}

namespace detail {

VITALS_INLINE bool module_matches(const std::string& module, const std::string& target) {
  return module == target || module.ends_with("." + target);
}

VITALS_INLINE void check_lora(const LoraOptions& options) {
  const auto refuse = [](const std::string& what, const char* advice) {
    throw ArgumentError("[lora] " + what, "", advice);
  };
  if (options.rank == 0) refuse("rank 0", "use a rank from 1 on");
  for (const auto& [target, rank] : options.rank_pattern)
    if (rank == 0) refuse("rank 0 for " + target, "use a rank from 1 on");
  if (!std::isfinite(options.alpha)) refuse("alpha is not a number", "use a finite one");
  if (!(options.dropout >= 0 && options.dropout < 1))
    refuse("dropout " + std::to_string(options.dropout), "use a share from 0 to below 1");
  if (options.targets.empty()) refuse("no targets", "name at least one Linear, for instance qkv");
}

VITALS_INLINE void no_such_target(const std::string& target, const std::string& modules) {
  throw ArgumentError("[lora] no Linear is called '" + target + "'", "",
                      "there are " + modules + " ...; q, k and v are parts of qkv");
}

VITALS_INLINE std::uint64_t stream_of(const std::string& name) {
  std::uint64_t stream = 1469598103934665603ull;  // FNV-1a
  for (unsigned char c : name) stream = (stream ^ c) * 1099511628211ull;
  return stream;
}

}  // namespace detail

}  // namespace vitals::inline v0::adapt
