// Implementation of trainable.hpp.
#pragma once

#include <vitals/train/trainable.hpp>

namespace vitals::inline v0::train {

VITALS_INLINE const char* name(OptimizerKind kind) { return kind == OptimizerKind::sgd ? "sgd" : "adamw"; }

}  // namespace vitals::inline v0::train
