// Adapters as folders of PEFT (Hugging Face): adapter_model.safetensors beside adapter_config.json, both ways.
//
//   vt::adapt::save_peft(model, "adapter/");      // PeftModel.from_pretrained(base, "adapter/") reads it
//   vt::adapt::load_peft(model, "adapter/");
//
// Terms for q and v alone have no form in PEFT. They are written as one term of the whole qkv that computes the same: A the
// parts' A one under another, B zero outside the parts' rows, alpha times the number of parts; the metadata
// `vitals.targets` names the parts, so that they become parts again here.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <vitals/adapt/lora.hpp>
#include <vitals/adapt/trainable.hpp>
#include <vitals/core/config.hpp>
#include <vitals/core/parallel.hpp>
#include <vitals/io/tensor_file.hpp>

namespace vitals::inline v0::adapt {

/// An adapter without a model: the terms' numbers by module, and the biases that belong to it.
struct Adapter {
  struct Term {
    std::string module;  ///< "blocks.0.attn.qkv"
    std::string part;    ///< "q", "k", "v", or empty
    std::size_t rank = 0, in = 0, rows = 0;
    std::vector<float> a, b;  ///< (rank, in), (rows, rank)
    double scale = 1;
  };
  LoraOptions options;  ///< as far as a file tells them
  std::vector<Term> terms;
  std::map<std::string, std::vector<float>> biases;  ///< by the parameter's name, "blocks.0.attn.qkv.bias"
};

/// Reads a folder of PEFT, or a single file of `w_a_000, w_b_000 ...` matrices (even: q, odd: v of block i / 2, scale 1), as
/// published with LoRA heads for DINOv2. Throws IoError, FormatError: not such a file, an adapter of another kind (DoRA, IA3
/// ...), a term that lacks its A or its B, ranks that contradict each other.
Adapter read_adapter(const std::filesystem::path& path);
/// Writes a folder of PEFT; both files appear whole or not at all. Throws IoError.
void write_peft(const std::filesystem::path& folder, const Adapter& adapter);

namespace detail {

/// Throws DataError for a module that the model does not have, or one of another size.
[[noreturn]] void does_not_fit(const std::string& what, const std::string& module);

}  // namespace detail

/// The adapter of a model. Throws ArgumentError where it has no terms.
template <class Model>
Adapter adapter_of(Model& model) {
  Adapter out;
  out.options.targets.clear();
  bool any_bias = false, other_bias = false;
  const auto table = table_of(model);
  std::map<std::string, bool> adapted;
  for (const auto& row : table) adapted[module_of(row.name)] |= !row.parameter->low_rank().empty();
  for (const auto& row : table) {
    if (row.name.ends_with("bias") && row.parameter->trainable()) {
      std::vector<float> values(row.parameter->size());
      row.parameter->copy_to(values);
      out.biases[row.name] = std::move(values);
      any_bias = true;
      other_bias |= !adapted[module_of(row.name)];
    }
    for (const auto& term : row.parameter->low_rank()) {
      Adapter::Term t{module_of(row.name), term->part, term->a.shape()[0], term->a.shape()[1], term->rows, {}, {},
                      term->scale};
      t.a.resize(term->a.size());
      t.b.resize(term->b.size());
      term->a.copy_to(t.a);
      term->b.copy_to(t.b);
      out.options.dropout = term->dropout;
      out.terms.push_back(std::move(t));
    }
  }
  if (out.terms.empty()) throw ArgumentError("[adapter_of] the model has no low-rank terms", "", "call lora first");
  out.options.bias = other_bias ? LoraBias::all : any_bias ? LoraBias::lora_only : LoraBias::none;
  return out;
}

/// Gives a model the terms and biases of an adapter; what they are for trains, the rest is frozen. Throws ArgumentError where the
/// model has terms already, DataError where the adapter is for another shape of model.
template <class Model>
void apply(Model& model, const Adapter& adapter, Executor& executor = default_pool()) {
  const auto table = table_of(model);
  std::map<std::string, std::size_t> place;
  for (std::size_t i = 0; i < table.size(); ++i) {
    place[table[i].name] = i;
    if (!table[i].parameter->low_rank().empty())
      throw ArgumentError("[apply] the model has low-rank terms", table[i].name, "remove them first (remove_lora)");
  }
  const auto find = [&](const std::string& name,
                        const std::string& module) -> const nn::NamedParameter<typename Model::Backend>& {
    const auto at = place.find(name);
    if (at == place.end()) detail::does_not_fit("the model has no such layer", module);
    return table[at->second];
  };
  for (const auto& term : adapter.terms) {  // all are checked before anything is changed
    const auto& row = find(term.module + ".weight", term.module);
    const auto shape = row.parameter->shape();
    if (!detail::is_linear_weight(row) || shape[1] != term.in || shape[0] != term.rows * (term.part.empty() ? 1 : 3))
      detail::does_not_fit("the adapter is for (" + std::to_string(term.rows) + ", " + std::to_string(term.in) +
                               "), the model's weight is " + to_string(shape),
                           term.module);
  }
  for (const auto& [name, values] : adapter.biases)
    if (find(name, name).parameter->size() != values.size()) detail::does_not_fit("a bias of another size", name);
  freeze(model);
  for (const auto& term : adapter.terms) {
    auto& made = detail::add_term(find(term.module + ".weight", term.module), term.part, term.rank, 1.0,
                                  adapter.options, executor);
    made.scale = term.scale;
    made.a.assign(executor, term.a);
    made.b.assign(executor, term.b);
  }
  for (const auto& [name, values] : adapter.biases) {
    auto& bias = *find(name, name).parameter;
    bias.assign(executor, values);
    bias.set_trainable(true);
  }
}

template <class Model>
void save_peft(Model& model, const std::filesystem::path& folder) {
  write_peft(folder, adapter_of(model));
}
template <class Model>
void load_peft(Model& model, const std::filesystem::path& path, Executor& executor = default_pool()) {
  apply(model, read_adapter(path), executor);
}

}  // namespace vitals::inline v0::adapt

#if VITALS_HEADER_ONLY
#include <vitals/adapt/peft.ipp>
#endif
