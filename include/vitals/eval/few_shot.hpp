// Which training images a few-shot run may see.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <vitals/core/config.hpp>
#include <vitals/data/dataset.hpp>

namespace vitals::inline v0::eval {

/// `shots` items of each class of the split train, drawn at random by `seed`; ascending item numbers.
/// Several labels an image: classes are served in order; images taken for an earlier class count for a later one, which
/// then draws only what it lacks, so a class may get more than `shots`; images without any label are one more class, of
/// which at most `shots` are drawn.
/// Throws ArgumentError (shots is 0, or above what a class has: names the class and how many it has).
std::vector<std::size_t> few_shot_per_class(const data::Dataset& dataset, std::size_t shots, std::uint64_t seed);

/// The study's rule for all sets but NIH: `shots` items of the split train in all, systematic in the order of the
/// manifest: round(arange(0, n, n / shots)). Classes may be missing. Throws ArgumentError (shots is 0 or above n).
std::vector<std::size_t> few_shot_study(const data::Dataset& dataset, std::size_t shots);

/// The study's rule for NIH: for each class in order, the patients all of whose images carry the class, the first
/// `shots` of them by ascending id (numbers by value); those taken by an earlier class are skipped but count among the
/// `shots`; all images of each. Order: as taken, the images of a patient in the order of `items`. Positions in `items`.
/// Throws ArgumentError (shots is 0), DataError (an item without patient).
std::vector<std::size_t> few_shot_nih(std::span<const data::Item> items, std::size_t classes, std::size_t shots);
/// The same on the split train of a data set; numbers of its items.
std::vector<std::size_t> few_shot_nih(const data::Dataset& dataset, std::size_t shots);

}  // namespace vitals::inline v0::eval

#if VITALS_HEADER_ONLY
#include <vitals/eval/few_shot.ipp>
#endif
