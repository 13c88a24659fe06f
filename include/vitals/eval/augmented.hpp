// Features of images that are augmented anew at every training step, for the linear probe as the study trains it
// (random crops and flips; the backbone stays frozen). Costs a forward pass for each image of each step.
#pragma once

#include <cstddef>
#include <cstdint>

#include <vitals/core/config.hpp>
#include <vitals/core/parallel.hpp>
#include <vitals/data/augment.hpp>
#include <vitals/data/dataset.hpp>
#include <vitals/data/transforms.hpp>
#include <vitals/eval/linear_probe.hpp>
#include <vitals/models/backbone.hpp>

namespace vitals::inline v0::eval {

struct AugmentOptions {
  data::CropOptions crop{};
  std::size_t batch = 8;         ///< images in flight
  std::uint64_t seed = 0;        ///< a crop is a function of (seed, step, item)
  Executor* executor = nullptr;  ///< nullptr: default_pool()
};

/// What LinearProbeOptions::augmented takes. `backbone` and `dataset` must outlive it.
/// It throws what reading images throws, with the item's path and line, and DataError for features that are not finite.
BatchFeatures augmented_features(const Backbone& backbone, const data::Dataset& dataset,
                                 const transforms::Transform& transform, const AugmentOptions& options = {});

}  // namespace vitals::inline v0::eval

#if VITALS_HEADER_ONLY
#include <vitals/eval/augmented.ipp>
#endif
