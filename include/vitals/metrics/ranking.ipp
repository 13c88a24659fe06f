// Implementation of ranking.hpp.
#pragma once

#include <algorithm>
#include <string>
#include <utility>

#include <vitals/metrics/checks.hpp>
#include <vitals/metrics/ranking.hpp>

namespace vitals::inline v0::metrics {

VITALS_INLINE Ranking::Ranking(std::span<const std::uint8_t> targets, std::span<const double> scores)
    : size_(targets.size()) {
  detail::check_binary(targets, scores);
  if (size_ >= (std::size_t{1} << 30)) throw ShapeError("[metrics] " + std::to_string(size_) + " items, limit 2^30");
  has_nan_ = detail::any_nan(scores);
  if (has_nan_) return;
  std::vector<std::pair<double, std::uint32_t>> order(size_);
  for (std::size_t i = 0; i < size_; ++i) order[i] = {scores[i], static_cast<std::uint32_t>(i)};
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return a.first > b.first || (a.first == b.first && a.second < b.second);
  });
  entries_.resize(size_);
  sorted_.resize(size_);
  for (std::size_t j = 0; j < size_; ++j) {
    const auto [score, item] = order[j];
    const bool last = j + 1 == size_ || order[j + 1].first != score;
    entries_[j] = item << 2 | std::uint32_t{last} << 1 | targets[item];
    sorted_[j] = score;
  }
}

VITALS_INLINE std::vector<Ranking::Group> Ranking::groups() const {
  std::vector<Group> groups;
  Group group{};
  for (std::size_t j = 0; j < entries_.size(); ++j) {
    ++(entries_[j] & 1 ? group.positives : group.negatives);
    if (!(entries_[j] & 2)) continue;
    group.score = sorted_[j];
    groups.push_back(std::exchange(group, {}));
  }
  return groups;
}

// Going down the groups with p positives and q negatives each, tp and fp above it: the q negatives lose against tp
// positives and tie with p, so twice the Mann-Whitney U grows by q (2 tp + p).
template <class Count>
Ranking::Values Ranking::pass(Count count) const {
  std::uint64_t tp = 0, fp = 0, p = 0, q = 0, twice_u = 0;
  double precision_sum = 0;
  for (const std::uint32_t entry : entries_) {
    const std::uint64_t c = count(entry >> 2), positive = std::uint64_t{0} - (entry & 1);
    p += c & positive;
    q += c & ~positive;
    if (!(entry & 2)) continue;
    twice_u += q * (2 * tp + p);
    tp += p;
    fp += q;
    if (p) precision_sum += static_cast<double>(p) * (static_cast<double>(tp) / static_cast<double>(tp + fp));
    p = q = 0;
  }
  if (tp == 0) return {Score::none("no positive item"), Score::none("no positive item")};
  const double positives = static_cast<double>(tp), negatives = static_cast<double>(fp);
  return {fp ? Score(static_cast<double>(twice_u) / (2 * positives * negatives)) : Score::none("no negative item"),
          precision_sum / positives};
}

VITALS_INLINE Ranking::Values Ranking::values() const {
  if (size_ == 0) return {Score::none("no items"), Score::none("no items")};
  if (has_nan_) return {Score::none(std::string(nan_score)), Score::none(std::string(nan_score))};
  return pass([](std::uint32_t) { return std::uint64_t{1}; });
}

VITALS_INLINE Ranking::Values Ranking::values(std::span<const std::uint32_t> counts) const {
  if (counts.size() != size_)
    throw ShapeError("[metrics] " + std::to_string(counts.size()) + " counts for " + std::to_string(size_) + " items");
  if (size_ == 0 || has_nan_) return values();
  return pass([c = counts.data()](std::uint32_t item) { return std::uint64_t{c[item]}; });
}

}  // namespace vitals::inline v0::metrics
