// What `segment` keeps of each case: its metrics, the picture of its fullest slice, its mask as a file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <vitals/data/segmentation_dataset.hpp>
#include <vitals/eval/segmentation.hpp>
#include <vitals/metrics/segmentation.hpp>
#include <vitals/report/overlay.hpp>

namespace support {

class CaseFiles {
 public:
  /// Folders are made; empty: nothing of the kind is written. Throws IoError.
  CaseFiles(const vitals::data::SegmentationDataset& dataset, std::filesystem::path overlays,
            std::filesystem::path masks);

  /// The next slice of test, in order; when a case's last slice is there the case is measured and written.
  void add(const vitals::eval::SlicePrediction& prediction);
  /// After the last slice: DIR/contact_sheet.png.
  void finish();

  std::vector<std::string> paths;                        ///< of the cases
  std::vector<std::string> patients;                     ///< of the cases
  std::vector<vitals::metrics::CaseMetrics> native;      ///< at their own resolution, in mm
  std::vector<vitals::metrics::CaseMetrics> model_size;  ///< as the study counts

 private:
  void close();
  std::string file_name(std::size_t item) const;

  const vitals::data::SegmentationDataset& dataset_;
  std::filesystem::path overlays_, masks_;
  std::size_t item_ = SIZE_MAX, slices_ = 0;
  vitals::io::LabelVolume prediction_;
  vitals::metrics::Confusion counts_{1};
  std::vector<vitals::report::Picture> pictures_;  ///< of the cases, for the sheet
};

}  // namespace support
