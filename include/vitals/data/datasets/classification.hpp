// The study's benchmarks with labels, as far as pictures go: NIH Chest X-ray14, CheXpert, SARS-CoV-2 CT. Each gives a Dataset
// from the layout of its archive. (Brain Tumor lies in MATLAB files and is not a set of pictures.)
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include <vitals/core/config.hpp>
#include <vitals/data/dataset.hpp>

namespace vitals::inline v0::data {

struct ClassificationOptions {
  bool allow_incomplete = false;  ///< images that are not there are left out instead of an error
};

/// NIH Chest X-ray14 (Wang et al., CVPR 2017): 112,120 films, 14 findings and "No Finding". root holds Data_Entry_2017.csv (or
/// Data_Entry_2017_v2020.csv), train_val_list.txt, test_list.txt, and the pictures in images/ or images_001/images/ ... The
/// last 10,002 lines of the first list are val. That cut may go through a patient: patients_overlap then says so.
Dataset nih_chest_xray(const std::filesystem::path& root, const ClassificationOptions& options = {});

/// CheXpert v1.0 or v1.0-small (Irvin et al., AAAI 2019), frontal films: root holds train.csv (train), valid.csv (val) and, where
/// the test set was added, test.csv (test). Five findings, and "Uncertain" where any of them is -1, which counts as no.
Dataset chexpert(const std::filesystem::path& root, const ClassificationOptions& options = {});

/// SARS-CoV-2 CT, the multiclass set of 210 patients (Soares et al., 2020): root/Covid, root/Healthy, root/Others with a folder
/// for each patient. Each slice is an image, "covid" or "other"; the splits are the study's, by patients. The study scores a
/// patient by the mean over the slices: average the predictions of a patient for that.
Dataset sars_cov_2_ct(const std::filesystem::path& root, const ClassificationOptions& options = {});

}  // namespace vitals::inline v0::data

#if VITALS_HEADER_ONLY
#include <vitals/data/datasets/classification.ipp>
#endif
