// Checkpoints: from the tensors of a file to the parameters of a model. The names of facebookresearch/dinov2 and of
// Hugging Face's Dinov2Model / Dinov2WithRegistersModel are told apart by the keys themselves; loading is strict, and
// one error lists every missing, extra and misshapen key.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <vitals/core/config.hpp>
#include <vitals/core/parallel.hpp>
#include <vitals/io/tensor_file.hpp>
#include <vitals/models/vit_config.hpp>
#include <vitals/nn/module.hpp>

namespace vitals::inline v0 {

/// Whose names a checkpoint uses.
enum class Naming { facebook, huggingface };
const char* name(Naming);

/// A tensor of a checkpoint under the name that the model gives it.
struct CheckpointTensor {
  std::string name;  ///< "blocks.3.attn.qkv.weight"
  std::vector<std::size_t> shape;
  std::vector<const io::TensorEntry*> parts;  ///< one, or several joined along the first axis (query, key, value)
};

/// A file's backbone, renamed. Wrappers such as "teacher.backbone." or "model." are stripped and what lies beside them
/// is left out; where both a teacher and a student are there, the teacher is taken.
struct Checkpoint {
  io::TensorFile file;
  Naming naming = Naming::facebook;
  std::string prefix;  ///< what was stripped, "" where nothing was
  std::vector<CheckpointTensor> tensors;

  /// Throws what TensorFile::open throws, and DataError where no backbone is found in the file.
  static Checkpoint open(const std::filesystem::path& file);
  explicit Checkpoint(io::TensorFile file);

  /// The shape of the model as the keys tell it (heads cannot be seen and stay 0; `positions` neither).
  /// Nothing where the keys of a Vision Transformer are incomplete.
  std::optional<ViTConfig> config() const;
};

namespace detail {

/// A row of a model's table, without its type.
struct Wanted {
  std::string name;
  std::vector<std::size_t> shape;
};
/// For each wanted row the tensor that fills it. Throws DataError listing every missing, extra and misshapen key.
std::vector<const CheckpointTensor*> match(const Checkpoint& checkpoint, std::span<const Wanted> wanted);
/// The numbers of a tensor as float, without a copy where the file allows it (then `copy` stays empty).
/// Throws DataError for NaN or infinite numbers, naming the tensor.
std::span<const float> values_of(const Checkpoint& checkpoint, const CheckpointTensor& tensor,
                                 std::vector<float>& copy);
/// The pages of the tensor are not needed any more.
void release(const Checkpoint& checkpoint, const CheckpointTensor& tensor);

}  // namespace detail

/// Fills a table of parameters. Peak memory: the packed parameters and one tensor of the file.
template <class B>
void load_into(const std::vector<nn::NamedParameter<B>>& table, const Checkpoint& checkpoint,
               Executor& executor = default_pool()) {
  std::vector<detail::Wanted> wanted;
  for (const auto& row : table)
    wanted.push_back({row.name, {row.parameter->shape().begin(), row.parameter->shape().end()}});
  const auto found = detail::match(checkpoint, wanted);
  std::vector<float> copy;
  for (std::size_t i = 0; i < table.size(); ++i) {
    table[i].parameter->assign(executor, detail::values_of(checkpoint, *found[i], copy));
    detail::release(checkpoint, *found[i]);
  }
}

struct LoadOptions {
  std::optional<Positions> positions = {};  ///< another rule than the preset's
  Executor* executor = nullptr;             ///< nullptr: default_pool()
};

/// A model with the weights of a checkpoint, .safetensors or .pth, in either naming.
/// Throws IoError, FormatError (the file), DataError (its content: every wrong key in one message, NaN).
template <class Model>
Model load(const std::filesystem::path& file, const LoadOptions& options = {}) {
  Model model;
  load_into(model.parameters(), Checkpoint::open(file), options.executor ? *options.executor : default_pool());
  if (options.positions) model.set_positions(*options.positions);
  return model;
}

}  // namespace vitals::inline v0

#if VITALS_HEADER_ONLY
#include <vitals/models/checkpoint.ipp>
#endif
