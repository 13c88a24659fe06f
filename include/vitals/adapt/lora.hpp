// LoRA: a frozen weight W gets a trained term of low rank, W + s B A. It acts on the table of parameters: any Linear by
// name, or the q, k and v rows of a fused qkv alone. Hu et al., arXiv 2106.09685; s = alpha / rank, or alpha / sqrt(rank)
// (rsLoRA: Kalajdzievski, arXiv 2312.03732).
//
//   vt::adapt::lora(model, {.rank = 8, .alpha = 16, .targets = {"q", "v"}});
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <vitals/adapt/freeze.hpp>
#include <vitals/adapt/trainable.hpp>
#include <vitals/core/config.hpp>
#include <vitals/core/error.hpp>
#include <vitals/core/parallel.hpp>
#include <vitals/core/rng.hpp>

namespace vitals::inline v0::adapt {

/// Which biases train beside the terms: none, all, or those of the layers that have a term.
enum class LoraBias { none, all, lora_only };
/// "none", "all", "lora_only", PEFT's words.
const char* name(LoraBias bias);
/// Throws ArgumentError for another word.
LoraBias lora_bias_by_name(const std::string& word);

struct LoraOptions {
  std::size_t rank = 8;
  double alpha = 16;
  std::vector<std::string> targets = {"q", "v"};  ///< "qkv", "fc1", "blocks.0.attn.proj"; q, k, v: rows of qkv
  double dropout = 0;                             ///< of the term's input, while training
  bool rslora = false;
  LoraBias bias = LoraBias::none;
  std::map<std::string, std::size_t> rank_pattern = {};  ///< other ranks, by target
  std::map<std::string, double> alpha_pattern = {};      ///< other alphas, by target
  std::uint64_t seed = 0;                                ///< of A; B is zero at first
};

namespace detail {

/// PEFT's rule: the whole name, or its last parts.
bool module_matches(const std::string& module, const std::string& target);
/// The number of the first pattern that fits, else `otherwise`.
template <class Number>
Number by_pattern(const std::string& module, const std::map<std::string, Number>& patterns, Number otherwise) {
  for (const auto& [target, number] : patterns)
    if (module_matches(module, target)) return number;
  return otherwise;
}
/// Throws ArgumentError for values that cannot be.
void check_lora(const LoraOptions& options);
[[noreturn]] void no_such_target(const std::string& target, const std::string& modules);
std::uint64_t stream_of(const std::string& name);

/// A Linear's weight: two axes and a module around it.
template <class B>
bool is_linear_weight(const nn::NamedParameter<B>& row) {
  return row.parameter->shape().size() == 2 && row.name.ends_with(".weight");
}

/// Adds a term to a weight; A uniform in +-1 / sqrt(in) (Kaiming with a = sqrt 5, as PEFT), B zero.
template <class B>
nn::LowRank<B>& add_term(const nn::NamedParameter<B>& row, const std::string& part, std::size_t rank, double alpha,
                         const LoraOptions& options, Executor& executor) {
  const auto shape = row.parameter->shape();
  const std::size_t rows = part.empty() ? shape[0] : shape[0] / 3;
  const std::size_t first = part == "k" ? rows : part == "v" ? 2 * rows : 0;
  auto term = std::make_shared<nn::LowRank<B>>(part, first, rows, shape[1], rank);
  term->scale = alpha / (options.rslora ? std::sqrt(static_cast<double>(rank)) : static_cast<double>(rank));
  term->dropout = options.dropout;
  term->stream = stream_of(row.name + "." + part);
  Rng rng(options.seed, term->stream);
  std::vector<float> values(rank * shape[1]);
  const double bound = 1 / std::sqrt(static_cast<double>(shape[1]));
  for (float& v : values) v = static_cast<float>((2 * rng.uniform() - 1) * bound);
  term->a.keep_master();
  term->b.keep_master();
  term->a.assign(executor, values);
  term->b.assign(executor, std::vector<float>(rows * rank));
  row.parameter->low_rank().push_back(term);
  return *term;
}

}  // namespace detail

/// Freezes the model, adds a term to every target and lets terms and the asked-for biases train. Throws ArgumentError: a
/// target that matches no Linear (with the names there are), rank 0, a dropout outside [0, 1), a model that has terms.
template <class Model>
void lora(Model& model, const LoraOptions& options = {}, Executor& executor = default_pool()) {
  detail::check_lora(options);
  auto table = table_of(model);
  for (const auto& row : table)
    if (!row.parameter->low_rank().empty())
      throw ArgumentError("[lora] the model has low-rank terms", row.name, "remove them first (remove_lora)");
  freeze(model);
  std::string known;
  for (const auto& row : table)
    if (detail::is_linear_weight(row) && known.size() < 400) known += (known.empty() ? "" : ", ") + module_of(row.name);
  for (const auto& target : options.targets) {
    bool found = false;
    for (const auto& row : table) {
      if (!detail::is_linear_weight(row)) continue;
      const std::string module = module_of(row.name);
      const auto add = [&](const std::string& named, const std::string& part) {
        if (!detail::module_matches(named, target)) return;
        found = true;
        detail::add_term(row, part, detail::by_pattern(named, options.rank_pattern, options.rank),
                         detail::by_pattern(named, options.alpha_pattern, options.alpha), options, executor);
      };
      add(module, "");
      if (module.ends_with("qkv"))
        for (const char* part : {"q", "k", "v"}) add(module.substr(0, module.size() - 3) + part, part);
    }
    if (!found) detail::no_such_target(target, known);
  }
  if (options.bias == LoraBias::none) return;
  std::map<std::string, bool> adapted;
  for (const auto& row : table) adapted[module_of(row.name)] |= !row.parameter->low_rank().empty();
  for (const auto& row : table)
    if (row.name.ends_with("bias") && (options.bias == LoraBias::all || adapted[module_of(row.name)]))
      row.parameter->set_trainable(true);
}

namespace detail {

template <class Model>
void change_merged(Model& model, bool merged, Executor& executor) {
  for (const auto& row : table_of(model))
    for (const auto& term : row.parameter->low_rank()) {
      if (term->merged == merged) continue;
      const std::size_t rank = term->a.shape()[0], in = term->a.shape()[1];
      std::vector<float> a(term->a.size()), b(term->b.size());
      term->a.copy_to(a);
      term->b.copy_to(b);
      const double sign = merged ? term->scale : -term->scale;
      row.parameter->update(executor, [&](auto* values, std::size_t begin, std::size_t n) {
        std::vector<double> line(in);
        for (std::size_t i = begin / in; i < (begin + n) / in; ++i) {
          if (i < term->first || i >= term->first + term->rows) continue;
          std::fill(line.begin(), line.end(), 0.0);
          for (std::size_t r = 0; r < rank; ++r)
            for (std::size_t c = 0; c < in; ++c)
              line[c] += static_cast<double>(b[(i - term->first) * rank + r]) * static_cast<double>(a[r * in + c]);
          for (std::size_t c = 0; c < in; ++c) {
            auto& w = values[i * in + c - begin];
            w = static_cast<std::remove_reference_t<decltype(w)>>(static_cast<double>(w) + sign * line[c]);
          }
        }
      });
      term->merged = merged;
    }
}

}  // namespace detail

/// Adds every term into its weight, so that a pass costs what it cost without; the terms stay, at rest. For inference: a
/// merged term does not train. unmerge takes them out again, to within rounding.
template <class Model>
void merge(Model& model, Executor& executor = default_pool()) {
  detail::change_merged(model, true, executor);
}
template <class Model>
void unmerge(Model& model, Executor& executor = default_pool()) {
  detail::change_merged(model, false, executor);
}

/// Drops the terms; merged ones stay in the weights.
template <class Model>
void remove_lora(Model& model) {
  for (const auto& row : table_of(model)) row.parameter->low_rank().clear();
}

}  // namespace vitals::inline v0::adapt

#if VITALS_HEADER_ONLY
#include <vitals/adapt/lora.ipp>
#endif
