// Maps on a tape: (B, h, w, C), channels last, sizes known at run time. Patch tokens (B, N, D) are a map as they stand.
#pragma once

#include <cstddef>

#include <vitals/autograd/recording.hpp>
#include <vitals/backend/cpu/spatial.hpp>

namespace vitals::inline v0 {

template <backend::Backend B>
using Map = Variable<B, dyn, dyn, dyn, dyn>;

namespace ops::detail {

/// Gives the address of a gradient that is about to be written as a whole, and whether to add to it instead.
template <class B>
backend::MapPart<typename B::Scalar> open_gradient(Slot<B>* slot, std::size_t channels) {
  backend::MapPart<typename B::Scalar> part{nullptr, channels, false};
  if (slot)
    slot->add([&](typename B::Scalar* to, bool add) {
      part.data = to;
      part.add = add;
    });
  return part;
}

}  // namespace ops::detail

}  // namespace vitals::inline v0
