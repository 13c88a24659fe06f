// A labelled set of images: a manifest (CSV with `path,label,split[,patient]`) or anything that fills the same struct.
#pragma once

#include <array>
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <vitals/core/config.hpp>
#include <vitals/core/tensor.hpp>

namespace vitals::inline v0::data {

enum class Split { train, val, test };
const char* name(Split);

/// binary: two classes, one label an image; multiclass: more than two, one label an image; multilabel: any number.
enum class Task { binary, multiclass, multilabel };
const char* name(Task);

/// One image of a data set.
struct Item {
  std::string path;                 ///< as the manifest says it; relative to Dataset::root
  std::vector<std::size_t> labels;  ///< class numbers, ascending
  Split split = Split::train;
  std::string patient;   ///< empty: not known
  std::size_t line = 0;  ///< line of the manifest that names it, counted from 1; 0: not from a manifest
};

/// Items in the order of the manifest.
struct Dataset {
  std::filesystem::path root;        ///< folder that paths are relative to
  std::filesystem::path source;      ///< the manifest, for messages and reports
  std::string sha256;                ///< of the manifest's bytes
  std::vector<std::string> classes;  ///< sorted names; a label is an index into it
  Task task = Task::multiclass;
  std::vector<Item> items;
  bool patients_overlap = false;  ///< a patient stands in two splits (allowed by the caller); reports say so

  /// Numbers of the items of a split, in the order of the manifest.
  std::vector<std::size_t> indices(Split split) const;
  /// Where an item stands, for messages: "images/a.png (line 7 of manifest.csv)".
  std::string where(std::size_t item) const;
  /// The file of an item.
  std::filesystem::path file(std::size_t item) const;
  /// 0 / 1 of items x classes (n, K).
  Tensor<std::uint8_t, dyn, dyn> targets(const std::vector<std::size_t>& items) const;
};

struct ManifestOptions {
  bool allow_patient_overlap = false;
};

/// Reads a manifest. Columns other than path, label, split and patient are ignored; spaces around names are, too. Several labels of one image are joined by `|`; an empty label field means none of the classes.
/// The task is multilabel where an image has no label or several, else binary (two classes) or multiclass.
/// Throws IoError, FormatError (columns, split names; with the line), DataError (a patient in two splits, the same path
/// twice, files that are missing: all of them counted, the first ones named, fewer than two classes).
Dataset read_manifest(const std::filesystem::path& file, const ManifestOptions& options = {});

}  // namespace vitals::inline v0::data

#if VITALS_HEADER_ONLY
#include <vitals/data/dataset.ipp>
#endif
