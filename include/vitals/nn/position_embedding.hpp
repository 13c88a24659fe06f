// Position embeddings for another grid of patches than the stored one. Three rules are in use for the very same
// weights, and they give measurably different features (see Positions).
#pragma once

#include <cstddef>
#include <span>

#include <vitals/core/config.hpp>
#include <vitals/core/tensor.hpp>
#include <vitals/nn/positions.hpp>

namespace vitals::inline v0::nn {

/// stored (1 + M M, D), the CLS row first -> (1 + h w, D), row by row. The CLS row is kept; a square grid of the stored
/// size is returned as it is, any other (also a non-square one of as many tokens) is interpolated, in double.
/// Sources: facebookresearch/dinov2 vision_transformer.py (offset, antialias), Hugging Face Dinov2 (size), and the
/// kernels of PyTorch's interpolate(mode="bicubic", antialias=...) behind them.
/// Throws ShapeError where the stored grid is not square.
Tensor<float, dyn, dyn> interpolate_positions(TensorView<const float, dyn, dyn> stored, std::size_t h, std::size_t w,
                                              Positions rule);
/// The same without rounding to float.
Tensor<double, dyn, dyn> interpolate_positions(TensorView<const double, dyn, dyn> stored, std::size_t h, std::size_t w,
                                               Positions rule);

/// Its transpose: `from` (1 + h w, d), the gradient of the result, is added to `to` (1 + M M, d), that of the stored.
void interpolate_positions_backward(std::span<const double> from, std::size_t h, std::size_t w, std::size_t d,
                                    Positions rule, std::span<double> to);

}  // namespace vitals::inline v0::nn

#if VITALS_HEADER_ONLY
#include <vitals/nn/position_embedding.ipp>
#endif
