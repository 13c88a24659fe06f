// The table of what trains: the rows of a model's table of parameters, and of the low-rank terms that hang on them.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <vitals/nn/module.hpp>

namespace vitals::inline v0 {

namespace adapt {

template <class B>
using Table = std::vector<nn::NamedParameter<B>>;

/// The table of a layer or model.
template <class Module>
auto table_of(Module& module) {
  if constexpr (requires { module.parameters(); })
    return module.parameters();
  else
    return nn::parameters<typename Module::Backend>(module);
}

/// "blocks.0.attn.qkv.weight" -> "blocks.0.attn.qkv"
inline std::string module_of(const std::string& parameter) { return parameter.substr(0, parameter.rfind('.')); }

/// A table and, after each weight, the low-rank terms on it: `blocks.0.attn.qkv.lora_A`, `.lora_B`; with `.q`, `.k` or `.v`
/// behind where a term is for a part.
template <class B>
Table<B> with_low_rank(const Table<B>& table) {
  Table<B> all;
  for (const auto& row : table) {
    all.push_back(row);
    for (const auto& term : row.parameter->low_rank()) {
      const std::string part = term->part.empty() ? "" : "." + term->part;
      all.push_back({module_of(row.name) + ".lora_A" + part, &term->a});
      all.push_back({module_of(row.name) + ".lora_B" + part, &term->b});
    }
  }
  return all;
}

/// The trainable rows of a table and of its low-rank terms.
template <class B>
Table<B> trainable_rows(const Table<B>& table) {
  Table<B> rows;
  for (const auto& row : with_low_rank(table))
    if (row.parameter->trainable()) rows.push_back(row);
  return rows;
}

}  // namespace adapt

/// What trains in a model and, named "head.", in its head: what an optimiser takes.
template <class Model>
auto trainable(Model& model) {
  return adapt::trainable_rows(adapt::table_of(model));
}
template <class Model, class Head>
auto trainable(Model& model, Head& head) {
  auto rows = trainable(model);
  for (auto& row : trainable(head)) rows.push_back({"head." + row.name, row.parameter});
  return rows;
}

}  // namespace vitals::inline v0
