// The goldens of kNN and the linear probe as the tests use them: features of real images as a FeatureSet.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include <vitals/eval/features.hpp>
#include <vitals/io/tensor_file.hpp>

#include "json.hpp"
#include "paths.hpp"

namespace test {

namespace vt = vitals;

/// Every tensor of a file of ../shared in double, row by row.
inline std::map<std::string, std::vector<double>> read_tensors(const std::string& name) {
  const auto file = vt::io::TensorFile::open(shared(name));
  std::map<std::string, std::vector<double>> tensors;
  for (const auto& entry : file.entries()) {
    auto& values = tensors[entry.name];
    values.resize(entry.size());
    file.read(entry, std::span<double>(values));
  }
  return tensors;
}

/// goldens/evaluation/features_SET: 200 training images, then 100 of the split test. `labels` "labels" or "multilabel".
inline vt::eval::FeatureSet golden_features(const std::string& set, const std::string& labels) {
  const auto tensors = read_tensors("goldens/evaluation/features_" + set + ".safetensors");
  vt::eval::FeatureSet features;
  auto& dataset = features.dataset;
  const bool multilabel = labels == "multilabel";
  if (multilabel)
    dataset.classes = {"pneumonia", "bacteria", "virus"};
  else
    dataset.classes = read_json(shared("goldens/evaluation/knn.json"))[set]["classes"].get<std::vector<std::string>>();
  const std::size_t classes = dataset.classes.size();
  dataset.task = multilabel     ? vt::data::Task::multilabel
                 : classes == 2 ? vt::data::Task::binary
                                : vt::data::Task::multiclass;
  features.cls = vt::Tensor<float, vt::dyn, vt::dyn, vt::dyn>({300, 4, 384});
  features.avgpool = vt::Tensor<float, vt::dyn, vt::dyn>({300, 384});
  std::size_t first = 0;
  for (const auto* split : {"train", "test"}) {
    const auto& y = tensors.at(std::string(split) + "." + labels);
    const std::size_t n = multilabel ? y.size() / classes : y.size();
    for (std::size_t i = 0; i < n; ++i) {
      vt::data::Item item{split + std::to_string(i), {}, first ? vt::data::Split::test : vt::data::Split::train, ""};
      for (std::size_t c = 0; c < classes; ++c)
        if (multilabel ? y[i * classes + c] != 0 : y[i] == static_cast<double>(c)) item.labels.push_back(c);
      dataset.items.push_back(item);
    }
    const auto& cls = tensors.at(std::string(split) + ".cls");
    const auto& avgpool = tensors.at(std::string(split) + ".avgpool");
    std::copy(cls.begin(), cls.end(), features.cls.data() + first * 4 * 384);
    std::copy(avgpool.begin(), avgpool.end(), features.avgpool.data() + first * 384);
    first += n;
  }
  return features;
}

/// CLS of the last block of items begin .. end.
inline vt::Tensor<float, vt::dyn, vt::dyn> rows(const vt::eval::FeatureSet& features, std::size_t begin,
                                                std::size_t end) {
  const std::size_t blocks = features.cls.extent(1), dim = features.cls.extent(2);
  vt::Tensor<float, vt::dyn, vt::dyn> x({end - begin, dim});
  for (std::size_t i = begin; i < end; ++i)
    std::copy_n(features.cls.data() + (i * blocks + blocks - 1) * dim, dim, x.data() + (i - begin) * dim);
  return x;
}

}  // namespace test
