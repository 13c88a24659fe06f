// From a decoded picture to what enters the model: (1, 3, H, W) float32, normalised.
//
//   const auto pixels = vt::transforms::dinov2(224)(image);
//
// `dinov2`: facebookresearch/dinov2's evaluation transform, with Pillow's antialiased bicubic to its rounding:
//   shorter side to round(S * 256 / 224), centre crop S, /255, ImageNet mean and std.
// `paper`: the radiology study's (arXiv 2312.02366): tensor bicubic without antialias straight to S x S, per-channel
//   min-max, ImageNet mean and std. `paper256`: S * 256 / 224 square, then centre crop S, then the same.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include <vitals/core/config.hpp>
#include <vitals/core/tensor.hpp>
#include <vitals/data/resize.hpp>
#include <vitals/io/image.hpp>

namespace vitals::inline v0::transforms {

enum class Rule { dinov2, dinov2_no_crop, paper, paper256 };

/// ImageNet's, used by every model of the study.
inline constexpr std::array<float, 3> mean{0.485f, 0.456f, 0.406f}, std_dev{0.229f, 0.224f, 0.225f};

/// A transform is a value: copy it, compare it, use it from several threads.
class Transform {
 public:
  /// Rule::dinov2 with two different sides is Rule::dinov2_no_crop.
  Transform(Rule rule, Size size)
      : rule_(rule == Rule::dinov2 && size.height != size.width ? Rule::dinov2_no_crop : rule), size_(size) {}

  Rule rule() const { return rule_; }
  Size size() const { return size_; }
  /// "dinov2", "dinov2 no-crop", "paper", "paper256": what reports and cache keys say.
  std::string name() const;
  /// (1, 3, H, W). Alpha is dropped, grey becomes three equal channels; 16-bit pixels enter `dinov2` as round(v / 257)
  /// and `paper` as they are; float pixels enter `dinov2` rounded to 8 bits and must lie in 0..255; a constant channel
  /// gives 0 before the normalisation under `paper`.
  /// Throws DataError for NaN or infinite pixels and for float pixels outside 0..255 under `dinov2`, ShapeError for an
  /// empty picture or one of more than 4 channels, ArgumentError for a size of 0.
  Tensor<float, dyn, 3, dyn, dyn> operator()(const io::Image& image) const;
  /// The same, written to (3, H, W) at `out`: a slice of a batch.
  void operator()(const io::Image& image, TensorView<float, 3, dyn, dyn> out) const;

  friend bool operator==(const Transform&, const Transform&) = default;

 private:
  Rule rule_;
  Size size_;
};

/// A square size crops as described above; a size with two sides, or crop = false, resizes straight to it.
Transform dinov2(Size size, bool crop = true);
Transform paper(Size size);
/// With two sides: each to round(side * 256 / 224), then the centre crop.
Transform paper256(Size size);
/// By the name that programs use: "dinov2", "paper", "paper256" (with crop = false the last is `paper`). Throws
/// ArgumentError.
Transform by_name(std::string_view name, Size size, bool crop = true);

}  // namespace vitals::inline v0::transforms

#if VITALS_HEADER_ONLY
#include <vitals/data/transforms.ipp>
#endif
