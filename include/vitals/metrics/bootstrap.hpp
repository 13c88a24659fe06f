// Percentile bootstrap (Efron 1979): an interval for any metric of a test set, by drawing its items, or its patients,
// again and again with replacement. A resample is a count for each item, so metrics that can weigh items need no copy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <vitals/core/config.hpp>
#include <vitals/core/parallel.hpp>
#include <vitals/metrics/score.hpp>

namespace vitals::inline v0::metrics {

struct BootstrapOptions {
  std::size_t samples = 1000;
  std::uint64_t seed = 0;
  double alpha = 0.05;  ///< 1 - alpha is the level: percentiles alpha / 2 and 1 - alpha / 2
  std::vector<std::size_t> groups =
      {};                        ///< empty: items are drawn. Else a number for each item (its patient): groups are
                                 ///< drawn, and all items of a group come with it
  Executor* executor = nullptr;  ///< nullptr: default_pool(). The result's bits do not depend on it
};

struct Bootstrap {
  std::optional<Interval> ci;  ///< none where no resample is defined
  double sd = 0;               ///< standard deviation over the defined resamples (n - 1); 0 with fewer than two
  std::size_t samples = 0;     ///< resamples drawn
  std::size_t undefined = 0;   ///< of them undefined (one label only ...) and left out
};

/// A metric of a resample: counts[i] says how often item i was drawn. Called from several threads at once.
using Resampled = std::function<Score(std::span<const std::uint32_t> counts)>;
/// Several metrics of one resample at once: writes values (NaN = undefined). Called from several threads at once.
using ResampledMany = std::function<void(std::span<const std::uint32_t> counts, std::span<double> values)>;

/// Intervals of `metrics` metrics of n items from the same resamples. Resample r takes draw i from
/// Rng(options.seed, bootstrap_stream + r).below_at(i, number of items or groups). Percentiles interpolate linearly
/// between order statistics. Throws DataError for n = 0, ArgumentError for 0 samples or alpha outside (0, 1),
/// ShapeError where groups are not n, and what the metric throws.
std::vector<Bootstrap> bootstrap(std::size_t n, std::size_t metrics, const ResampledMany& resampled,
                                 const BootstrapOptions& options = {});
/// One metric.
Bootstrap bootstrap(std::size_t n, const Resampled& resampled, const BootstrapOptions& options = {});

/// First random stream of the resamples ("boot" in the high half), so that other uses of the same seed do not meet it.
inline constexpr std::uint64_t bootstrap_stream = std::uint64_t{0x626F6F74} << 32;

/// Interval of the mean of values (n): accuracy, mean Dice ...
Bootstrap bootstrap_mean(std::span<const double> values, const BootstrapOptions& options = {});
/// Interval of auroc().
Bootstrap bootstrap_auroc(std::span<const std::uint8_t> targets, std::span<const double> scores,
                          const BootstrapOptions& options = {});

/// The items of a resample one by one, ascending, for metrics that cannot weigh: {2, 0, 1} gives {0, 0, 2}.
std::vector<std::size_t> resampled_items(std::span<const std::uint32_t> counts);

/// Group numbers for names (patients), in order of first appearance; an item with an empty name is a group of its own.
std::vector<std::size_t> group_numbers(std::span<const std::string> names);

/// The q-quantile of ascending values, 0 <= q <= 1, linear between order statistics (numpy's default). Not of nothing.
double sorted_quantile(std::span<const double> ascending, double q);

}  // namespace vitals::inline v0::metrics

#if VITALS_HEADER_ONLY
#include <vitals/metrics/bootstrap.ipp>
#endif
