// Images with masks: a manifest (CSV with `path,mask,split[,patient]`) of pictures or volumes, or anything that fills the
// same struct. A volume is seen as its slices along an axis; a picture is a volume of one slice.
//
//   auto data = vt::data::read_segmentation_manifest("manifest.csv", {.mask_values = {0, 255}});           // pictures
//   auto data = vt::data::read_segmentation_manifest("manifest.csv", {.volumes = &vt::data::nifti()});     // and NIfTI
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <vitals/core/config.hpp>
#include <vitals/core/parallel.hpp>
#include <vitals/core/progress.hpp>
#include <vitals/core/tensor.hpp>
#include <vitals/data/dataset.hpp>
#include <vitals/data/intensity.hpp>
#include <vitals/io/image.hpp>
#include <vitals/io/volume.hpp>

namespace vitals::inline v0::data {

/// A format of volume files. data/nifti_volumes.hpp has NIfTI's; data sets of pictures need none, and no library for it.
struct VolumeFormat {
  bool (*is)(const std::filesystem::path& file);                           ///< by its name
  std::array<std::size_t, 3> (*shape)(const std::filesystem::path& file);  ///< from the header alone
  io::Volume (*read)(const std::filesystem::path& file);
  io::LabelVolume (*read_labels)(const std::filesystem::path& file);
};

/// One file with its mask.
struct SegmentationItem {
  std::string path,
      mask;  ///< as the manifest says them, relative to SegmentationDataset::root. Several masks are joined by
             ///< `|`: what is not 0 in the first is class 1, in the second class 2 ...
  Split split = Split::train;
  std::string patient;                     ///< empty: not known
  std::size_t line = 0;                    ///< line of the manifest
  std::size_t slices = 1;                  ///< along the axis; 1 for a picture
  bool volume = false;                     ///< not a picture
  std::vector<std::uint64_t> voxels = {};  ///< of each class in the mask; empty: not counted
};

/// A slice with its mask, as stored: the sizes of both agree.
struct MaskedImage {
  io::Image image;                      ///< (H, W, C); of a volume float, C = 1, after the intensity rule
  Tensor<std::uint8_t, dyn, dyn> mask;  ///< (H, W), class numbers 0 .. K - 1; 0 is background
  std::array<double, 2> spacing{1, 1};  ///< mm between rows and between columns; 1 for a picture
};

class VolumesKept;  // the volumes read last

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
  const VolumeFormat* volumes = nullptr;  ///< how items that are volumes are read
  std::shared_ptr<VolumesKept> kept{};    ///< shared by copies; empty: every slice is read from its file

  /// Numbers of the slices of a split, in order.
  std::vector<std::size_t> indices(Split split) const;
  /// Numbers of the items of a split, in order.
  std::vector<std::size_t> cases(Split split) const;
  /// Where a slice stands, for messages: "images/a.nii.gz slice 12 (line 7 of manifest.csv)".
  std::string where(std::size_t slice) const;
  /// The same of an item: "images/a.nii.gz (line 7 of manifest.csv)".
  std::string where_item(std::size_t item) const;
  std::filesystem::path file(std::size_t item) const;
  std::filesystem::path mask_file(std::size_t item) const;
  /// Reads a slice and its mask; may be called from several threads. Neighbouring slices of a volume are cheap: volumes read
  /// last are kept. Throws what reading the files throws; DataError where the mask has another size or an unknown value.
  MaskedImage read(std::size_t slice) const;
  /// The mask of an item, (X, Y, Z), with class numbers; of a picture (1, H, W). The affine is the mask file's. Throws as read().
  io::LabelVolume read_mask(std::size_t item) const;
  /// The image of an item that is a volume. Throws ArgumentError for a picture, and what reading throws.
  io::Volume read_volume(std::size_t item) const;
  /// Foreground classes that no mask of the split has. Needs the counts of every item (ArgumentError without).
  std::vector<std::string> absent_classes(Split split) const;
};

/// Class numbers of a file: a volume where `volumes` knows its name, else a grey picture, (1, H, W). 16-bit pictures with small
/// values and colours with equal channels count as grey. Throws what reading throws, DataError for colours and values over 255.
io::LabelVolume read_label_file(const std::filesystem::path& file, const VolumeFormat* volumes = nullptr);

/// How far apart two grids of one size lie at the worst of their corners, in units of the smaller spacing of `a`.
double grid_distance(const io::Affine& a, const io::Affine& b, const std::array<std::size_t, 3>& shape);

struct SegmentationManifestOptions {
  bool allow_patient_overlap = false;
  std::vector<int> mask_values = {};  ///< 0 to 255, background first; empty: the class number itself
  std::vector<std::string> classes =
      {};  ///< names, background first; empty: as many as the masks hold, named by their values
  std::size_t axis = 2;
  Intensity intensity{};
  const VolumeFormat* volumes = nullptr;          ///< nullptr: pictures alone
  std::size_t kept_bytes = std::size_t{1} << 30;  ///< volumes kept in memory, at least one for each reading thread
  bool check_masks =
      true;  ///< read every mask: count its classes, refuse unknown values before any long work. false needs `classes`
  Progress progress = {};        ///< stage "masks"
  Executor* executor = nullptr;  ///< nullptr: default_pool()
};

/// Reads a manifest. Columns other than path, mask, split and patient are ignored, and spaces around names. An empty mask is
/// allowed; `a.png|b.png` as mask are several files that must not overlap. Throws IoError, FormatError (columns, split names; with the line), DataError (a patient in two splits, the
/// same path twice, missing files or masks: counted, the first ones named; an image and its mask of different sizes; a
/// value that is no class, with its place; masks that are all background), ArgumentError (axis above 2, mask values that
/// are no bytes or stand twice, other numbers of names and values; no names and no check).
SegmentationDataset read_segmentation_manifest(const std::filesystem::path& file,
                                               const SegmentationManifestOptions& options = {});

/// What a manifest is made from: items with path, mask, split and patient, of a data set that comes in another form.
/// `source` names it in messages. Checks and throws as read_segmentation_manifest(). The sum is over paths, masks and splits.
SegmentationDataset make_segmentation_dataset(const std::filesystem::path& root, const std::filesystem::path& source,
                                              std::vector<SegmentationItem> items,
                                              const SegmentationManifestOptions& options = {});

}  // namespace vitals::inline v0::data

#if VITALS_HEADER_ONLY
#include <vitals/data/segmentation_dataset.ipp>
#endif
