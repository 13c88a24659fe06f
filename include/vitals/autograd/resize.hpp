// Resizing of maps on a tape, PyTorch's bilinear (both align_corners), bicubic (a = -0.75, no antialiasing) and nearest-exact
// (backend/resize.hpp). A weighted sum of neighbours, so its way back is the same with every weight read from the other side. Kept is
// x; y can be made again.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include <vitals/autograd/map.hpp>

namespace vitals::inline v0::ops {

/// (B, h, w, C) -> (B, height, width, C). Throws ShapeError for a size of 0.
template <class B>
Map<B> resize(Tape<B>& tape, const Map<B>& x, std::size_t height, std::size_t width, backend::Resize rule) {
  using Scalar = typename B::Scalar;
  using S = backend::Spatial<B>;
  const auto [batch, h, w, n] = x.shape();
  if (height == 0 || width == 0 || h == 0 || w == 0)
    throw ShapeError("[resize] a map " + to_string(x.shape()) + " to " + std::to_string(height) + " x " +
                     std::to_string(width));
  if (height == h && width == w) return x;
  const auto taps = std::make_shared<const std::pair<backend::Taps<Scalar>, backend::Taps<Scalar>>>(
      backend::resize_taps<Scalar>(h, height, rule), backend::resize_taps<Scalar>(w, width, rule));
  auto y = tape.template make<dyn, dyn, dyn, dyn>({batch, height, width, n});
  S::resize(tape.executor, x.data(), batch, n, taps->first, taps->second, false, y.data());
  if (!x.needs_gradient()) return y;
  y.set_recipe([kept = x.keep(), taps, images = x.extent(0), channels = x.extent(3)](Executor& executor, Scalar* to) {
    S::resize(executor, kept.open(executor)->data(), images, channels, taps->first, taps->second, false, to);
  });
  tape.record(y, [dx = x.slot(), taps, images = x.extent(0), channels = x.extent(3)](Tape<B>& back, Slot<B>& dy) {
    dx->add([&](Scalar* to, bool add) {
      S::resize(back.executor, dy.data(), images, channels, backend::turned_round(taps->first),
                backend::turned_round(taps->second), add, to);
    });
  });
  return y;
}

}  // namespace vitals::inline v0::ops
