// ViTConfig: the shape of a Vision Transformer, fixed at compile time. A structural type: a value of it is a template
// argument, so a model is a type.
#pragma once

#include <cstddef>

#include <vitals/nn/positions.hpp>

namespace vitals::inline v0 {

/// The feed-forward part of a block.
enum class Mlp { gelu, swiglu };

struct ViTConfig {
  std::size_t dim = 384;      ///< D, the width
  std::size_t depth = 12;     ///< blocks
  std::size_t heads = 6;      ///< H; dim is a multiple of it
  std::size_t patch = 14;     ///< P, pixels
  std::size_t grid = 16;      ///< side of the stored grid of position embeddings, in patches
  std::size_t registers = 0;  ///< R, register tokens after CLS (Darcet et al., arXiv 2309.16588)
  Mlp mlp = Mlp::gelu;
  std::size_t hidden = 0;  ///< width inside the feed-forward part; 0: 4 D, and for SwiGLU 8 ceil(int(8 D / 3) / 8)
  Positions positions = Positions::offset;
  double norm_eps = 1e-6;

  constexpr std::size_t mlp_hidden() const {
    if (hidden) return hidden;
    return mlp == Mlp::gelu ? 4 * dim : (4 * dim * 2 / 3 + 7) / 8 * 8;
  }
  friend constexpr bool operator==(const ViTConfig&, const ViTConfig&) = default;
};

namespace detail {

/// Impossible shapes end here, with the numbers in the name of the type.
template <std::size_t Dim, std::size_t Heads>
struct HeadsOf {
  static_assert(Heads > 0 && Dim % Heads == 0,
                "ViTConfig: dim is not a multiple of heads (HeadsOf<dim, heads> says both)");
  static constexpr std::size_t value = Heads;
};

}  // namespace detail

}  // namespace vitals::inline v0
