// The decoders that turn a backbone's patch tokens into a class for each pixel, by name. What they share: they read the last
// `blocks_of` blocks, each after the final LayerNorm, as maps (B, h, w, D), and give logits (B, H, W, K).
#pragma once

#include <array>
#include <cstddef>
#include <string>

#include <vitals/core/error.hpp>

namespace vitals::inline v0::heads {

enum class DecoderKind {
  linear,  ///< a 1 x 1 convolution and bilinear resizing (linear_segmenter.hpp)
  unet     ///< the study's U-Net decoder over the last five blocks (unet_decoder.hpp)
};

inline const char* name(DecoderKind kind) { return kind == DecoderKind::linear ? "linear" : "unet"; }
/// How many of the last blocks a decoder reads.
inline std::size_t blocks_of(DecoderKind kind) { return kind == DecoderKind::linear ? 1 : 5; }
/// Throws ArgumentError for another word.
inline DecoderKind decoder_by_name(const std::string& word) {
  for (auto kind : {DecoderKind::linear, DecoderKind::unet})
    if (word == name(kind)) return kind;
  throw ArgumentError("no decoder is called '" + word + "'", "", "use linear or unet");
}

/// A decoder's shape, at run time.
struct DecoderShape {
  DecoderKind kind = DecoderKind::unet;
  std::size_t dim = 0;                    ///< D of the backbone
  std::size_t classes = 0;                ///< K, background included
  std::array<std::size_t, 2> size{0, 0};  ///< H, W of the logits: what entered the backbone
  friend bool operator==(const DecoderShape&, const DecoderShape&) = default;
};

}  // namespace vitals::inline v0::heads
