// Implementation of bootstrap.hpp.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>

#include <vitals/core/error.hpp>
#include <vitals/core/rng.hpp>
#include <vitals/metrics/bootstrap.hpp>
#include <vitals/metrics/checks.hpp>
#include <vitals/metrics/ranking.hpp>

namespace vitals::inline v0::metrics {

namespace detail {

// Counts of `units` draws out of `units`: what Rng::below_at gives for 0 .. units - 1, but two draws a Philox block.
inline void draw_counts(std::uint64_t seed, std::uint64_t stream, std::span<std::uint32_t> counts) {
  std::fill(counts.begin(), counts.end(), 0u);
  const std::uint64_t units = counts.size();
  const std::array<std::uint32_t, 2> key{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)};
  const auto below = [units](std::uint64_t high, std::uint64_t low) {
    return (high * units + ((low * units) >> 32)) >> 32;
  };
  for (std::uint64_t i = 0; i < units; i += 2) {
    const auto b = philox4x32({static_cast<std::uint32_t>(i / 2), static_cast<std::uint32_t>((i / 2) >> 32),
                               static_cast<std::uint32_t>(stream), static_cast<std::uint32_t>(stream >> 32)},
                              key);
    ++counts[below(b[0], b[1])];
    if (i + 1 < units) ++counts[below(b[2], b[3])];
  }
}

inline Bootstrap summarise(std::vector<double> values, double alpha) {
  Bootstrap result;
  result.samples = values.size();
  std::erase_if(values, [](double v) { return std::isnan(v); });
  result.undefined = result.samples - values.size();
  if (values.empty()) return result;
  std::sort(values.begin(), values.end());
  result.ci = Interval{sorted_quantile(values, alpha / 2), sorted_quantile(values, 1 - alpha / 2)};
  if (values.size() < 2 || values.front() == values.back()) return result;
  double mean = 0, squares = 0;
  for (double v : values) mean += v;
  mean /= static_cast<double>(values.size());
  for (double v : values) squares += (v - mean) * (v - mean);
  result.sd = std::sqrt(squares / static_cast<double>(values.size() - 1));
  return result;
}

// Groups renumbered 0 .. G - 1; returns G.
inline std::size_t compact_groups(std::vector<std::size_t>& groups) {
  std::vector<std::size_t> distinct = groups;
  std::sort(distinct.begin(), distinct.end());
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  for (auto& g : groups)
    g = static_cast<std::size_t>(std::lower_bound(distinct.begin(), distinct.end(), g) - distinct.begin());
  return distinct.size();
}

}  // namespace detail

VITALS_INLINE double sorted_quantile(std::span<const double> ascending, double q) {
  const double at = q * static_cast<double>(ascending.size() - 1);
  const auto below = std::min(static_cast<std::size_t>(at), ascending.size() - 1);
  const auto above = std::min(below + 1, ascending.size() - 1);
  if (ascending[below] == ascending[above]) return ascending[below];  // also equal infinities
  return ascending[below] + (at - static_cast<double>(below)) * (ascending[above] - ascending[below]);
}

VITALS_INLINE std::vector<Bootstrap> bootstrap(std::size_t n, std::size_t metrics, const ResampledMany& resampled,
                                               const BootstrapOptions& options) {
  if (n == 0) throw DataError("[bootstrap] no items");
  if (n >= (std::size_t{1} << 31)) throw ShapeError("[bootstrap] " + std::to_string(n) + " items, limit 2^31");
  if (options.samples == 0) throw ArgumentError("[bootstrap] 0 samples", "", "give at least 1; 1000 is usual");
  detail::check_alpha(options.alpha);
  if (!options.groups.empty() && options.groups.size() != n)
    throw ShapeError("[bootstrap] " + std::to_string(options.groups.size()) + " groups for " + std::to_string(n) +
                     " items");
  std::vector<std::size_t> groups = options.groups;
  const std::size_t units = groups.empty() ? n : detail::compact_groups(groups);

  const double undefined = std::numeric_limits<double>::quiet_NaN();
  std::vector<double> values(options.samples * metrics);  // (samples, metrics)
  Executor& executor = options.executor ? *options.executor : default_pool();
  parallel_for(executor, options.samples, 4, [&](std::size_t begin, std::size_t end) {
    std::vector<std::uint32_t> drawn(units), of_items(groups.empty() ? 0 : n);
    for (std::size_t r = begin; r < end; ++r) {
      detail::draw_counts(options.seed, bootstrap_stream + r, drawn);
      for (std::size_t i = 0; i < of_items.size(); ++i) of_items[i] = drawn[groups[i]];
      const std::span<double> row(values.data() + r * metrics, metrics);
      std::fill(row.begin(), row.end(), undefined);
      resampled(groups.empty() ? drawn : of_items, row);
    }
  });

  std::vector<Bootstrap> results;
  for (std::size_t m = 0; m < metrics; ++m) {
    std::vector<double> own(options.samples);
    for (std::size_t r = 0; r < own.size(); ++r) own[r] = values[r * metrics + m];
    results.push_back(detail::summarise(std::move(own), options.alpha));
  }
  return results;
}

VITALS_INLINE Bootstrap bootstrap(std::size_t n, const Resampled& resampled, const BootstrapOptions& options) {
  const ResampledMany one = [&](std::span<const std::uint32_t> counts, std::span<double> values) {
    if (const Score score = resampled(counts)) values[0] = *score.value;
  };
  return bootstrap(n, 1, one, options)[0];
}

VITALS_INLINE Bootstrap bootstrap_mean(std::span<const double> values, const BootstrapOptions& options) {
  const Resampled mean = [values](std::span<const std::uint32_t> counts) -> Score {
    double sum = 0;
    std::uint64_t items = 0;  // with groups a resample may hold more or fewer items than the set
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (!counts[i]) continue;
      sum += counts[i] * values[i];
      items += counts[i];
    }
    return sum / static_cast<double>(items);
  };
  return bootstrap(values.size(), mean, options);
}

VITALS_INLINE Bootstrap bootstrap_auroc(std::span<const std::uint8_t> targets, std::span<const double> scores,
                                        const BootstrapOptions& options) {
  const Ranking ranking(targets, scores);
  const Resampled area = [&ranking](std::span<const std::uint32_t> counts) { return ranking.values(counts).auroc; };
  return bootstrap(targets.size(), area, options);
}

VITALS_INLINE std::vector<std::size_t> resampled_items(std::span<const std::uint32_t> counts) {
  std::vector<std::size_t> items;
  for (std::size_t i = 0; i < counts.size(); ++i) items.insert(items.end(), counts[i], i);
  return items;
}

VITALS_INLINE std::vector<std::size_t> group_numbers(std::span<const std::string> names) {
  std::map<std::string, std::size_t> known;
  std::vector<std::size_t> numbers;
  std::size_t next = 0;
  for (const auto& name : names) {
    if (name.empty())
      numbers.push_back(next++);
    else {
      const auto [at, is_new] = known.try_emplace(name, next);
      next += is_new;
      numbers.push_back(at->second);
    }
  }
  return numbers;
}

}  // namespace vitals::inline v0::metrics
