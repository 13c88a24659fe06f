// Where long work reports how far it is. The library prints nothing: a caller passes a sink, the examples a bar.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

namespace vitals::inline v0 {

/// Called now and then, always from one thread at a time, with `done` of `total` items of `stage` ("features",
/// "linear probe"); the last call of a stage has done == total. An exception thrown by it ends the work.
using Progress = std::function<void(const std::string& stage, std::size_t done, std::size_t total)>;

}  // namespace vitals::inline v0
