// Drop path on a tape: a residual branch is left out of some images of a training pass, and counts for more in the others,
//
//   z = r + k (y - r),  y = r + branch,   k = 0 with probability p, else 1 / (1 - p), drawn for each image
//
// p grows linearly with depth, from 0 at the first block to TapeOptions::drop_path at the last. Backward: dy = k dz,
// dr += (1 - k) dz. Huang et al., "Deep networks with stochastic depth", arXiv 1603.09382.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <vitals/autograd/recording.hpp>
#include <vitals/core/rng.hpp>

namespace vitals::inline v0::ops {

namespace detail {

/// k of each image: a function of the pass's seed, the branch and the image's place in the batch.
template <class Scalar>
std::vector<Scalar> kept_paths(std::uint64_t seed, const BranchPlace& place, double rate, std::size_t images) {
  const Rng rng(seed, (std::uint64_t{0x70617468} << 32) + place.number);  // "path"
  std::vector<Scalar> k(images);
  for (std::size_t b = 0; b < images; ++b)
    k[b] = rng.uniform_at(b) < rate ? Scalar(0) : static_cast<Scalar>(1 / (1 - rate));
  return k;
}

}  // namespace detail

template <class B, class Body, std::size_t... E>
Variable<B, E...> residual_branch(Tape<B>& tape, Variable<B, E...> x, const BranchPlace& place, const Body& body) {
  using Scalar = typename B::Scalar;
  const double rate = tape.options.drop_path * place.depth;
  if (!(rate > 0)) return body(std::move(x));
  if (!(rate < 1))
    throw ArgumentError("[drop_path] a rate of " + std::to_string(tape.options.drop_path), "", "use 0 up to, not 1");
  const std::size_t images = x.extent(0), size = x.size() / images;
  auto k = detail::kept_paths<Scalar>(tape.options.seed, place, rate, images);
  auto y = body(x);  // x is not sole, so the branch is added elsewhere
  Variable<B, E...> z(tape, y.memory(), y.shape());
  parallel_for(tape.executor, images, 1, [&](std::size_t first, std::size_t last) {
    for (std::size_t b = first; b < last; ++b) {
      const Scalar* r = x.data() + b * size;
      Scalar* to = z.data() + b * size;
      for (std::size_t i = 0; i < size; ++i) to[i] = r[i] + k[b] * (to[i] - r[i]);
    }
  });
  if (!y.needs_gradient()) return z;
  tape.record(z, [dx = x.slot(), dy = y.slot(), k = std::move(k), size](Tape<B>& back, Slot<B>& dz) {
    const auto scaled = [&](Scalar* to, bool add, auto&& factor) {
      parallel_for(back.executor, k.size(), 1, [&](std::size_t first, std::size_t last) {
        for (std::size_t b = first; b < last; ++b) {
          const Scalar f = factor(k[b]), *from = dz.data() + b * size;
          Scalar* at = to + b * size;
          for (std::size_t i = 0; i < size; ++i) at[i] = (add ? at[i] : Scalar(0)) + f * from[i];
        }
      });
    };
    if (dx) dx->add([&](Scalar* to, bool add) { scaled(to, add, [](Scalar kept) { return Scalar(1) - kept; }); });
    scaled(dz.data(), false, [](Scalar kept) { return kept; });
    back.pass_on(dz, *dy);
  });
  return z;
}

}  // namespace vitals::inline v0::ops
