// Drawn slices of a head as contrast-enhanced T1 MRI shows it, with or without a tumour: the second kind of picture beside
// phantom.hpp's chest films, for training and trying models without anybody's pictures. Nothing for diagnosis. A slice is a
// pure function of (seed, patient, slice, plane, tumour).
//
//   const auto slice = vt::phantom::head({.patient = 7, .plane = vt::phantom::HeadPlane::axial, .tumour = vt::phantom::Tumour::ring});
//
// Scalp, skull, brain with folds, white matter, ventricles, the fissure between the halves, skull base and face below;
// intensities, the coil's shading, folds and noise vary.
#pragma once

#include <cstddef>
#include <cstdint>

#include <vitals/core/config.hpp>
#include <vitals/core/tensor.hpp>
#include <vitals/io/image.hpp>

namespace vitals::inline v0::phantom {

enum class HeadPlane : std::uint8_t { axial, coronal, sagittal };

/// As they look, not as pathology names them. attached: a bright even mass with its base on the skull; ring: an irregular mass
/// inside the brain with a bright rim, a dark middle and swelling around; basal: a bright round mass at the middle of the
/// skull base.
enum class Tumour : std::uint8_t { none, attached, ring, basal };

/// What a pixel shows; a tumour stands before what it lies in.
enum class HeadTissue : std::uint8_t {
  outside,
  scalp,
  skull,
  grey_matter,
  white_matter,
  ventricle,
  face,
  tumour,
  swelling
};
inline constexpr std::size_t head_tissues = 9;

struct HeadOptions {
  std::size_t height = 256, width = 256;  ///< pixels, 16 to 4096
  std::uint64_t seed = 0;
  std::uint64_t patient = 0;  ///< anatomy and tumour
  std::uint64_t slice = 0;    ///< position, intensities and noise of one picture of the patient
  HeadPlane plane = HeadPlane::axial;
  Tumour tumour = Tumour::none;
};

struct HeadSlice {
  io::Image image;                        ///< (H, W, 1), 8 bit
  Tensor<std::uint8_t, dyn, dyn> tissue;  ///< (H, W): a HeadTissue
};

/// Throws ArgumentError for a size out of range.
HeadSlice head(const HeadOptions& options);

}  // namespace vitals::inline v0::phantom

#if VITALS_HEADER_ONLY
#include <vitals/data/phantom_head.ipp>
#endif
