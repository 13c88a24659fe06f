// How well two label maps agree by counts: Dice, Jaccard, volumetric similarity of each class; standard, and in the two
// forms of the radiology study (arXiv 2312.02366). Label maps hold class numbers; 0 is background and never a class of a
// result, so result i is of class i + 1.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include <vitals/core/config.hpp>
#include <vitals/core/parallel.hpp>
#include <vitals/metrics/confusion.hpp>
#include <vitals/metrics/score.hpp>

namespace vitals::inline v0::metrics {

/// What a class is worth that neither the reference nor the prediction of a case has: no value (the case is left out of
/// the mean, and counted), 1 (rightly nothing found) or 0.
enum class EmptyMask { skip, one, zero };
const char* name(EmptyMask policy);  ///< "skip", "one", "zero"
/// Throws ArgumentError for another word.
EmptyMask empty_mask_by_name(const std::string& word);

/// How often each class was predicted for each class of the reference. Both hold n class numbers below `classes`. Throws
/// ShapeError for different sizes, DataError for a number that is no class, with its place and whose it is.
Confusion label_counts(std::span<const std::uint8_t> prediction, std::span<const std::uint8_t> reference,
                       std::size_t classes, Executor* executor = nullptr);

/// 2 TP / (2 TP + FP + FN). Where both are empty as `empty` says; none: "both masks are empty".
Score dice(const Counts& c, EmptyMask empty = EmptyMask::skip);
/// TP / (TP + FP + FN). The same.
Score jaccard(const Counts& c, EmptyMask empty = EmptyMask::skip);
/// 1 - |P - R| / (P + R) with the sizes P = TP + FP and R = TP + FN. The same.
Score volumetric_similarity(const Counts& c, EmptyMask empty = EmptyMask::skip);

/// Each foreground class of all that was counted, and the mean over those that are defined. This is the study's Dice
/// when the counts are of its whole test set: counted over all pixels at once, not image by image.
PerClass dice(const Confusion& counts, EmptyMask empty = EmptyMask::skip);
PerClass jaccard(const Confusion& counts, EmptyMask empty = EmptyMask::skip);

/// The study's Jaccard: pixels whose reference is background are dropped before anything is counted, so what is found on
/// background costs nothing (torchmetrics' MulticlassJaccardIndex with ignore_index = 0). With one foreground class
/// this is recall. Classes that are neither in the rest of the reference nor predicted there are undefined.
PerClass jaccard_study(const Confusion& counts);

}  // namespace vitals::inline v0::metrics

#if VITALS_HEADER_ONLY
#include <vitals/metrics/overlap.ipp>
#endif
