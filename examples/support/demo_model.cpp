#include "demo_model.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

#include <vitals/core/sha256.hpp>
#include <vitals/io/tensor_file.hpp>
#include <vitals/models/demo.hpp>
#include <vitals/models/dinov2.hpp>
#include <vitals/models/vit.hpp>
#include <vitals/train/trainable_of.hpp>

namespace vt = vitals;

// The file as it is, in the program's constants.
asm(".pushsection .rodata\n"
    ".balign 64\n"
    ".globl vitals_demo_weights\n"
    "vitals_demo_weights:\n"
    ".incbin \"" VITALS_DEMO_WEIGHTS
    "\"\n"
    ".globl vitals_demo_weights_end\n"
    "vitals_demo_weights_end:\n"
    ".byte 0\n"
    ".popsection\n");
extern "C" const std::byte vitals_demo_weights[];
extern "C" const std::byte vitals_demo_weights_end[];

namespace support {

namespace {

std::span<const std::byte> carried() { return {vitals_demo_weights, vitals_demo_weights_end}; }

template <class B>
using Demo = vt::ViT<vt::demo::vit14, B>;

template <class B>
void fill(Demo<B>& model, const vt::Checkpoint& weights, std::optional<vt::Positions> positions) {
  vt::load_into(model.parameters(), weights);
  if (positions) model.set_positions(*positions);
  model.set_preset(std::string(vt::demo::preset));
}

template <class B>
std::unique_ptr<vt::Backbone> backbone_of(const vt::Checkpoint& weights, std::optional<vt::Positions> positions) {
  auto model = std::make_unique<Demo<B>>();
  fill<B>(*model, weights, positions);
  return model;
}

template <class B>
std::unique_ptr<vt::train::TrainableBackbone> trainable_of(const vt::Checkpoint& weights, bool masters,
                                                           std::optional<vt::Positions> positions) {
  auto model = std::make_unique<Demo<B>>();
  if (masters)
    for (const auto& row : model->parameters()) row.parameter->keep_master();
  fill<B>(*model, weights, positions);
  return std::make_unique<vt::train::TrainableOf<Demo<B>>>(std::move(model));
}

}  // namespace

vt::Checkpoint demo_checkpoint(const std::filesystem::path& file) {
  if (!file.empty()) return vt::Checkpoint::open(file);
  return vt::Checkpoint(vt::io::TensorFile::of_bytes(carried(), "the demo weights"));
}

std::string demo_sha256() { return vt::Sha256().update(carried()).hex(); }

std::unique_ptr<vt::Backbone> demo_backbone(const vt::Checkpoint& weights, const std::string& dtype,
                                            std::optional<vt::Positions> positions) {
  if (dtype == "int8") return backbone_of<vt::Cpu<std::int8_t>>(weights, positions);
  if (dtype == "bfloat16") return backbone_of<vt::Cpu<vt::bfloat16>>(weights, positions);
  return backbone_of<vt::Cpu<float>>(weights, positions);
}

std::unique_ptr<vt::train::TrainableBackbone> demo_trainable(const vt::Checkpoint& weights, const std::string& dtype,
                                                             bool masters, std::optional<vt::Positions> positions) {
  if (dtype == "bfloat16") return trainable_of<vt::Cpu<vt::bfloat16>>(weights, masters, positions);
  return trainable_of<vt::Cpu<float>>(weights, masters, positions);
}

std::string preset_of(const vt::Checkpoint& checkpoint) {
  if (const auto* preset = vt::dinov2::preset_of(checkpoint)) return std::string(preset->name);
  const auto config = checkpoint.config();
  vt::ViTConfig seen = vt::demo::vit14;  // what the keys can tell of it
  seen.heads = 0;
  seen.hidden = seen.mlp_hidden();
  if (config) seen.positions = config->positions;
  return config && seen == *config ? std::string(vt::demo::preset) : std::string();
}

}  // namespace support
