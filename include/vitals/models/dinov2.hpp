// DINOv2's published backbones as presets. Oquab et al., arXiv 2304.07193; with registers: Darcet et al., arXiv
// 2309.16588. Shapes: facebookresearch/dinov2, dinov2/hub/backbones.py.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <vitals/backend/cpu/cpu.hpp>
#include <vitals/core/config.hpp>
#include <vitals/models/checkpoint.hpp>
#include <vitals/models/vit.hpp>

namespace vitals::inline v0::dinov2 {

inline constexpr ViTConfig vits14{.dim = 384, .depth = 12, .heads = 6, .patch = 14, .grid = 37};
inline constexpr ViTConfig vitb14{.dim = 768, .depth = 12, .heads = 12, .patch = 14, .grid = 37};
inline constexpr ViTConfig vitl14{.dim = 1024, .depth = 24, .heads = 16, .patch = 14, .grid = 37};
inline constexpr ViTConfig vitg14{.dim = 1536, .depth = 40, .heads = 24, .patch = 14, .grid = 37, .mlp = Mlp::swiglu};

/// The same with four registers; these interpolate positions with antialiasing.
constexpr ViTConfig with_registers(ViTConfig config) {
  config.registers = 4;
  config.positions = Positions::antialias;
  return config;
}
inline constexpr ViTConfig vits14_reg = with_registers(vits14), vitb14_reg = with_registers(vitb14),
                           vitl14_reg = with_registers(vitl14), vitg14_reg = with_registers(vitg14);

/// A name that programs take and the shape it stands for.
struct Preset {
  std::string_view name;
  ViTConfig config;
};
inline constexpr std::array<Preset, 8> presets{{{"dinov2_vits14", vits14},
                                                {"dinov2_vitb14", vitb14},
                                                {"dinov2_vitl14", vitl14},
                                                {"dinov2_vitg14", vitg14},
                                                {"dinov2_vits14_reg", vits14_reg},
                                                {"dinov2_vitb14_reg", vitb14_reg},
                                                {"dinov2_vitl14_reg", vitl14_reg},
                                                {"dinov2_vitg14_reg", vitg14_reg}}};

/// The preset whose shape a checkpoint has, or nullptr.
const Preset* preset_of(const Checkpoint& checkpoint);

/// Throws ArgumentError for a name that is no preset, listing them.
const Preset& preset_by_name(std::string_view name);

namespace detail {

/// Calls make with the type of the preset's model.
template <class B, std::size_t I = 0, class Make>
std::unique_ptr<Backbone> with_preset(const Preset& preset, Make&& make) {
  if constexpr (I < presets.size()) {
    if (preset.name == presets[I].name) return make(std::type_identity<ViT<presets[I].config, B>>{});
    return with_preset<B, I + 1>(preset, make);
  } else {
    return nullptr;
  }
}

}  // namespace detail

/// A backbone by name with the weights of a file. Throws ArgumentError and what vitals::load throws.
template <class B = Cpu<float>>
std::unique_ptr<Backbone> load(std::string_view name, const std::filesystem::path& weights,
                               const LoadOptions& options = {}) {
  const Preset& preset = preset_by_name(name);
  return detail::with_preset<B>(preset, [&]<class Model>(std::type_identity<Model>) {
    auto model = std::make_unique<Model>(vitals::load<Model>(weights, options));
    model->set_preset(std::string(preset.name));
    return model;
  });
}

/// A backbone by name with random initial values: for tests and for demonstrations without weights.
template <class B = Cpu<float>>
std::unique_ptr<Backbone> random(std::string_view name, std::uint64_t seed, const LoadOptions& options = {}) {
  const Preset& preset = preset_by_name(name);
  return detail::with_preset<B>(preset, [&]<class Model>(std::type_identity<Model>) {
    auto model = std::make_unique<Model>(seed, options.executor ? *options.executor : default_pool());
    if (options.positions) model->set_positions(*options.positions);
    model->set_preset(std::string(preset.name));
    return model;
  });
}

}  // namespace vitals::inline v0::dinov2

// The presets are instantiated once, in vitals::compiled; KIND is `extern` there for users and empty in dinov2.ipp.
#define VITALS_DINOV2_INSTANCES(KIND, BACKEND)                                                                  \
  KIND template class ViT<dinov2::vits14, BACKEND>;                                                             \
  KIND template class ViT<dinov2::vitb14, BACKEND>;                                                             \
  KIND template class ViT<dinov2::vitl14, BACKEND>;                                                             \
  KIND template class ViT<dinov2::vitg14, BACKEND>;                                                             \
  KIND template class ViT<dinov2::vits14_reg, BACKEND>;                                                         \
  KIND template class ViT<dinov2::vitb14_reg, BACKEND>;                                                         \
  KIND template class ViT<dinov2::vitl14_reg, BACKEND>;                                                         \
  KIND template class ViT<dinov2::vitg14_reg, BACKEND>;                                                         \
  KIND template std::unique_ptr<Backbone> dinov2::load<BACKEND>(std::string_view, const std::filesystem::path&, \
                                                                const LoadOptions&);                            \
  KIND template std::unique_ptr<Backbone> dinov2::random<BACKEND>(std::string_view, std::uint64_t, const LoadOptions&);

#if VITALS_HEADER_ONLY
#include <vitals/models/dinov2.ipp>
#else
namespace vitals::inline v0 {
VITALS_DINOV2_INSTANCES(extern, Cpu<float>)
VITALS_DINOV2_INSTANCES(extern, Cpu<bfloat16>)
VITALS_DINOV2_INSTANCES(extern, Cpu<std::int8_t>)
}  // namespace vitals::inline v0
#endif
