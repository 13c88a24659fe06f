// Masks of whole volumes: slice by slice in batches through a trained model; and of pictures larger than the model's size, by
// sliding windows whose class probabilities are blended.
//
//   const vt::eval::Segmenter segmenter(backbone, *decoder);
//   const auto mask = vt::eval::predict_volume(vt::eval::logits_of(segmenter), volume, transform);
//   vt::io::write_nifti_labels("mask.nii.gz", mask, "ct.nii.gz");      // with the header of the input
#pragma once

#include <cstddef>
#include <functional>

#include <vitals/core/config.hpp>
#include <vitals/core/parallel.hpp>
#include <vitals/core/progress.hpp>
#include <vitals/core/tensor.hpp>
#include <vitals/data/intensity.hpp>
#include <vitals/data/transforms.hpp>
#include <vitals/io/image.hpp>
#include <vitals/io/volume.hpp>

namespace vitals::inline v0::eval {

/// What gives logits (B, H, W, K) for pixels (B, 3, H, W) of the model's size. Called from one thread at a time.
using LogitsOf = std::function<Tensor<float, dyn, dyn, dyn, dyn>(TensorView<const float, dyn, 3, dyn, dyn> pixels)>;

/// Of an eval::Segmenter, which must outlive it.
template <class Segmenter>
LogitsOf logits_of(const Segmenter& segmenter) {
  return [&segmenter](TensorView<const float, dyn, 3, dyn, dyn> pixels) { return segmenter.logits(pixels); };
}

struct WindowOptions {
  double overlap = 0.5;   ///< of neighbouring windows, as a share of their side; 0 to below 1
  std::size_t batch = 4;  ///< windows at once
};

/// The mask of a picture at its own size, by windows of transform.size(). The picture keeps its resolution: the transform's
/// normalisation runs over the whole of it (so a window's own minimum and maximum do not matter), and it is enlarged only where a side is
/// shorter than the window's. The softmax of each window is weighted by a Gaussian around its middle (standard deviation an eighth
/// of its side) and summed; the largest sum is the class. Throws ArgumentError, ShapeError (logits of another size), and what the
/// transform throws.
Tensor<std::uint8_t, dyn, dyn> sliding_windows(const LogitsOf& logits, const io::Image& image,
                                               const transforms::Transform& transform,
                                               const WindowOptions& options = {});

struct VolumeOptions {
  std::size_t axis = 2;         ///< slices lie across it
  data::Intensity intensity{};  ///< as in training
  std::size_t batch = 8;        ///< slices at once
  bool windows = false;         ///< true: sliding windows on each slice instead of resizing it to the model's size
  WindowOptions window = {};
  Progress progress = {};        ///< stage "slices"
  Executor* executor = nullptr;  ///< nullptr: default_pool()
};

/// The mask of a volume, on its grid: each slice through the transform, the largest logit, nearest-exact back to the size of the
/// slice. Throws ArgumentError (axis), ShapeError, DataError that names the slice.
io::LabelVolume predict_volume(const LogitsOf& logits, const io::Volume& volume, const transforms::Transform& transform,
                               const VolumeOptions& options = {});

}  // namespace vitals::inline v0::eval

#if VITALS_HEADER_ONLY
#include <vitals/eval/volumes.ipp>
#endif
