// A trainable backbone by the name of its preset. Costly to instantiate (every preset's gradients): the compiled library has
// it once for each backend.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include <vitals/backend/cpu/cpu.hpp>
#include <vitals/core/config.hpp>
#include <vitals/core/parallel.hpp>
#include <vitals/models/checkpoint.hpp>
#include <vitals/models/dinov2.hpp>
#include <vitals/train/trainable.hpp>
#include <vitals/train/trainable_of.hpp>

namespace vitals::inline v0::train {

struct TrainableOptions {
  std::string preset = "dinov2_vits14";
  std::filesystem::path weights{};  ///< empty: random initial values
  std::optional<Positions> positions{};
  std::uint64_t seed = 0;        ///< of random initial values
  bool masters = false;          ///< bfloat16: keep every matrix in float32 too, for full fine-tuning
  Executor* executor = nullptr;  ///< nullptr: default_pool()
};

namespace detail {

template <class B, std::size_t I = 0>
std::unique_ptr<TrainableBackbone> trainable_preset(const dinov2::Preset& preset, const TrainableOptions& options,
                                                    Executor& executor) {
  if constexpr (I == dinov2::presets.size()) {
    return nullptr;
  } else {
    if (preset.name != dinov2::presets[I].name) return trainable_preset<B, I + 1>(preset, options, executor);
    using Model = ViT<dinov2::presets[I].config, B>;
    auto model = std::make_unique<Model>();
    const auto table = model->parameters();
    if (options.masters)
      for (const auto& row : table) row.parameter->keep_master();
    if (options.weights.empty())
      nn::initialize(table, options.seed, executor);
    else
      load_into(table, Checkpoint::open(options.weights), executor);
    if (options.positions) model->set_positions(*options.positions);
    model->set_preset(std::string(preset.name));
    return std::make_unique<TrainableOf<Model>>(std::move(model), executor);
  }
}

}  // namespace detail

/// Everything trains at first. Throws ArgumentError (unknown preset) and what vitals::load throws.
template <class B = Cpu<float>>
std::unique_ptr<TrainableBackbone> load_trainable(const TrainableOptions& options) {
  return detail::trainable_preset<B>(dinov2::preset_by_name(options.preset), options,
                                     options.executor ? *options.executor : default_pool());
}

#if !VITALS_HEADER_ONLY
extern template std::unique_ptr<TrainableBackbone> load_trainable<Cpu<float>>(const TrainableOptions&);
extern template std::unique_ptr<TrainableBackbone> load_trainable<Cpu<bfloat16>>(const TrainableOptions&);
#endif

}  // namespace vitals::inline v0::train

#if VITALS_HEADER_ONLY
#include <vitals/train/trainable_presets.ipp>
#endif
