// The options of both kNN methods (mlknn.hpp, knn.hpp), and what they start from and check.
#pragma once

#include <cmath>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <vitals/core/error.hpp>
#include <vitals/core/parallel.hpp>
#include <vitals/core/progress.hpp>
#include <vitals/core/tensor.hpp>
#include <vitals/eval/features.hpp>
#include <vitals/eval/neighbours.hpp>
#include <vitals/eval/prediction.hpp>

namespace vitals::inline v0::eval {

/// Of mlknn() and weighted_knn().
struct KnnOptions {
  Counts k = {10, 20, 100, 200};                       ///< the study's; one prediction for each, in this order
  std::optional<std::vector<std::size_t>> train = {};  ///< these items instead of the splits train and val (few-shot)
  Progress progress = {};
  Executor* executor = nullptr;  ///< nullptr: default_pool()
};

namespace detail {

inline void check_neighbours(const Neighbours& of, std::size_t k, std::size_t n, const char* what) {
  if (k == 0 || k > of.index.extent(1))
    throw ArgumentError(std::string("[") + what + "] k = " + std::to_string(k) + " of " +
                        std::to_string(of.index.extent(1)) + " neighbours found");
  for (auto i : of.index)
    if (i >= n)
      throw ShapeError(std::string("[") + what + "] neighbour " + std::to_string(i) + " with labels of " +
                       std::to_string(n) + " items");
}

// What both kNN methods start from: the CLS token of the last block of training and test items.
struct KnnData {
  std::vector<std::size_t> train, test;
  Tensor<float, dyn, dyn> train_cls, test_cls;
  std::size_t largest = 0;
};

inline Tensor<float, dyn, dyn> last_cls(const FeatureSet& features, const std::vector<std::size_t>& items) {
  const std::size_t blocks = features.cls.extent(1), dim = features.cls.extent(2);
  Tensor<float, dyn, dyn> x({items.size(), dim});
  for (std::size_t r = 0; r < items.size(); ++r) {
    const float* from = features.cls.data() + (items[r] * blocks + blocks - 1) * dim;
    for (std::size_t d = 0; d < dim; ++d) {
      if (!std::isfinite(from[d]))
        throw DataError("a feature that is not finite", features.dataset.items[items[r]].path,
                        "check the image and the weights");
      x(r, d) = from[d];
    }
  }
  return x;
}

inline void check_features(const FeatureSet& features, const char* what) {
  const auto text = std::string("[") + what + "] ";
  if (features.cls.extent(0) != features.dataset.items.size() || features.cls.extent(1) == 0)
    throw ShapeError(text + "features " + to_string(features.cls.shape()) + " of " +
                     std::to_string(features.dataset.items.size()) + " items");
}

inline KnnData knn_data(const FeatureSet& features, const KnnOptions& options, const char* what) {
  check_features(features, what);
  KnnData data;
  data.largest = options.k.largest(what);
  data.train = options.train ? *options.train : items_of(features.dataset, {data::Split::train, data::Split::val});
  check_training_items(features.dataset, data.train, what);
  data.test = features.dataset.indices(data::Split::test);
  const auto text = std::string("[") + what + "] ";
  if (data.train.empty())
    throw DataError(text + "no image to train on", features.dataset.source.string(), "give some the split train");
  if (data.test.empty())
    throw DataError(text + "no image to test on", features.dataset.source.string(), "give some the split test");
  if (data.largest > data.train.size())
    throw ArgumentError(text + "k = " + std::to_string(data.largest) + " is above the " +
                            std::to_string(data.train.size()) + " training images",
                        features.dataset.source.string(), "take k from 1 to " + std::to_string(data.train.size()));
  data.train_cls = last_cls(features, data.train);
  data.test_cls = last_cls(features, data.test);
  return data;
}

}  // namespace detail
}  // namespace vitals::inline v0::eval
