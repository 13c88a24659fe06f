// The table of parameters. A layer lists its members once, with the names they have in the published checkpoint:
//
//   template <class Self, class Visit>
//   static void members(Self& self, Visit&& visit) { visit("weight", self.weight); visit("bias", self.bias); }
//
// Loading, saving, freezing, adapters, counts and summaries walk the table that parameters() makes of it.
#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <vitals/core/rng.hpp>
#include <vitals/nn/parameter.hpp>

namespace vitals::inline v0::nn {

/// A row of the table: `blocks.3.attn.qkv.weight` and where it is.
template <backend::Backend B>
struct NamedParameter {
  std::string name;
  ParameterStorage<B>* parameter;
};

namespace detail {

template <class B, class Member>
void collect(Member& member, const std::string& name, std::vector<NamedParameter<B>>& table) {
  if constexpr (std::derived_from<Member, ParameterStorage<B>>) {
    table.push_back({name, &member});
  } else if constexpr (requires { member.begin(); }) {  // a list of layers: blocks.0, blocks.1 ...
    for (std::size_t i = 0; i < member.size(); ++i) collect<B>(member[i], name + "." + std::to_string(i), table);
  } else {
    Member::members(member, [&](const char* part, auto& inner) {
      collect<B>(inner, name.empty() ? part : name + "." + part, table);
    });
  }
}

}  // namespace detail

/// Every parameter of a layer or model, in the order in which it lists them.
template <class B, class Module>
std::vector<NamedParameter<B>> parameters(Module& module) {
  std::vector<NamedParameter<B>> table;
  detail::collect<B>(module, "", table);
  return table;
}

/// How many numbers the table holds.
template <class B>
std::size_t count(const std::vector<NamedParameter<B>>& table) {
  std::size_t n = 0;
  for (const auto& row : table) n += row.parameter->size();
  return n;
}

/// Random initial values as DINOv2 sets them: norms and LayerScale 1, biases 0, CLS and register tokens N(0, 1e-6),
/// the rest a normal of deviation 0.02 cut at two deviations. A tensor's values depend on the seed and its name only.
template <class B>
void initialize(const std::vector<NamedParameter<B>>& table, std::uint64_t seed, Executor& executor) {
  std::vector<float> values;
  for (const auto& [name, parameter] : table) {
    const std::string_view n = name;
    values.assign(parameter->size(), 0.0f);
    std::uint64_t stream = 1469598103934665603ull;  // FNV-1a of the name
    for (unsigned char c : n) stream = (stream ^ c) * 1099511628211ull;
    Rng rng(seed, stream);
    if (n.ends_with("gamma") || (n.find("norm") != n.npos && n.ends_with("weight"))) {
      std::fill(values.begin(), values.end(), 1.0f);
    } else if (!n.ends_with("bias") && n != "mask_token") {
      const double scale = n.ends_with("_token") || n.ends_with("_tokens") ? 1e-6 : 0.02;
      for (auto& v : values) {
        double x = rng.normal();
        while (std::abs(x) > 2) x = rng.normal();
        v = static_cast<float>(scale * x);
      }
    }
    parameter->assign(executor, values);
  }
}

}  // namespace vitals::inline v0::nn
