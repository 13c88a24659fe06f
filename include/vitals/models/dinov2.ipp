// Implementation of dinov2.hpp; in the compiled library also where the presets are instantiated.
#pragma once

#include <vitals/core/error.hpp>
#include <vitals/models/dinov2.hpp>

namespace vitals::inline v0::dinov2 {

VITALS_INLINE const Preset* preset_of(const Checkpoint& checkpoint) {
  const auto config = checkpoint.config();
  if (!config) return nullptr;
  for (const Preset& preset : presets) {
    ViTConfig seen = preset.config;  // what the keys can tell of it
    seen.heads = 0;
    seen.positions = config->positions;
    seen.hidden = seen.mlp_hidden();
    if (seen == *config) return &preset;
  }
  return nullptr;
}

VITALS_INLINE const Preset& preset_by_name(std::string_view name) {
  std::string known;
  for (const Preset& preset : presets) {
    if (preset.name == name) return preset;
    known += (known.empty() ? "" : ", ") + std::string(preset.name);
  }
  throw ArgumentError("unknown model '" + std::string(name) + "'", "", "use one of " + known);
}

}  // namespace vitals::inline v0::dinov2

#if !VITALS_HEADER_ONLY
namespace vitals::inline v0 {
VITALS_DINOV2_INSTANCES(, Cpu<float>)
VITALS_DINOV2_INSTANCES(, Cpu<bfloat16>)
VITALS_DINOV2_INSTANCES(, Cpu<std::int8_t>)
}  // namespace vitals::inline v0
#endif
