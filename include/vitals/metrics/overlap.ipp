// Implementation of overlap.hpp.
#pragma once

#include <array>
#include <string>
#include <vector>

#include <vitals/core/error.hpp>
#include <vitals/metrics/overlap.hpp>

namespace vitals::inline v0::metrics {

namespace detail {

inline Score overlap_quotient(std::uint64_t part, std::uint64_t whole, EmptyMask empty) {
  if (whole) return static_cast<double>(part) / static_cast<double>(whole);
  if (empty == EmptyMask::skip) return Score::none("both masks are empty");
  return empty == EmptyMask::one ? 1.0 : 0.0;
}

template <class Metric>
PerClass per_foreground_class(std::size_t classes, Metric&& metric) {
  PerClass result;
  for (std::size_t k = 1; k < classes; ++k) result.per_class.push_back(metric(k));
  result.macro = macro(result.per_class);
  return result;
}

}  // namespace detail

VITALS_INLINE const char* name(EmptyMask policy) {
  switch (policy) {
    case EmptyMask::skip:
      return "skip";
    case EmptyMask::one:
      return "one";
    case EmptyMask::zero:
      return "zero";
  }
  return "?";
}

VITALS_INLINE EmptyMask empty_mask_by_name(const std::string& word) {
  for (EmptyMask policy : {EmptyMask::skip, EmptyMask::one, EmptyMask::zero})
    if (word == name(policy)) return policy;
  throw ArgumentError("no policy for empty masks is called '" + word + "'", "", "use skip, one or zero");
}

VITALS_INLINE Confusion label_counts(std::span<const std::uint8_t> prediction, std::span<const std::uint8_t> reference,
                                     std::size_t classes, Executor* executor) {
  if (prediction.size() != reference.size())
    throw ShapeError("[label_counts] " + std::to_string(prediction.size()) + " predicted labels for " +
                     std::to_string(reference.size()));
  if (classes == 0 || classes > 256)
    throw ArgumentError("[label_counts] " + std::to_string(classes) + " classes", "", "labels of 8 bits have 1 to 256");
  // Pairs are counted, 256 for each label of the reference; whole numbers, so the order of the pieces does not matter.
  constexpr std::size_t grain = std::size_t{1} << 20;
  const std::size_t pieces = (reference.size() + grain - 1) / grain;
  std::vector<std::vector<std::uint32_t>> counted(pieces);
  parallel_for(executor ? *executor : default_pool(), reference.size(), grain, [&](std::size_t begin, std::size_t end) {
    std::vector<std::uint32_t> pairs(std::size_t{256} * 256);
    for (std::size_t i = begin; i < end; ++i) ++pairs[(std::size_t{reference[i]} << 8) | prediction[i]];
    counted[begin / grain] = std::move(pairs);
  });
  Confusion confusion(classes);
  for (std::size_t r = 0; r < 256; ++r)
    for (std::size_t p = 0; p < 256; ++p) {
      std::uint64_t count = 0;
      for (const auto& pairs : counted) count += pairs[(r << 8) | p];
      if (!count) continue;
      if (r >= classes || p >= classes) {
        const auto& labels = r >= classes ? reference : prediction;
        std::size_t at = 0;
        while (labels[at] < classes) ++at;
        throw DataError(std::string("[label_counts] label ") + std::to_string(int{labels[at]}) + " of the " +
                            (r >= classes ? "reference" : "prediction"),
                        "place " + std::to_string(at), "there are " + std::to_string(classes) + " classes");
      }
      confusion.add(r, p, count);
    }
  return confusion;
}

VITALS_INLINE Score dice(const Counts& c, EmptyMask empty) {
  return detail::overlap_quotient(2 * c.true_positive, 2 * c.true_positive + c.false_positive + c.false_negative,
                                  empty);
}
VITALS_INLINE Score jaccard(const Counts& c, EmptyMask empty) {
  return detail::overlap_quotient(c.true_positive, c.true_positive + c.false_positive + c.false_negative, empty);
}
VITALS_INLINE Score volumetric_similarity(const Counts& c, EmptyMask empty) {
  const std::uint64_t p = c.true_positive + c.false_positive, r = c.true_positive + c.false_negative;
  if (p + r == 0) return detail::overlap_quotient(0, 0, empty);
  return 1.0 - static_cast<double>(p > r ? p - r : r - p) / static_cast<double>(p + r);
}

VITALS_INLINE PerClass dice(const Confusion& counts, EmptyMask empty) {
  return detail::per_foreground_class(counts.classes(), [&](std::size_t k) { return dice(counts.counts(k), empty); });
}
VITALS_INLINE PerClass jaccard(const Confusion& counts, EmptyMask empty) {
  return detail::per_foreground_class(counts.classes(),
                                      [&](std::size_t k) { return jaccard(counts.counts(k), empty); });
}

VITALS_INLINE PerClass jaccard_study(const Confusion& counts) {
  return detail::per_foreground_class(counts.classes(), [&](std::size_t k) -> Score {
    std::uint64_t row = 0, column = 0;  // of the reference, and predicted, on what is not background
    for (std::size_t j = 0; j < counts.classes(); ++j) row += counts(k, j);
    for (std::size_t j = 1; j < counts.classes(); ++j) column += counts(j, k);
    const std::uint64_t both = counts(k, k), either = row + column - both;
    if (!either) return Score::none("not in the reference, not predicted inside it");
    return static_cast<double>(both) / static_cast<double>(either);
  });
}

}  // namespace vitals::inline v0::metrics
