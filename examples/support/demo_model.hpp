// The demo's own model (vitals/models/demo.hpp) and its weights, which the programs carry in themselves: what runs where no
// --weights are given. examples/03_from_scratch.cpp made them.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include <vitals/models/backbone.hpp>
#include <vitals/models/checkpoint.hpp>
#include <vitals/train/trainable.hpp>

namespace support {

/// The weights of this file, or without one those that the program carries.
vitals::Checkpoint demo_checkpoint(const std::filesystem::path& file = {});
/// SHA-256 of the weights that the program carries, as of a file.
std::string demo_sha256();

/// dtype: float32, bfloat16 or int8. Throws what vitals::load throws.
std::unique_ptr<vitals::Backbone> demo_backbone(const vitals::Checkpoint& weights, const std::string& dtype,
                                                std::optional<vitals::Positions> positions);
/// dtype: float32 or bfloat16, which with `masters` keeps every matrix in float32 too.
std::unique_ptr<vitals::train::TrainableBackbone> demo_trainable(const vitals::Checkpoint& weights,
                                                                 const std::string& dtype, bool masters,
                                                                 std::optional<vitals::Positions> positions);

/// The name of the preset whose shape a checkpoint has, the demo's or DINOv2's; empty where there is none.
std::string preset_of(const vitals::Checkpoint& checkpoint);

}  // namespace support
