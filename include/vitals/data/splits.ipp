// Implementation of splits.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <utility>

#include <vitals/core/error.hpp>
#include <vitals/data/splits.hpp>

namespace vitals::inline v0::data {

namespace detail {

inline const std::vector<SplitRule>& split_rule_table() {
  static const std::vector<SplitRule> rules{
      {"montgomery", {{Split::test, 3, 0}, {Split::val, 4, 0}}},
      {"shenzhen", {{Split::test, 5, 0}, {Split::val, 5, 0}}},
      {"sars_cov_2_ct", {{Split::test, 3, 0}, {Split::val, 0, 50}}},
      {"brain_tumour", {{Split::test, 0, 70}, {Split::val, 0, 50}}},
      {"msd_hippocampus", {{Split::test, 0, 80}, {Split::val, 0, 60}}},
      {"msd_spleen", {{Split::test, 0, 15}, {Split::val, 0, 10}}},
      {"amos", {{Split::train, 0, 80}, {Split::val, 0, 20}, {Split::test, 0, 50}}},
  };
  return rules;
}

// Round half to even, whatever the processor's rounding mode.
inline double round_half_even(double x) {
  const double down = std::floor(x), rest = x - down;
  if (rest != 0.5) return rest < 0.5 ? down : down + 1;
  return std::fmod(down, 2) == 0 ? down : down + 1;
}

inline std::vector<std::size_t>& part_of(SplitIndices& parts, Split split) {
  return split == Split::train ? parts.train : split == Split::val ? parts.val : parts.test;
}

}  // namespace detail

VITALS_INLINE std::vector<std::size_t> systematic(std::size_t n, double step) {
  if (!(step >= 1) || !std::isfinite(step))
    throw ArgumentError("[systematic] step " + std::to_string(step), "", "take a number from 1 up");
  std::vector<std::size_t> indices;
  for (std::size_t i = 0;; ++i) {
    const double at = static_cast<double>(i) * step;
    if (at >= static_cast<double>(n)) return indices;
    const auto index = static_cast<std::size_t>(detail::round_half_even(at));
    if (index < n) indices.push_back(index);
  }
}

VITALS_INLINE std::vector<std::size_t> systematic_count(std::size_t n, std::size_t count) {
  if (count == 0 || count > n)
    throw ArgumentError("[systematic] " + std::to_string(count) + " of " + std::to_string(n), "",
                        "ask for 1 to " + std::to_string(n));
  return systematic(n, static_cast<double>(n) / static_cast<double>(count));
}

VITALS_INLINE SplitRule study_split_rule(std::string_view name) {
  std::string names;
  for (const auto& rule : detail::split_rule_table()) {
    if (rule.name == name) return rule;
    names += (names.empty() ? "" : ", ") + std::string(rule.name);
  }
  throw ArgumentError("[study_split_rule] unknown rule '" + std::string(name) + "'", "", "there are " + names);
}

VITALS_INLINE std::vector<std::string_view> study_split_rules() {
  std::vector<std::string_view> names;
  for (const auto& rule : detail::split_rule_table()) names.push_back(rule.name);
  return names;
}

VITALS_INLINE SplitIndices split_indices(const SplitRule& rule, std::size_t n) {
  SplitIndices parts;
  std::vector<std::size_t> left(n);
  std::iota(left.begin(), left.end(), std::size_t{0});
  bool takes_train = false;
  for (const auto& step : rule.steps) {
    takes_train |= step.split == Split::train;
    const auto taken = step.every > 0 ? systematic(left.size(), step.every) : systematic_count(left.size(), step.count);
    auto& part = detail::part_of(parts, step.split);
    std::vector<std::size_t> rest;
    std::size_t next = 0;
    for (std::size_t i = 0; i < left.size(); ++i) {
      const bool take = next < taken.size() && taken[next] == i;
      next += take;
      (take ? part : rest).push_back(left[i]);
    }
    left = std::move(rest);
  }
  (takes_train ? parts.unused : parts.train) = std::move(left);
  return parts;
}

VITALS_INLINE SplitNames split_names(const SplitRule& rule, std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  const auto parts = split_indices(rule, names.size());
  const auto pick = [&](const std::vector<std::size_t>& indices) {
    std::vector<std::string> picked;
    for (auto i : indices) picked.push_back(names[i]);
    return picked;
  };
  return {pick(parts.train), pick(parts.val), pick(parts.test), pick(parts.unused)};
}

VITALS_INLINE SplitIndices split_groups(const SplitRule& rule, std::span<const std::string> groups) {
  std::map<std::string_view, std::size_t> number;
  std::vector<std::size_t> group_of;
  for (const auto& group : groups) group_of.push_back(number.emplace(group, number.size()).first->second);
  const auto of_groups = split_indices(rule, number.size());
  const auto expand = [&](const std::vector<std::size_t>& part) {
    std::vector<char> in(number.size());
    for (auto g : part) in[g] = 1;
    std::vector<std::size_t> items;
    for (std::size_t i = 0; i < group_of.size(); ++i)
      if (in[group_of[i]]) items.push_back(i);
    return items;
  };
  return {expand(of_groups.train), expand(of_groups.val), expand(of_groups.test), expand(of_groups.unused)};
}

VITALS_INLINE SplitIndices nih_split(std::size_t lines) {
  constexpr std::size_t val = 10002;
  if (lines <= val)
    throw ArgumentError("[nih_split] " + std::to_string(lines) + " lines", "",
                        "train_val_list.txt must have more than the 10002 that become val");
  SplitIndices parts;
  for (std::size_t i = 0; i < lines; ++i) (i < lines - val ? parts.train : parts.val).push_back(i);
  return parts;
}

}  // namespace vitals::inline v0::data
