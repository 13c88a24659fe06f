// The arithmetic of a forward pass, counted: products of the patch embedding and of every block, and attention's two.
// LayerNorm, GELU, softmax and sums are left out (about 1 %), so "percent of peak" is a little low rather than high.
#pragma once

#include <cstddef>

#include <vitals/models/backbone.hpp>

namespace bench {

/// Floating-point operations of one image through a backbone with the GELU feed-forward part of width 4 D.
inline double forward_flop(const vitals::BackboneInfo& info, std::size_t height, std::size_t width) {
  const double patches = static_cast<double>((height / info.patch) * (width / info.patch));
  const double d = static_cast<double>(info.dim), tokens = 1 + static_cast<double>(info.registers) + patches;
  const double patch_embed = 2 * patches * 3 * static_cast<double>(info.patch * info.patch) * d;
  const double block = 2 * tokens * 12 * d * d + 4 * tokens * tokens * d;  // 3 qkv, 1 proj, 8 feed-forward
  return patch_embed + static_cast<double>(info.depth) * block;
}

}  // namespace bench
