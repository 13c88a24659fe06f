// Pictures of what a backbone sees: the first three principal components of the patch tokens as red, green and blue,
// beside the picture that entered the model (the figure of the DINOv2 paper, arXiv 2304.07193).
//
//   const auto out = model.features(pixels);
//   vt::report::save_patch_pca("pca.png", pixels[0], out.patches[0], 14);
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>

#include <vitals/core/config.hpp>
#include <vitals/core/tensor.hpp>

namespace vitals::inline v0::report {

/// An 8-bit RGB picture, (H, W, 3).
using Picture = Tensor<std::uint8_t, dyn, dyn, dyn>;

/// The three leading principal components of `patches` (N, D), each scaled to 0 .. 255 between its 2nd and 98th
/// percentile, as a picture (rows, columns, 3); N == rows * columns. A component's sign is chosen so that its largest
/// loading is positive: the same input gives the same colours. A component without variance is 128 everywhere.
/// Throws ShapeError, DataError (NaN).
Picture patch_pca(TensorView<const float, dyn, dyn> patches, std::size_t rows, std::size_t columns);
/// The normalised `pixels` (3, H, W) as a picture again: ImageNet mean and deviation undone, clipped to 0 .. 255.
Picture picture_of(TensorView<const float, dyn, dyn, dyn> pixels);
/// Bilinear (half-pixel centres, borders repeated) to (height, width, 3).
Picture enlarge(const Picture& picture, std::size_t height, std::size_t width);
/// Two pictures of the same height, left and right, with `gap` white columns between them. Throws ShapeError.
Picture beside(const Picture& left, const Picture& right, std::size_t gap = 8);
/// Writes picture_of(pixels) and the components of its patch tokens side by side as PNG.
/// pixels (3, H, W) normalised, patches (H / patch * W / patch, D). Throws ShapeError, DataError, IoError.
void save_patch_pca(const std::filesystem::path& file, TensorView<const float, dyn, dyn, dyn> pixels,
                    TensorView<const float, dyn, dyn> patches, std::size_t patch);

}  // namespace vitals::inline v0::report

#if VITALS_HEADER_ONLY
#include <vitals/report/overlay.ipp>
#endif
