// Features of a data set under a frozen backbone, with a cache on disk. Decoding and transforming overlap the model.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include <vitals/core/config.hpp>
#include <vitals/core/parallel.hpp>
#include <vitals/core/progress.hpp>
#include <vitals/core/tensor.hpp>
#include <vitals/data/dataset.hpp>
#include <vitals/data/transforms.hpp>
#include <vitals/models/backbone.hpp>

namespace vitals::inline v0::eval {

/// What the study's heads and kNN take from a backbone, for every item of a data set in its order.
struct FeatureSet {
  data::Dataset dataset;
  Tensor<float, dyn, dyn, dyn> cls;  ///< (n, blocks, D): CLS of the last blocks, shallow to deep, after the final norm
  Tensor<float, dyn, dyn> avgpool;   ///< (n, D): mean patch token of the last block, after the final norm
};

struct FeatureOptions {
  std::filesystem::path cache;          ///< folder; empty: no cache
  std::string weights_sha256;           ///< part of the cache's key; needed with a cache
  std::size_t blocks = 4;               ///< how many last blocks' CLS are kept
  std::size_t batch = 8;
  Progress progress;
  Executor* executor = nullptr;         ///< nullptr: default_pool()
};

/// Throws what reading images throws, with the item's row and path; ArgumentError for blocks > depth.
FeatureSet features(const Backbone& backbone, const data::Dataset& dataset, const transforms::Transform& transform,
                    const FeatureOptions& options = {});

}  // namespace vitals::inline v0::eval

#if VITALS_HEADER_ONLY
#include <vitals/eval/features.ipp>
#endif
