// Pictures of masks: classes as colours over the image, contours, panels side by side, and the sheet of best, median and
// worst cases.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <vitals/core/config.hpp>
#include <vitals/core/tensor.hpp>
#include <vitals/io/image.hpp>
#include <vitals/report/overlay.hpp>

namespace vitals::inline v0::report {

/// The colour of a class: of 1 to 15 colours that tell apart (also red from green for most who cannot), then again.
std::array<std::uint8_t, 3> class_colour(std::size_t k);

/// An image as an 8-bit RGB picture: 8-bit pixels as they are, 16-bit and float from their minimum to their maximum; the first
/// three channels, or grey. NaN is black.
Picture shown(const io::Image& image);

/// Classes of mask (H, W) laid over the picture: pixels of class k mixed with its colour (`strength` of it), the contour of each
/// class in the full colour. Background stays. Throws ShapeError.
Picture with_mask(const Picture& picture, TensorView<const std::uint8_t, dyn, dyn> mask, double strength = 0.35);
/// The contour of mask's classes in one colour: pixels of a class with a neighbour of another. Throws ShapeError.
Picture with_contour(const Picture& picture, TensorView<const std::uint8_t, dyn, dyn> mask,
                     const std::array<std::uint8_t, 3>& colour);

/// Three panels: the image, the reference over it, the prediction over it with the reference's contour in white. Small
/// images are enlarged by a whole factor to about `side` pixels, the masks without mixing classes. Throws ShapeError.
Picture compared(const io::Image& image, TensorView<const std::uint8_t, dyn, dyn> prediction,
                 TensorView<const std::uint8_t, dyn, dyn> reference, std::size_t side = 224);

/// Pictures below one another, left aligned on white. Throws ShapeError for none.
Picture stacked(std::span<const Picture> pictures, std::size_t gap = 8);

/// Which of n ranked cases a contact sheet shows: the `each` best, the ones in the middle, the worst; each once.
std::vector<std::size_t> best_median_worst(std::size_t n, std::size_t each = 2);

}  // namespace vitals::inline v0::report

#if VITALS_HEADER_ONLY
#include <vitals/report/mask_overlay.ipp>
#endif
