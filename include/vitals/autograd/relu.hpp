// ReLU and largest of squares (max pooling) of maps on a tape. Backward: dx = dy where y > 0; dx = dy at the first of the largest.
#pragma once

#include <algorithm>
#include <cstddef>

#include <vitals/autograd/map.hpp>

namespace vitals::inline v0::ops {

/// max(x, 0)
template <class B>
Map<B> relu(Tape<B>& tape, const Map<B>& x) {
  using Scalar = typename B::Scalar;
  using S = backend::Spatial<B>;
  auto y = tape.template make<dyn, dyn, dyn, dyn>(x.shape());
  S::relu(tape.executor, x.data(), x.size(), y.data());
  if (!x.needs_gradient()) return y;
  y.set_recipe([kept = x.keep()](Executor& executor, Scalar* to) {
    S::relu(executor, kept.open(executor)->data(), kept.size, to);
  });
  tape.record(y, [dx = x.slot(), kept = x.keep()](Tape<B>& back, Slot<B>& dy) {
    // x > 0 where y > 0
    S::relu_backward(back.executor, kept.open(back.executor)->data(), dy.data(), dy.size, dy.data());
    back.pass_on(dy, *dx);
  });
  return y;
}

/// The largest of each size x size square, stride = size: (B, h, w, C) -> (B, h / size, w / size, C). Throws ShapeError where no
/// square fits.
template <class B>
Map<B> max_pool(Tape<B>& tape, const Map<B>& x, std::size_t size) {
  using Scalar = typename B::Scalar;
  using S = backend::Spatial<B>;
  const auto [batch, h, w, n] = x.shape();
  if (size == 0 || h < size || w < size)
    throw ShapeError("[max_pool] squares of " + std::to_string(size) + " in a map " + to_string(x.shape()));
  auto y = tape.template make<dyn, dyn, dyn, dyn>({batch, h / size, w / size, n});
  S::max_pool(tape.executor, x.data(), batch, h, w, n, size, y.data());
  if (!x.needs_gradient()) return y;
  tape.record(y, [dx = x.slot(), kept = x.keep(), shape = x.shape(), size](Tape<B>& back, Slot<B>& dy) {
    const auto seen = kept.open(back.executor);
    dx->add([&](Scalar* to, bool add) {
      if (!add) std::fill_n(to, seen->size(), Scalar(0));
      S::max_pool_backward(back.executor, seen->data(), dy.data(), shape[0], shape[1], shape[2], shape[3], size, to);
    });
  });
  return y;
}

}  // namespace vitals::inline v0::ops
