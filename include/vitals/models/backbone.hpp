// Backbone: what everything above models/ sees of a Vision Transformer. Run-time sizes and virtual calls, so that
// protocols, data and reports are compiled once and a program can choose its preset by name. Every ViT<Config, Backend>
// is a Backbone: typed and erased use are the same object.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <vitals/core/config.hpp>
#include <vitals/core/parallel.hpp>
#include <vitals/core/tensor.hpp>
#include <vitals/nn/positions.hpp>

namespace vitals::inline v0 {

/// The shape of a backbone, at run time.
struct BackboneInfo {
  std::string preset;     ///< "dinov2_vits14"; empty for a model without a published name
  std::size_t dim = 0;    ///< D
  std::size_t depth = 0;  ///< number of blocks
  std::size_t heads = 0;  ///< H
  std::size_t patch = 0;  ///< P, pixels
  std::size_t registers = 0;
  std::size_t parameters = 0;
  Positions positions = Positions::offset;
};

/// What a forward pass gives, float32 on the host, each after the final LayerNorm.
struct Features {
  Tensor<float, dyn, dyn> cls;                              ///< (B, D)
  Tensor<float, dyn, dyn, dyn> patches;                     ///< (B, patches, D), row by row
  Tensor<float, dyn, dyn, dyn> registers;                   ///< (B, R, D)
  std::vector<Tensor<float, dyn, dyn>> block_cls;           ///< last n blocks, shallow to deep, each (B, D)
  std::vector<Tensor<float, dyn, dyn, dyn>> block_patches;  ///< the same, each (B, patches, D)
};

struct FeatureRequest {
  std::size_t blocks = 0;        ///< how many of the last blocks to give in block_cls and block_patches
  bool block_patches = true;     ///< false: leave block_patches empty
  bool patches = true;           ///< false: leave patches and registers empty; the last block costs a quarter then
  Executor* executor = nullptr;  ///< nullptr: default_pool()
};

class Backbone {
 public:
  virtual ~Backbone() = default;
  virtual const BackboneInfo& info() const = 0;
  /// pixels (B, 3, H, W), normalised; H and W multiples of the patch, not necessarily equal. May be called from several
  /// threads at once. Throws ShapeError (the message names the nearest sizes), ArgumentError (blocks > depth).
  virtual Features features(TensorView<const float, dyn, 3, dyn, dyn> pixels,
                            const FeatureRequest& request = {}) const = 0;
};

}  // namespace vitals::inline v0
