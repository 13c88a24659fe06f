// Images with masks: a manifest (CSV with `path,mask,split[,patient]`) of pictures or volumes, or anything that fills the
// same struct. A volume is seen as its slices along an axis; a picture is a volume of one slice.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <vitals/core/config.hpp>
#include <vitals/core/tensor.hpp>
#include <vitals/data/dataset.hpp>
#include <vitals/io/image.hpp>

namespace vitals::inline v0::data {

/// How the numbers of a slice enter the transform.
struct Intensity {
  enum class Rule {
    none,   ///< as they are
    p5p95,  ///< clipped to the 5th and 95th percentile of the slice (linear interpolation), as the study does with MSD
    range   ///< clipped to [low, high] (AMOS: -1024, 600)
  };
  Rule rule = Rule::none;
  float low = 0, high = 0;
};

/// One file with its mask.
struct SegmentationItem {
  std::string path, mask;  ///< as the manifest says them, relative to SegmentationDataset::root
  Split split = Split::train;
  std::string patient;     ///< empty: not known
  std::size_t line = 0;    ///< line of the manifest
  std::size_t slices = 1;  ///< along the axis; 1 for a picture
  bool volume = false;     ///< NIfTI
};

/// A slice with its mask, as stored: the sizes of both agree.
struct MaskedImage {
  io::Image image;                      ///< (H, W, C); of a volume float, C = 1, after the intensity rule
  Tensor<std::uint8_t, dyn, dyn> mask;  ///< (H, W), class numbers 0 .. K - 1; 0 is background
  std::array<double, 2> spacing{1, 1};  ///< mm between rows and between columns; 1 for a picture
};

struct SegmentationDataset {
  /// Slice `index` of item `item`.
  struct Slice {
    std::size_t item = 0, index = 0;
  };

  std::filesystem::path root, source;
  std::string sha256;
  std::vector<std::string> classes;     ///< names by number, background first
  std::vector<SegmentationItem> items;  ///< in the order of the manifest
  std::vector<Slice> slices;            ///< of all items, in order
  std::vector<int> mask_values;         ///< value of class k in the files; empty: the class number itself
  std::size_t axis =
      2;  ///< of volumes: slices(i, j, k) at a fixed index of this axis; rows are the first of the others
  Intensity intensity{};
  bool patients_overlap = false;

  /// Numbers of the slices of a split, in order.
  std::vector<std::size_t> indices(Split split) const;
  /// Where a slice stands, for messages: "images/a.nii.gz slice 12 (line 7 of manifest.csv)".
  std::string where(std::size_t slice) const;
  std::filesystem::path file(std::size_t item) const;
  std::filesystem::path mask_file(std::size_t item) const;
  /// Reads a slice and its mask; may be called from several threads. Neighbouring slices of a volume are cheap: the volume read last
  /// is kept. Throws what reading the files throws; DataError where the mask has another size or an unknown value.
  MaskedImage read(std::size_t slice) const;
};

}  // namespace vitals::inline v0::data
