// Which statistics a batch norm uses.
#pragma once

namespace vitals::inline v0::nn {

enum class NormMode {
  train,    ///< of the batch; the running ones move towards them. The study's code is never out of this mode
  running,  ///< the running ones, as they are: the mode to evaluate in
};

}  // namespace vitals::inline v0::nn
