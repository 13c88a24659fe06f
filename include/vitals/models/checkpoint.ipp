// Implementation of checkpoint.hpp.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cctype>
#include <cmath>
#include <cstdint>
#include <map>
#include <string_view>
#include <utility>

#include <vitals/models/checkpoint.hpp>

namespace vitals::inline v0 {

namespace detail {

// Hugging Face's parts of a name and the published ones. Longer parts stand before their own beginnings.
inline constexpr std::array<std::pair<std::string_view, std::string_view>, 14> huggingface_names{{
    {"embeddings.cls_token", "cls_token"},
    {"embeddings.mask_token", "mask_token"},
    {"embeddings.register_tokens", "register_tokens"},
    {"embeddings.position_embeddings", "pos_embed"},
    {"embeddings.patch_embeddings.projection.", "patch_embed.proj."},
    {"encoder.layer.", "blocks."},
    {".attention.attention.query.", ".attn.qkv."},
    {".attention.attention.key.", ".attn.qkv."},
    {".attention.attention.value.", ".attn.qkv."},
    {".attention.output.dense.", ".attn.proj."},
    {".layer_scale1.lambda1", ".ls1.gamma"},
    {".layer_scale2.lambda1", ".ls2.gamma"},
    {".mlp.weights_in.", ".mlp.w12."},
    {".mlp.weights_out.", ".mlp.w3."},
}};

inline std::string from_huggingface(std::string name) {
  for (const auto& [theirs, ours] : huggingface_names)
    if (const auto at = name.find(theirs); at != name.npos) name.replace(at, theirs.size(), ours);
  if (name.starts_with("layernorm.")) name.replace(0, 10, "norm.");
  return name;
}

// query, key, value stand in this order in the fused projection, whatever their order in the file.
inline int part_of_qkv(std::string_view name) {
  if (name.find(".attention.attention.query.") != name.npos) return 0;
  if (name.find(".attention.attention.key.") != name.npos) return 1;
  if (name.find(".attention.attention.value.") != name.npos) return 2;
  return -1;
}

// Checkpoints of DINOv2's own training cut the blocks into chunks: blocks.CHUNK.INDEX.norm1 ...
inline std::string without_chunk(const std::string& name) {
  if (!name.starts_with("blocks.")) return name;
  std::size_t at = 7, numbers = 0, second = 0;
  while (at < name.size() && std::isdigit(static_cast<unsigned char>(name[at]))) {
    if (numbers++ == 1) second = at;
    while (at < name.size() && std::isdigit(static_cast<unsigned char>(name[at]))) ++at;
    if (at < name.size() && name[at] == '.') ++at;
  }
  return numbers == 2 ? "blocks." + name.substr(second) : name;
}

inline std::string list_of(const std::vector<std::string>& names) {
  constexpr std::size_t most = 12;  // the rest is counted
  std::string text;
  for (std::size_t i = 0; i < std::min(most, names.size()); ++i) text += (i ? ", " : "") + names[i];
  if (names.size() > most) text += " and " + std::to_string(names.size() - most) + " more";
  return text;
}

}  // namespace detail

VITALS_INLINE const char* name(Naming naming) { return naming == Naming::facebook ? "facebook" : "huggingface"; }

VITALS_INLINE Checkpoint Checkpoint::open(const std::filesystem::path& path) {
  return Checkpoint(io::TensorFile::open(path));
}

VITALS_INLINE Checkpoint::Checkpoint(io::TensorFile opened) : file(std::move(opened)) {
  // The CLS token tells the naming and what stands before every key.
  std::vector<std::pair<std::string, Naming>> found;
  for (const auto& entry : file.entries()) {
    const std::string_view key = entry.name;
    for (const auto& [end, how] : {std::pair<std::string_view, Naming>{"embeddings.cls_token", Naming::huggingface},
                                   std::pair<std::string_view, Naming>{"cls_token", Naming::facebook}})
      if (key.ends_with(end) && (key.size() == end.size() || key[key.size() - end.size() - 1] == '.')) {
        found.emplace_back(std::string(key.substr(0, key.size() - end.size())), how);
        break;
      }
  }
  if (found.empty())
    throw DataError("no backbone in this checkpoint: no key ends in 'cls_token'", file.path().string(),
                    "'inspect FILE' lists its tensors");
  auto chosen = found.begin();
  if (found.size() > 1) {
    chosen =
        std::find_if(found.begin(), found.end(), [](const auto& f) { return f.first.find("teacher") != f.first.npos; });
    if (chosen == found.end())
      throw DataError("several backbones in this checkpoint: '" + found[0].first + "', '" + found[1].first + "'",
                      file.path().string(), "keep one of them in a file of its own");
  }
  prefix = chosen->first;
  naming = chosen->second;

  std::map<std::string, std::size_t> place;
  for (const auto& entry : file.entries()) {
    if (!entry.name.starts_with(prefix)) continue;
    const std::string key = entry.name.substr(prefix.size());
    const std::string ours = naming == Naming::huggingface ? detail::from_huggingface(key) : detail::without_chunk(key);
    const int part = naming == Naming::huggingface ? detail::part_of_qkv(key) : -1;
    const auto [at, fresh] = place.emplace(ours, tensors.size());
    if (fresh) tensors.push_back({ours, entry.shape, {}});
    CheckpointTensor& tensor = tensors[at->second];
    if (part < 0) {
      tensor.parts.push_back(&entry);
      continue;
    }
    tensor.parts.resize(3);
    tensor.parts[static_cast<std::size_t>(part)] = &entry;
  }
  for (auto& tensor : tensors) {
    if (std::find(tensor.parts.begin(), tensor.parts.end(), nullptr) != tensor.parts.end())
      throw DataError("query, key and value are not all there", file.path().string() + ", " + tensor.name);
    if (tensor.parts.size() < 2) continue;
    tensor.shape[0] = 0;
    for (const auto* part : tensor.parts) {
      if (part->shape.empty() ||
          !std::equal(part->shape.begin() + 1, part->shape.end(), tensor.shape.begin() + 1, tensor.shape.end()))
        throw DataError("query, key and value differ in shape", file.path().string() + ", " + part->name);
      tensor.shape[0] += part->shape[0];
    }
  }
}

VITALS_INLINE std::optional<ViTConfig> Checkpoint::config() const {
  const auto shape_of = [&](std::string_view wanted) -> const std::vector<std::size_t>* {
    for (const auto& tensor : tensors)
      if (tensor.name == wanted) return &tensor.shape;
    return nullptr;
  };
  const auto* positions = shape_of("pos_embed");
  const auto* patches = shape_of("patch_embed.proj.weight");
  if (!positions || positions->size() != 3 || (*positions)[1] < 2 || !patches || patches->size() != 4)
    return std::nullopt;
  ViTConfig config;
  config.dim = (*positions)[2];
  config.grid = static_cast<std::size_t>(std::llround(std::sqrt(static_cast<double>((*positions)[1] - 1))));
  config.patch = (*patches)[3];
  config.heads = 0;
  config.depth = 0;
  while (shape_of("blocks." + std::to_string(config.depth) + ".norm1.weight")) ++config.depth;
  if (const auto* registers = shape_of("register_tokens"); registers && registers->size() == 3)
    config.registers = (*registers)[1];
  if (const auto* gate = shape_of("blocks.0.mlp.w12.weight")) {
    config.mlp = Mlp::swiglu;
    config.hidden = (*gate)[0] / 2;
  } else if (const auto* fc1 = shape_of("blocks.0.mlp.fc1.weight")) {
    config.hidden = (*fc1)[0];
  } else {
    return std::nullopt;
  }
  return config;
}

namespace detail {

VITALS_INLINE std::vector<const CheckpointTensor*> match(const Checkpoint& checkpoint, std::span<const Wanted> wanted) {
  std::map<std::string_view, const CheckpointTensor*> there;
  for (const auto& tensor : checkpoint.tensors) there.emplace(tensor.name, &tensor);
  std::vector<const CheckpointTensor*> out;
  std::vector<std::string> missing, extra, misshapen;
  for (const auto& row : wanted) {
    const auto at = there.find(row.name);
    if (at == there.end()) {
      missing.push_back(row.name);
      continue;
    }
    if (at->second->shape != row.shape)
      misshapen.push_back(row.name + " " + to_string(at->second->shape) + " instead of " + to_string(row.shape));
    out.push_back(at->second);
    there.erase(at);
  }
  for (const auto& [key, tensor] : there) extra.emplace_back(key);
  if (missing.empty() && extra.empty() && misshapen.empty()) return out;
  std::string what = "the checkpoint does not fit the model:";
  if (!missing.empty()) what += " missing " + list_of(missing) + ";";
  if (!extra.empty()) what += " not known " + list_of(extra) + ";";
  if (!misshapen.empty()) what += " of another shape " + list_of(misshapen) + ";";
  what.pop_back();
  throw DataError(what, checkpoint.file.path().string(),
                  "choose the preset that the file was made for ('inspect FILE' names it)");
}

VITALS_INLINE std::span<const float> values_of(const Checkpoint& checkpoint, const CheckpointTensor& tensor,
                                               std::vector<float>& copy) {
  copy.clear();
  std::span<const float> values;
  const io::TensorEntry& first = *tensor.parts.front();
  const bool mapped = tensor.parts.size() == 1 && first.dtype == io::DType::f32 && first.contiguous() &&
                      std::bit_cast<std::uintptr_t>(first.data) % alignof(float) == 0;
  if (mapped) {
    values = {reinterpret_cast<const float*>(first.data), first.size()};
  } else {
    std::size_t size = 0;
    for (const auto* part : tensor.parts) size += part->size();
    copy.resize(size);
    std::size_t at = 0;
    for (const auto* part : tensor.parts) {
      checkpoint.file.read(*part, std::span<float>(copy).subspan(at, part->size()));
      at += part->size();
    }
    values = copy;
  }
  std::uint32_t worst = 0;  // an exponent of all ones is NaN or infinite
  for (const float value : values) worst = std::max(worst, std::bit_cast<std::uint32_t>(value) & 0x7f800000u);
  if (worst == 0x7f800000u)
    throw DataError("NaN or infinite numbers among the weights",
                    checkpoint.file.path().string() + ", tensor " + first.name, "the file is damaged: fetch it again");
  return values;
}

VITALS_INLINE void release(const Checkpoint& checkpoint, const CheckpointTensor& tensor) {
  for (const auto* part : tensor.parts) checkpoint.file.release(*part);
}

}  // namespace detail

}  // namespace vitals::inline v0
