// Features of a data set under a frozen backbone, with a cache on disk. Each thread decodes, transforms and runs the
// model on pieces of a batch of its own, so no processor waits for another one's decoding. The numbers are the same for
// any number of threads, any batch size, and whether they were computed, resumed or taken from the cache.
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
  std::size_t computed = 0;          ///< items that went through the model in this call; the others came from the cache
  std::size_t unreadable = 0;        ///< files of the cache that were damaged and left out
};

struct FeatureOptions {
  std::filesystem::path cache{};  ///< folder; empty: no cache
  std::string weights_sha256{};   ///< of the file of weights, where there is one; part of the cache's key
  std::string dtype = "float32";  ///< what the model computes in; part of the cache's key
  std::size_t blocks = 4;         ///< how many last blocks' CLS are kept
  std::size_t batch = 8;          ///< images in flight, shared out over the threads
  Progress progress{};
  Executor* executor = nullptr;  ///< nullptr: default_pool()
};

/// Progress stages: "reading cache" (with a cache), "features".
/// The cache's key also holds what the model gives for a fixed drawn image (one forward pass): one folder may serve any
/// weights, processors and versions of the library, and what comes out of it has the bits that would be computed.
/// Throws what reading images throws, with the item's path and line; DataError where features are NaN or infinite, naming the
/// image; ShapeError for a size that the patch does not divide; ArgumentError for blocks 0 or > depth, batch 0;
/// IoError where the cache cannot be written. What was computed before an error stays cached.
FeatureSet features(const Backbone& backbone, const data::Dataset& dataset, const transforms::Transform& transform,
                    const FeatureOptions& options = {});

}  // namespace vitals::inline v0::eval

#if VITALS_HEADER_ONLY
#include <vitals/eval/features.ipp>
#endif
