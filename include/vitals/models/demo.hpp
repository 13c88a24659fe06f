// The demo's own model: small enough to be trained on a laptop in half an hour and to be carried in a program. The programs of
// examples/ hold weights for it that were trained on drawn pictures (docs/training.md); the library holds its shape alone.
#pragma once

#include <string_view>

#include <vitals/models/vit_config.hpp>

namespace vitals::inline v0::demo {

/// The name that programs take.
inline constexpr std::string_view preset = "vitals_demo";

/// 1.9 million parameters. The patch is DINOv2's, so that whatever size suits one suits the other.
inline constexpr ViTConfig vit14{.dim = 192, .depth = 4, .heads = 3, .patch = 14, .grid = 16};

}  // namespace vitals::inline v0::demo
