// The split rules of the radiology study (arXiv 2312.02366): systematic samples of sorted names, each taken from what
// the ones before it left. The study's own lists follow the order of its disk; the sizes are those of sorted names.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <vitals/core/config.hpp>
#include <vitals/data/dataset.hpp>

namespace vitals::inline v0::data {

/// round(0, step, 2 step, ...) below n, halves to even, as NumPy's round(arange(0, n, step)); an index that rounds up
/// to n is left out. Throws ArgumentError for a step below 1 or not finite.
std::vector<std::size_t> systematic(std::size_t n, double step);
/// systematic(n, n / count). For one pair in twenty NumPy's arange has one element too many, equal to n: left out here.
/// Throws ArgumentError for a count of 0 or above n.
std::vector<std::size_t> systematic_count(std::size_t n, std::size_t count);

/// One step of a rule: every `every`-th of what is left, or, where every is 0, `count` of it.
struct SplitStep {
  Split split = Split::test;
  double every = 0;
  std::size_t count = 0;
};

/// A rule: its steps in order; what is left at the end is the split train, or is not used where a step takes train.
struct SplitRule {
  std::string_view name;
  std::vector<SplitStep> steps;
};

/// "montgomery", "shenzhen", "sars_cov_2_ct", "brain_tumour" (of patients), "msd_hippocampus", "msd_spleen", "amos".
/// Throws ArgumentError that lists the names.
SplitRule study_split_rule(std::string_view name);
std::vector<std::string_view> study_split_rules();

/// Ascending indices into what was split.
struct SplitIndices {
  std::vector<std::size_t> train, val, test, unused;
};

/// The rule on n items (in the order of their sorted names). Throws ArgumentError where a step asks for more than is left.
SplitIndices split_indices(const SplitRule& rule, std::size_t n);
/// The same on names: sorted as bytes, then split.
struct SplitNames {
  std::vector<std::string> train, val, test, unused;
};
SplitNames split_names(const SplitRule& rule, std::vector<std::string> names);
/// The rule on groups (patients): groups[i] is the group of item i; groups are numbered in the order of their first
/// item, and an item goes where its group goes. This is how the Brain Tumor set is split.
SplitIndices split_groups(const SplitRule& rule, std::span<const std::string> groups);

/// NIH Chest X-ray14: the last 10,002 lines of the official train_val_list.txt are val, the others train.
/// `lines` is how many the list has. Throws ArgumentError where there are not more than that.
SplitIndices nih_split(std::size_t lines);

}  // namespace vitals::inline v0::data

#if VITALS_HEADER_ONLY
#include <vitals/data/splits.ipp>
#endif
