// What a classifier is asked.
#pragma once

namespace vitals::inline v0::metrics {

/// binary: two classes, one an item, class 1 is the positive one; multiclass: one of K an item; multilabel: any of K.
enum class Task { binary, multiclass, multilabel };

}  // namespace vitals::inline v0::metrics
