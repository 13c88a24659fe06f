// What an evaluation says about the images of a split, before any metric: metrics and reports are made from it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include <vitals/core/error.hpp>
#include <vitals/core/tensor.hpp>
#include <vitals/data/dataset.hpp>

namespace vitals::inline v0::eval {

/// The scores of one method on some items of a data set.
struct Prediction {
  std::string name;                 ///< "mlknn k=10", "linear blocks=4 avgpool=1 lr=0.01"
  std::vector<std::size_t> items;   ///< numbers of the items, in the order of the manifest
  Tensor<double, dyn, dyn> scores;  ///< (items, K), larger is more likely; a binary task has two columns
};

/// One number or several: `.k = 20`, `.k = {10, 20}`.
class Counts {
 public:
  Counts(std::size_t one) : values_{one} {}
  Counts(std::initializer_list<std::size_t> several) : values_(several) {}
  Counts(std::vector<std::size_t> several) : values_(std::move(several)) {}
  auto begin() const { return values_.begin(); }
  auto end() const { return values_.end(); }
  std::size_t size() const { return values_.size(); }
  std::size_t operator[](std::size_t i) const { return values_[i]; }
  /// Throws ArgumentError where there is none or a zero.
  std::size_t largest(const char* what) const {
    if (values_.empty() || *std::min_element(values_.begin(), values_.end()) == 0)
      throw ArgumentError(std::string("[") + what + "] k must be one or more numbers from 1 up");
    return *std::max_element(values_.begin(), values_.end());
  }

 private:
  std::vector<std::size_t> values_;
};

namespace detail {

/// Items of any of these splits, in the order of the manifest.
inline std::vector<std::size_t> items_of(const data::Dataset& dataset, std::initializer_list<data::Split> splits) {
  std::vector<std::size_t> items;
  for (std::size_t i = 0; i < dataset.items.size(); ++i)
    if (std::find(splits.begin(), splits.end(), dataset.items[i].split) != splits.end()) items.push_back(i);
  return items;
}

/// Items to train on: numbers of items of the data set, none of the split test. Throws ArgumentError.
inline void check_training_items(const data::Dataset& dataset, const std::vector<std::size_t>& items,
                                 const char* what) {
  for (auto i : items) {
    const auto text = std::string("[") + what + "] training item " + std::to_string(i);
    if (i >= dataset.items.size())
      throw ArgumentError(text + " of a data set of " + std::to_string(dataset.items.size()));
    if (dataset.items[i].split == data::Split::test)
      throw ArgumentError(text + " is of the split test", dataset.items[i].path, "what is tested cannot be trained on");
  }
}

}  // namespace detail
}  // namespace vitals::inline v0::eval
