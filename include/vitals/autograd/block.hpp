// A part of a model as one operation of a tape. With checkpointing, only its input is kept; on the way back it is run again,
// recorded this time, and its gradients follow. The same bits as without.
#pragma once

#include <cstddef>
#include <utility>

#include <vitals/autograd/recording.hpp>

namespace vitals::inline v0::ops {

/// y = body(tape, x). body is called again on the way back, with a tape or not, and must compute the same.
template <class B, class Body, std::size_t... E>
Variable<B, E...> block(Tape<B>& tape, Variable<B, E...> x, const Body& body) {
  if (!tape.options.checkpoint || !tape.recording()) return body(tape, std::move(x));
  auto y = tape.without_recording([&] { return body(tape, x.leaf()); });
  if (!y.needs_gradient()) return y;
  y.set_slot(nullptr);
  tape.record(y, [x = std::move(x), body](Tape<B>& again, Slot<B>& dy) {
    const std::size_t before = again.recorded();
    const auto input = x.leaf();
    const auto output = body(again, input);
    again.pass_on(dy, *output.slot());
    again.run_down_to(before);
    if (input.needs_gradient() && input.slot()->filled) again.pass_on(*input.slot(), *x.slot());
  });
  return y;
}

}  // namespace vitals::inline v0::ops
