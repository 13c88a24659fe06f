// The study's split rules under the names of this room; they live in data/splits.hpp.
#pragma once

#include <vitals/core/config.hpp>
#include <vitals/data/splits.hpp>

namespace vitals::inline v0::eval {

using data::nih_split;
using data::split_groups;
using data::split_indices;
using data::split_names;
using data::SplitIndices;
using data::SplitNames;
using data::SplitRule;
using data::SplitStep;
using data::study_split_rule;
using data::study_split_rules;
using data::systematic;
using data::systematic_count;

}  // namespace vitals::inline v0::eval
