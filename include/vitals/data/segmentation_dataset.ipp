// Implementation of segmentation_dataset.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>
#include <optional>
#include <utility>
#include <variant>

#include <vitals/core/error.hpp>
#include <vitals/core/sha256.hpp>
#include <vitals/data/manifest.hpp>
#include <vitals/data/segmentation_dataset.hpp>
#include <vitals/data/slices.hpp>
#include <vitals/data/volumes_kept.hpp>

namespace vitals::inline v0::data {

namespace detail {

inline constexpr std::uint8_t no_class = 255;

// Value of a mask -> class number; no_class where it is none.
inline std::array<std::uint8_t, 256> mask_table(const std::vector<int>& values, std::size_t classes) {
  std::array<std::uint8_t, 256> table;
  table.fill(no_class);
  const std::size_t known = values.empty() ? std::min<std::size_t>(classes, no_class) : values.size();
  for (std::size_t k = 0; k < known; ++k)
    table[values.empty() ? k : static_cast<std::size_t>(values[k])] = static_cast<std::uint8_t>(k);
  return table;
}

// What a mask may hold, in a few words: a range of class numbers, or the first of the values that were named.
inline std::string known_values(const SegmentationDataset& set) {
  const auto& values = set.mask_values;
  if (values.empty()) return "0 to " + std::to_string(set.classes.size() - 1);
  constexpr std::size_t shown = 8;
  std::string text;
  for (std::size_t k = 0; k < std::min(values.size(), shown); ++k) text += (k ? ", " : "") + std::to_string(values[k]);
  return values.size() > shown ? text + " ... (" + std::to_string(values.size()) + " in all)" : text;
}

// Values to class numbers in place. `place` says where the first bad one is.
template <class Place>
void to_classes(std::span<std::uint8_t> labels, const SegmentationDataset& set, std::size_t item, Place&& place) {
  const bool several = set.items[item].mask.find('|') != std::string::npos;  // numbered already
  const auto table = mask_table(several ? std::vector<int>{} : set.mask_values, set.classes.size());
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const std::uint8_t k = table[labels[i]];
    if (k == no_class)
      throw DataError(
          "value " + std::to_string(int{labels[i]}) + " at " + place(i) + " of the mask " + set.items[item].mask +
              " is no class",
          "line " + std::to_string(set.items[item].line) + " of " + set.source.string(),
          "the classes are " + known_values(set) + (set.mask_values.empty() ? "; --mask-values renames them" : ""));
    labels[i] = k;
  }
}

// A picture's mask as stored, (1, H, W): grey of 8 bits, or of 16 with small values; equal channels count as grey.
inline io::LabelVolume picture_mask(const std::filesystem::path& file) {
  const auto image = io::read_image(file);
  const std::size_t height = image.height(), width = image.width(), channels = image.channels();
  io::LabelVolume mask;  // the affine of a picture: steps of 1
  mask.values = Tensor<std::uint8_t, dyn, dyn, dyn>({1, height, width});
  std::visit(
      [&](const auto& pixels) {
        for (std::size_t i = 0; i < height * width; ++i) {
          const auto* pixel = pixels.data() + i * channels;
          const auto place = [&] {
            return "row " + std::to_string(i / width) + " column " + std::to_string(i % width) + " of " + file.string();
          };
          if (channels >= 3 && (pixel[0] != pixel[1] || pixel[0] != pixel[2]))
            throw DataError("a mask in colours", place(), "a mask is a grey picture of class numbers");
          if (!(pixel[0] >= 0 && pixel[0] <= 255))
            throw DataError("a value above 255 in a mask", place(), "a mask holds class numbers");
          mask.values.data()[i] = static_cast<std::uint8_t>(pixel[0]);
        }
      },
      image.pixels);
  return mask;
}

inline io::LabelVolume stored_mask(const SegmentationDataset& set, std::size_t item) {
  const auto files = split_labels(set.items[item].mask);
  if (files.size() == 1) return read_label_file(set.mask_file(item), set.volumes);
  io::LabelVolume all;
  for (std::size_t k = 0; k < files.size(); ++k) {
    const auto part = read_label_file(set.root / files[k], set.volumes);
    if (k == 0) all = io::LabelVolume{Tensor<std::uint8_t, dyn, dyn, dyn>(part.values.shape()), part.affine};
    if (part.values.shape() != all.values.shape())
      throw DataError("the masks " + files[0] + " and " + files[k] + " have different sizes", set.where_item(item));
    for (std::size_t i = 0; i < part.values.size(); ++i) {
      if (!part.values.data()[i]) continue;
      if (all.values.data()[i])
        throw DataError("the masks " + files[all.values.data()[i] - 1] + " and " + files[k] + " overlap",
                        set.where_item(item), "a pixel has one class");
      all.values.data()[i] = static_cast<std::uint8_t>(k + 1);
    }
  }
  return all;
}

inline std::string voxel_place(const io::LabelVolume& mask, std::size_t i, bool volume) {
  const std::size_t ny = mask.values.extent(1), nz = mask.values.extent(2);
  const std::string y = std::to_string(i / nz % ny), z = std::to_string(i % nz);
  return volume ? "(" + std::to_string(i / nz / ny) + ", " + y + ", " + z + ")" : "row " + y + " column " + z;
}

inline std::string size_text(std::span<const std::size_t> shape) {
  std::string text;
  for (std::size_t n : shape) text += (text.empty() ? "" : " x ") + std::to_string(n);
  return text;
}

inline VolumePair volume_pair(const SegmentationDataset& set, std::size_t item) {
  VolumePair pair{set.volumes->read(set.file(item)), set.read_mask(item)};
  if (pair.image.values.shape() != pair.mask.values.shape())
    throw DataError("the image has " + size_text(pair.image.values.shape()) + " voxels and its mask " +
                        size_text(pair.mask.values.shape()),
                    set.where_item(item), "bring the mask to the image's grid");
  if (!(grid_distance(pair.image.affine, pair.mask.affine, pair.image.values.shape()) < 0.5))
    throw DataError("the mask lies elsewhere in the patient than its image", set.where_item(item),
                    "their headers give different places (affine); bring the mask to the image's grid");
  return pair;
}

inline void check_options(const SegmentationManifestOptions& options) {
  if (options.axis > 2)
    throw ArgumentError("axis " + std::to_string(options.axis), "", "a volume has the axes 0, 1, 2");
  std::array<bool, 256> seen{};
  for (int value : options.mask_values) {
    if (value < 0 || value > 255 || seen[static_cast<std::size_t>(value)])
      throw ArgumentError("mask value " + std::to_string(value), "",
                          "mask values are different numbers from 0 to 255, background first");
    seen[static_cast<std::size_t>(value)] = true;
  }
  const std::size_t values = options.mask_values.size(), names = options.classes.size();
  if (values == 1 || names == 1 || values > 255 || names > 255 || (values && names && values != names))
    throw ArgumentError(std::to_string(values) + " mask values and " + std::to_string(names) + " class names", "",
                        "both name the background first and then each class, 2 to 255 in all");
  if (!options.check_masks && !values && !names)
    throw ArgumentError("masks that are not read and no class names", "", "name the classes or have the masks checked");
}

// Reads every mask once: how many classes there are where nobody said it, and the voxels of each.
inline void count_classes(SegmentationDataset& set, const SegmentationManifestOptions& options) {
  const bool known = !set.classes.empty();
  if (!known) set.classes.resize(no_class);  // every value is a class until the largest is known
  std::mutex mutex;
  std::size_t done = 0;
  parallel_for(options.executor ? *options.executor : default_pool(), set.items.size(), 1,
               [&](std::size_t begin, std::size_t end) {
                 for (std::size_t i = begin; i < end; ++i) {
                   const auto mask = set.read_mask(i);
                   auto& voxels = set.items[i].voxels;
                   voxels.assign(256, 0);
                   for (std::uint8_t k : mask.values) ++voxels[k];
                   const std::lock_guard lock(mutex);
                   ++done;
                   if (options.progress) options.progress("masks", done, set.items.size());
                 }
               });
  if (!known) {
    std::size_t largest = 0;
    for (const auto& item : set.items)
      for (std::size_t k = 0; k < item.voxels.size(); ++k)
        if (item.voxels[k]) largest = std::max(largest, k);
    if (!largest)
      throw DataError("all masks hold background alone", set.source.string(),
                      "name the classes if that is meant, or rename values: --mask-values 0,255");
    set.classes.clear();
    for (std::size_t k = 0; k <= largest; ++k) set.classes.push_back(std::to_string(k));
  }
  for (auto& item : set.items) item.voxels.resize(set.classes.size());
}

}  // namespace detail

VITALS_INLINE io::LabelVolume read_label_file(const std::filesystem::path& file, const VolumeFormat* volumes) {
  return volumes && volumes->is(file) ? volumes->read_labels(file) : detail::picture_mask(file);
}

VITALS_INLINE double grid_distance(const io::Affine& a, const io::Affine& b, const std::array<std::size_t, 3>& shape) {
  double unit = INFINITY, worst = 0;
  for (std::size_t axis = 0; axis < 3; ++axis) unit = std::min(unit, std::hypot(a[0][axis], a[1][axis], a[2][axis]));
  for (std::size_t corner = 0; corner < 8; ++corner) {
    std::array<double, 3> d{};
    for (std::size_t r = 0; r < 3; ++r) {
      d[r] = a[r][3] - b[r][3];
      for (std::size_t axis = 0; axis < 3; ++axis)
        if (corner >> axis & 1) d[r] += (a[r][axis] - b[r][axis]) * static_cast<double>(shape[axis] - 1);
    }
    worst = std::max(worst, std::hypot(d[0], d[1], d[2]));
  }
  return worst / unit;
}

VITALS_INLINE std::vector<std::size_t> SegmentationDataset::indices(Split split) const {
  std::vector<std::size_t> chosen;
  for (std::size_t i = 0; i < slices.size(); ++i)
    if (items[slices[i].item].split == split) chosen.push_back(i);
  return chosen;
}

VITALS_INLINE std::vector<std::size_t> SegmentationDataset::cases(Split split) const {
  std::vector<std::size_t> chosen;
  for (std::size_t i = 0; i < items.size(); ++i)
    if (items[i].split == split) chosen.push_back(i);
  return chosen;
}

VITALS_INLINE std::string SegmentationDataset::where_item(std::size_t item) const {
  const auto& at = items.at(item);
  return at.line == 0 ? at.path
                      : at.path + " (line " + std::to_string(at.line) + " of " + source.filename().string() + ")";
}

VITALS_INLINE std::string SegmentationDataset::where(std::size_t slice) const {
  const auto& at = items.at(slices.at(slice).item);
  const std::string file = at.volume ? at.path + " slice " + std::to_string(slices[slice].index) : at.path;
  return at.line == 0 ? file : file + " (line " + std::to_string(at.line) + " of " + source.filename().string() + ")";
}

VITALS_INLINE std::filesystem::path SegmentationDataset::file(std::size_t item) const {
  return root / items.at(item).path;
}
VITALS_INLINE std::filesystem::path SegmentationDataset::mask_file(std::size_t item) const {
  return root / items.at(item).mask;
}

VITALS_INLINE io::LabelVolume SegmentationDataset::read_mask(std::size_t item) const {
  auto mask = detail::stored_mask(*this, item);
  const bool volume = items[item].volume;
  detail::to_classes(mask.values.span(), *this, item,
                     [&](std::size_t i) { return detail::voxel_place(mask, i, volume); });
  return mask;
}

VITALS_INLINE io::Volume SegmentationDataset::read_volume(std::size_t item) const {
  if (!items.at(item).volume) throw ArgumentError("a picture is no volume", where_item(item));
  return volumes->read(file(item));
}

VITALS_INLINE MaskedImage SegmentationDataset::read(std::size_t slice) const {
  const auto [item, index] = slices.at(slice);
  MaskedImage out;
  if (!items[item].volume) {
    out.image = io::read_image(file(item));
    auto mask = read_mask(item);
    out.mask = Tensor<std::uint8_t, dyn, dyn>({mask.values.extent(1), mask.values.extent(2)}, mask.values.span());
    if (out.image.height() != out.mask.extent(0) || out.image.width() != out.mask.extent(1))
      throw DataError("the image has " + detail::size_text(std::array{out.image.height(), out.image.width()}) +
                          " pixels and its mask " + detail::size_text(out.mask.shape()),
                      where_item(item), "bring the mask to the image's size");
    if (intensity.rule != Intensity::Rule::none)
      out.image.pixels = std::visit(
          [&](const auto& pixels) {
            Tensor<float, dyn, dyn, dyn> numbers(pixels.shape());
            std::copy(pixels.begin(), pixels.end(), numbers.begin());
            apply_intensity(numbers.span(), intensity);
            return numbers;
          },
          out.image.pixels);
    return out;
  }
  const auto read_pair = [&, item = item] { return detail::volume_pair(*this, item); };
  const auto pair = kept ? kept->get(file(item).string() + '\n' + mask_file(item).string(), read_pair)
                         : std::make_shared<const VolumePair>(read_pair());
  if (axis > 2 || index >= pair->image.values.extent(axis))
    throw DataError("there is no such slice", where(slice), "the volume has changed since the data set was read");
  try {
    out.image = slice_image(pair->image, axis, index, intensity);
  } catch (const DataError& error) {
    throw DataError(error.what(), where(slice));
  }
  out.mask = slice_of(pair->mask.values, axis, index);
  const auto spacing = pair->image.spacing();
  const auto [row, column] = slice_axes(axis);
  out.spacing = {spacing[row], spacing[column]};
  return out;
}

VITALS_INLINE std::vector<std::string> SegmentationDataset::absent_classes(Split split) const {
  std::vector<std::string> absent;
  for (std::size_t k = 1; k < classes.size(); ++k) {
    bool there = false;
    for (const auto& item : items) {
      if (item.split != split) continue;
      if (item.voxels.size() != classes.size())
        throw ArgumentError("[absent_classes] the masks of " + source.string() + " were not counted");
      there = there || item.voxels[k] != 0;
    }
    if (!there) absent.push_back(classes[k]);
  }
  return absent;
}

VITALS_INLINE SegmentationDataset make_segmentation_dataset(const std::filesystem::path& root,
                                                            const std::filesystem::path& source,
                                                            std::vector<SegmentationItem> items,
                                                            const SegmentationManifestOptions& options) {
  detail::check_options(options);
  if (items.empty()) throw DataError("no images", source.string());
  SegmentationDataset set;
  set.root = root.empty() ? "." : root;
  set.source = source;
  set.items = std::move(items);
  set.classes = options.classes;
  set.mask_values = options.mask_values;
  if (set.classes.empty())
    for (int value : options.mask_values) set.classes.push_back(std::to_string(value));
  set.axis = options.axis;
  set.intensity = options.intensity;
  set.volumes = options.volumes;
  set.patients_overlap = detail::check_patients(set.items, set.source, options.allow_patient_overlap);
  detail::check_files(set.items, set.root, set.source, &SegmentationItem::path, "images");
  std::vector<SegmentationItem> masks;  // one a file
  for (const auto& item : set.items)
    for (const auto& mask : detail::split_labels(item.mask)) {
      masks.push_back({});
      masks.back().mask = mask;
      masks.back().line = item.line;
    }
  detail::check_files(masks, set.root, set.source, &SegmentationItem::mask, "masks");
  Sha256 sum;
  bool any_volume = false;
  for (std::size_t i = 0; i < set.items.size(); ++i) {
    auto& item = set.items[i];
    sum.update(item.path).update("\n").update(item.mask).update("\n").update(name(item.split)).update("\n");
    const std::string& lower = item.path;
    if (!set.volumes && (lower.ends_with(".nii") || lower.ends_with(".nii.gz")))
      throw DataError("a NIfTI volume where pictures alone are read", set.where_item(i),
                      "give the format of volumes (data/nifti_volumes.hpp); this program was built without NIfTI");
    item.volume = set.volumes && set.volumes->is(set.file(i));
    const auto first_mask = set.root / detail::split_labels(item.mask).front();
    if (item.volume != (set.volumes && set.volumes->is(first_mask)))
      throw DataError("a picture and a volume as image and mask", set.where_item(i), "both must be of one kind");
    if (!item.volume) {
      set.slices.push_back({i, 0});
      continue;
    }
    any_volume = true;
    const auto shape = set.volumes->shape(set.file(i)), mask_shape = set.volumes->shape(first_mask);
    if (shape != mask_shape)
      throw DataError(
          "the image has " + detail::size_text(shape) + " voxels and its mask " + detail::size_text(mask_shape),
          set.where_item(i), "bring the mask to the image's grid");
    item.slices = shape[set.axis];
    for (std::size_t s = 0; s < item.slices; ++s) set.slices.push_back({i, s});
  }
  set.sha256 = sum.hex();
  if (any_volume) set.kept = std::make_shared<VolumesKept>(options.kept_bytes);
  if (options.check_masks) detail::count_classes(set, options);
  return set;
}

VITALS_INLINE SegmentationDataset read_segmentation_manifest(const std::filesystem::path& file,
                                                             const SegmentationManifestOptions& options) {
  const auto table = io::read_csv(file);
  const auto path_at = detail::manifest_column(table, "path", file),
             mask_at = detail::manifest_column(table, "mask", file),
             split_at = detail::manifest_column(table, "split", file),
             patient_at = detail::manifest_column(table, "patient", file);
  for (const auto& [at, wanted] : {std::pair(path_at, "path"), {mask_at, "mask"}, {split_at, "split"}})
    if (!at)
      throw FormatError(std::string("no column ") + wanted, file.string(),
                        wanted == std::string("mask") && detail::manifest_column(table, "label", file)
                            ? "this is a classification manifest; segmentation needs path,mask,split[,patient]"
                            : "the first line must name path,mask,split[,patient]");
  std::vector<SegmentationItem> items;
  std::map<std::string, std::size_t> lines;  // of each path
  for (std::size_t r = 0; r < table.rows.size(); ++r) {
    const auto& fields = table.rows[r];
    SegmentationItem item;
    item.line = table.lines[r];
    const std::string where = file.string() + ", line " + std::to_string(item.line);
    item.path = detail::trimmed(fields[*path_at]);
    item.mask = detail::trimmed(fields[*mask_at]);
    if (item.path.empty() || item.mask.empty())
      throw FormatError(item.path.empty() ? "the path is empty" : "the mask is empty", where);
    if ((item.path + item.mask).find('\0') != std::string::npos) throw FormatError("a path holds a zero byte", where);
    const auto split = detail::split_named(detail::trimmed(fields[*split_at]));
    if (!split)
      throw FormatError("unknown split \"" + detail::trimmed(fields[*split_at]) + "\"", where,
                        "use train, val or test");
    item.split = *split;
    if (patient_at) item.patient = detail::trimmed(fields[*patient_at]);
    const auto [at, fresh] = lines.emplace(std::filesystem::path(item.path).lexically_normal().string(), item.line);
    if (!fresh)
      throw DataError("the path " + item.path + " stands twice, in lines " + std::to_string(at->second) + " and " +
                          std::to_string(item.line),
                      file.string());
    items.push_back(std::move(item));
  }
  if (items.empty()) throw DataError("no images: there is a header and nothing below it", file.string());
  auto set = make_segmentation_dataset(file.parent_path(), file, std::move(items), options);
  set.sha256 = sha256_of_file(file);
  return set;
}

}  // namespace vitals::inline v0::data
