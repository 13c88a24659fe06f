// Scores sorted once. AUROC and average precision depend on the scores only through their order, so a resample of the
// items (a count for each item) needs one pass over the sorted items and no new sort: O(n) instead of O(n log n).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <vitals/core/config.hpp>
#include <vitals/metrics/score.hpp>

namespace vitals::inline v0::metrics {

/// The items of one binary question, from the highest score to the lowest; equal scores form one group (-0 equals 0,
/// infinities are scores like others).
class Ranking {
 public:
  /// One distinct score and the items that have it.
  struct Group {
    double score;
    std::uint64_t positives, negatives;
  };
  struct Values {
    Score auroc, average_precision;
  };

  /// targets (n) 0 or 1; scores (n). Throws ShapeError for different sizes or n >= 2^30, DataError for other targets.
  Ranking(std::span<const std::uint8_t> targets, std::span<const double> scores);

  std::size_t size() const { return size_; }
  bool has_nan() const { return has_nan_; }
  /// Distinct scores from high to low; empty where a score is NaN.
  std::vector<Group> groups() const;

  /// AUROC: share of (positive, negative) pairs in the right order, a tie counts one half (Mann-Whitney). Exact: pairs
  /// are counted in integers. Undefined: "no items", "score is NaN", "no positive item", "no negative item".
  /// Average precision: sum over distinct scores from high to low of (recall step) * precision. Undefined as above, but
  /// defined without negative items.
  Values values() const;
  /// The same for the multiset in which item i stands counts[i] times. counts (n), their sum below 2^31.
  Values values(std::span<const std::uint32_t> counts) const;

 private:
  template <class Count>
  Values pass(Count count) const;

  std::size_t size_ = 0;
  bool has_nan_ = false;
  std::vector<std::uint32_t> entries_;  // item << 2 | last of its group << 1 | positive
  std::vector<double> sorted_;          // the scores in the order of entries_
};

}  // namespace vitals::inline v0::metrics

#if VITALS_HEADER_ONLY
#include <vitals/metrics/ranking.ipp>
#endif
