#include "case_files.hpp"

#include <algorithm>

#include <vitals/core/error.hpp>
#include <vitals/data/slices.hpp>
#include <vitals/io/image.hpp>
#include <vitals/io/nifti.hpp>
#include <vitals/report/mask_overlay.hpp>
#include <vitals/report/segmentation.hpp>

namespace vt = vitals;

namespace support {

namespace {

void make_folder(const std::filesystem::path& folder) {
  if (folder.empty()) return;
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error || !std::filesystem::is_directory(folder))
    throw vt::IoError("cannot make the folder", folder.string(), "give the name of a folder");
}

}  // namespace

CaseFiles::CaseFiles(const vt::data::SegmentationDataset& dataset, std::filesystem::path overlays,
                     std::filesystem::path masks)
    : dataset_(dataset), overlays_(std::move(overlays)), masks_(std::move(masks)) {
  make_folder(overlays_);
  make_folder(masks_);
}

// "images/a.nii.gz" as "a", or as "images_a" where another case has that name.
std::string CaseFiles::file_name(std::size_t item) const {
  const auto stem = [](const std::string& name) {
    const std::string whole = name.ends_with(".gz") ? name.substr(0, name.size() - 3) : name;
    return whole.substr(0, whole.find_last_of('.'));
  };
  const auto name_of = [&](std::size_t i) { return std::filesystem::path(dataset_.items[i].path).filename().string(); };
  const std::string own = stem(name_of(item));
  for (std::size_t i = 0; i < dataset_.items.size(); ++i)
    if (i != item && dataset_.items[i].split == vt::data::Split::test && stem(name_of(i)) == own) {
      std::string path = stem(dataset_.items[item].path);
      std::replace(path.begin(), path.end(), '/', '_');
      return path;
    }
  return own;
}

void CaseFiles::add(const vt::eval::SlicePrediction& prediction) {
  const auto [item, index] = dataset_.slices[prediction.slice];
  const bool volume = dataset_.items[item].volume;
  if (item != item_) {
    item_ = item;
    slices_ = 0;
    counts_ = vt::metrics::Confusion(dataset_.classes.size());
    std::array<std::size_t, 3> shape{1, prediction.stored.extent(0), prediction.stored.extent(1)};
    if (volume) {
      const auto axes = vt::data::slice_axes(dataset_.axis);
      shape[dataset_.axis] = dataset_.items[item].slices;
      shape[axes.row] = prediction.stored.extent(0);
      shape[axes.column] = prediction.stored.extent(1);
    }
    prediction_.values = vt::Tensor<std::uint8_t, vt::dyn, vt::dyn, vt::dyn>(shape);
  }
  counts_ +=
      vt::metrics::label_counts(prediction.at_model.span(), prediction.true_at_model.span(), dataset_.classes.size());
  vt::data::put_slice(prediction_.values, volume ? dataset_.axis : 0, index, prediction.stored);
  if (++slices_ == dataset_.items[item].slices) close();
}

void CaseFiles::close() {
  const auto& item = dataset_.items[item_];
  const auto reference = dataset_.read_mask(item_);
  paths.push_back(item.path);
  patients.push_back(item.patient);
  model_size.push_back({counts_, {}});
  native.push_back(vt::metrics::case_metrics(prediction_.values, reference.values, dataset_.classes.size(),
                                             item.volume ? reference.spacing() : std::array<double, 3>{1, 1, 1}));
  if (!masks_.empty()) {
    auto stored = prediction_;
    if (!dataset_.mask_values.empty())
      for (auto& v : stored.values) v = static_cast<std::uint8_t>(dataset_.mask_values[v]);
    if (item.volume) {
      stored.affine = vt::io::read_nifti_header(dataset_.file(item_)).affine;
      vt::io::write_nifti_labels(masks_ / (file_name(item_) + ".nii.gz"), stored, dataset_.file(item_));
    } else {
      const auto& v = stored.values;
      vt::io::write_png(masks_ / (file_name(item_) + ".png"),
                        vt::TensorView<const std::uint8_t, vt::dyn, vt::dyn, vt::dyn>(
                            v.data(), {v.extent(1), v.extent(2), std::size_t{1}}));
    }
  }
  if (overlays_.empty()) return;
  // The slice with most of what was to be found; the one in the middle where there is nothing.
  const std::size_t axis = item.volume ? dataset_.axis : 0;
  std::size_t fullest = item.slices / 2, most = 0, first = 0;
  for (std::size_t s = 0; s < item.slices; ++s) {
    const auto slice = vt::data::slice_of(reference.values, axis, s);
    const auto labelled = slice.size() - static_cast<std::size_t>(std::count(slice.begin(), slice.end(), 0));
    if (labelled > most) {
      most = labelled;
      fullest = s;
    }
  }
  while (dataset_.slices[first].item != item_) ++first;
  const auto pair = dataset_.read(first + fullest);
  pictures_.push_back(
      vt::report::compared(pair.image, vt::data::slice_of(prediction_.values, axis, fullest), pair.mask));
  vt::io::write_png(overlays_ / (file_name(item_) + ".png"), pictures_.back());
}

void CaseFiles::finish() {
  if (overlays_.empty()) return;
  const auto ranked = vt::report::cases_by_dice(native);
  std::vector<vt::report::Picture> rows;
  for (std::size_t place : vt::report::best_median_worst(ranked.size())) rows.push_back(pictures_[ranked[place]]);
  if (!rows.empty()) vt::io::write_png(overlays_ / "contact_sheet.png", vt::report::stacked(rows));
}

}  // namespace support
