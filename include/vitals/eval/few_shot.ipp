// Implementation of few_shot.hpp.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include <vitals/core/error.hpp>
#include <vitals/core/rng.hpp>
#include <vitals/eval/few_shot.hpp>
#include <vitals/eval/prediction.hpp>
#include <vitals/eval/splits.hpp>

namespace vitals::inline v0::eval {

namespace detail {

// Ascending: numbers by value, whatever zeros stand before them, then other names as text.
struct PatientOrder {
  static bool is_number(std::string_view id) {
    return !id.empty() && id.find_first_not_of("0123456789") == std::string_view::npos;
  }
  bool operator()(std::string_view a, std::string_view b) const {
    const bool numbers[2] = {is_number(a), is_number(b)};
    if (numbers[0] != numbers[1]) return numbers[0];
    if (!numbers[0]) return a < b;
    const auto value = [](std::string_view id) { return id.substr(std::min(id.find_first_not_of('0'), id.size())); };
    const auto x = value(a), y = value(b);
    return x.size() != y.size() ? x.size() < y.size() : x < y;
  }
};

inline bool carries(const data::Item& item, std::size_t label) {
  return std::find(item.labels.begin(), item.labels.end(), label) != item.labels.end();
}

inline void check_shots(std::size_t shots) {
  if (shots == 0) throw ArgumentError("[few-shot] 0 shots", "", "ask for 1 or more");
}

}  // namespace detail

VITALS_INLINE std::vector<std::size_t> few_shot_per_class(const data::Dataset& dataset, std::size_t shots,
                                                          std::uint64_t seed) {
  detail::check_shots(shots);
  const auto train = dataset.indices(data::Split::train);
  const std::size_t classes = dataset.classes.size();
  std::vector<char> taken(dataset.items.size());
  for (std::size_t c = 0; c <= classes; ++c) {  // the last round: images without any label
    std::vector<std::size_t> has, free;
    for (auto i : train) {
      const bool in = c < classes ? detail::carries(dataset.items[i], c) : dataset.items[i].labels.empty();
      if (!in) continue;
      has.push_back(i);
      if (!taken[i]) free.push_back(i);
    }
    if (c < classes && has.size() < shots)
      throw ArgumentError("[few-shot] " + std::to_string(shots) + " training images of class " + dataset.classes[c] +
                              ", which has " + std::to_string(has.size()),
                          dataset.source.string(), "ask for fewer");
    const std::size_t held = has.size() - free.size();
    const auto order = Rng(seed, c).permutation(free.size());
    for (std::size_t j = 0; j + held < shots && j < order.size(); ++j) taken[free[order[j]]] = 1;
  }
  std::vector<std::size_t> items;
  for (auto i : train)
    if (taken[i]) items.push_back(i);
  return items;
}

VITALS_INLINE std::vector<std::size_t> few_shot_study(const data::Dataset& dataset, std::size_t shots) {
  detail::check_shots(shots);
  const auto train = dataset.indices(data::Split::train);
  if (shots > train.size())
    throw ArgumentError(
        "[few-shot] " + std::to_string(shots) + " of " + std::to_string(train.size()) + " training images",
        dataset.source.string(), "ask for fewer");
  std::vector<std::size_t> items;
  for (auto i : systematic_count(train.size(), shots)) items.push_back(train[i]);
  return items;
}

VITALS_INLINE std::vector<std::size_t> few_shot_nih(std::span<const data::Item> items, std::size_t classes,
                                                    std::size_t shots) {
  detail::check_shots(shots);
  std::map<std::string_view, std::vector<std::size_t>, detail::PatientOrder> images;  // of each patient
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (items[i].patient.empty())
      throw DataError("[few-shot] an image without patient", items[i].path, "the rule of NIH picks patients");
    images[items[i].patient].push_back(i);
  }
  std::map<std::string_view, bool, detail::PatientOrder> taken;
  std::vector<std::size_t> picked;
  for (std::size_t c = 0; c < classes; ++c) {
    std::size_t counted = 0;
    for (const auto& [patient, of_patient] : images) {
      if (counted == shots) break;
      if (!std::all_of(of_patient.begin(), of_patient.end(), [&](auto i) { return detail::carries(items[i], c); }))
        continue;
      ++counted;
      if (taken.emplace(patient, true).second) picked.insert(picked.end(), of_patient.begin(), of_patient.end());
    }
  }
  return picked;
}

VITALS_INLINE std::vector<std::size_t> few_shot_nih(const data::Dataset& dataset, std::size_t shots) {
  const auto train = dataset.indices(data::Split::train);
  std::vector<data::Item> items;
  for (auto i : train) items.push_back(dataset.items[i]);
  std::vector<std::size_t> picked;
  for (auto i : few_shot_nih(items, dataset.classes.size(), shots)) picked.push_back(train[i]);
  return picked;
}

}  // namespace vitals::inline v0::eval
