// Positions: the rule by which stored position embeddings meet another grid of patches.
#pragma once

#include <string>
#include <string_view>

#include <vitals/core/error.hpp>

namespace vitals::inline v0 {

/// All agree on the stored grid itself.
/// offset: bicubic (a = -0.75) sampled with the scale (h + 0.1) / M (DINOv2 without registers); size: with h / M
/// (Hugging Face); antialias: Pillow-like bicubic (a = -0.5), support widened when shrinking (DINOv2 with registers, timm).
enum class Positions { offset, size, antialias };

inline const char* name(Positions rule) {
  switch (rule) {
    case Positions::size:
      return "size";
    case Positions::antialias:
      return "antialias";
    case Positions::offset:
      break;
  }
  return "offset";
}

/// Throws ArgumentError for another word.
inline Positions positions_by_name(std::string_view text) {
  for (Positions rule : {Positions::offset, Positions::size, Positions::antialias})
    if (text == name(rule)) return rule;
  throw ArgumentError("unknown position rule '" + std::string(text) + "'", "", "use offset, antialias or size");
}

}  // namespace vitals::inline v0
