// Patches, tokens and parts of them on a tape. Assembling adds and copies, so its way back copies and sums over images:
//   dpatches = rows of dy,  dcls = sum of the first rows,  dregisters = sums of theirs,
//   dpositions = sum over images of dy's CLS and patch rows, brought back to the stored grid.
#pragma once

#include <algorithm>
#include <cstddef>
#include <type_traits>
#include <vector>

#include <vitals/autograd/recording.hpp>

namespace vitals::inline v0::ops {

template <std::size_t P, class B>
Variable<B, dyn, dyn, 3 * P * P> patches(Tape<B>& tape, TensorView<const float, dyn, 3, dyn, dyn> pixels) {
  const auto [batch, channels, height, width] = pixels.shape();
  auto rows = tape.template make<dyn, dyn, 3 * P * P>({batch, (height / P) * (width / P), 3 * P * P});
  if constexpr (std::is_same_v<typename B::Scalar, float> && requires { B::on_host; }) {
    B::patches(tape.executor, pixels.data(), batch, height, width, P, rows.data());
  } else {
    const auto copy = tape.memory(pixels.size());
    B::upload(pixels.data(), pixels.size(), copy->data());
    B::patches(tape.executor, copy->data(), batch, height, width, P, rows.data());
  }
  return rows;
}

template <std::size_t R, class B, std::size_t D, class Cls, class Registers, class Positions>
Variable<B, dyn, dyn, D> assemble_tokens(Tape<B>& tape, const Variable<B, dyn, dyn, D>& patches, const Cls& cls,
                                         const Registers& registers, const Positions& positions) {
  using Scalar = typename B::Scalar;
  const std::size_t batch = patches.extent(0), n = patches.extent(1), tokens = 1 + R + n;
  const auto values = positions.values();
  auto y = tape.template make<dyn, dyn, D>({batch, tokens, D});
  const auto assemble = [&](const Scalar* where) {
    B::assemble_tokens(tape.executor, cls.data(), registers.data(), patches.data(), where, batch, R, n, D, y.data());
  };
  if constexpr (requires { B::on_host; }) {
    assemble(values.data());
  } else {
    const auto where = tape.memory(values.size());
    B::upload(values.data(), values.size(), where->data());
    assemble(where->data());
  }
  bool trains = patches.needs_gradient() || cls.trainable() || positions.stored.trainable();
  if constexpr (R > 0) trains = trains || registers.trainable();
  if (!trains) return y;
  tape.record(y, [dx = patches.slot(), &cls, &registers, positions, batch, n, tokens](Tape<B>& back, Slot<B>& dy) {
    const auto sum = [&](const auto& parameter, std::size_t first, std::size_t count) {
      parameter.gradient().add([&](Scalar* to, bool add) {
        if (!add) std::fill_n(to, count * D, Scalar(0));
        backend::Gradients<B>::column_sums(back.executor, dy.data() + first * D, tokens * D, batch, count * D, to);
      });
    };
    if (cls.trainable()) sum(cls, 0, 1);
    if constexpr (R > 0) {
      if (registers.trainable()) sum(registers, 1, R);
    } else {
      static_cast<void>(registers);  // clang warns of a capture that only the other branch uses
    }
    if (positions.stored.trainable()) {
      std::vector<double> table((1 + n) * D, 0.0), stored(positions.stored.size(), 0.0);
      for (std::size_t b = 0; b < batch; ++b)
        for (std::size_t i = 0; i < 1 + n; ++i) {
          const Scalar* row = dy.data() + (b * tokens + (i ? R + i : 0)) * D;
          for (std::size_t c = 0; c < D; ++c) table[i * D + c] += static_cast<double>(row[c]);
        }
      positions.backward(table, stored);
      positions.stored.gradient().add([&](Scalar* to, bool add) {
        for (std::size_t i = 0; i < stored.size(); ++i)
          to[i] = (add ? to[i] : Scalar(0)) + static_cast<Scalar>(stored[i]);
      });
    }
    if (dx)
      dx->add([&](Scalar* to, bool add) {
        for (std::size_t b = 0; b < batch; ++b) {
          const Scalar* from = dy.data() + (b * tokens + 1 + R) * D;
          if (add)
            backend::Gradients<B>::add_scaled(back.executor, from, Scalar(1), to + b * n * D, n * D);
          else
            B::copy(from, n * D, to + b * n * D);
        }
      });
  });
  return y;
}

template <class B, std::size_t D>
Variable<B, dyn, dyn, D> take_tokens(Tape<B>& tape, const Variable<B, dyn, dyn, D>& x, std::size_t first,
                                     std::size_t count) {
  using Scalar = typename B::Scalar;
  const std::size_t batch = x.extent(0), tokens = x.extent(1);
  auto y = tape.template make<dyn, dyn, D>({batch, count, D});
  for (std::size_t b = 0; b < batch; ++b)
    B::copy(x.data() + (b * tokens + first) * D, count * D, y.data() + b * count * D);
  if (!x.needs_gradient()) return y;
  tape.record(y, [dx = x.slot(), batch, tokens, first, count](Tape<B>& back, Slot<B>& dy) {
    dx->add([&](Scalar* to, bool add) {
      if (!add) std::fill_n(to, batch * tokens * D, Scalar(0));
      for (std::size_t b = 0; b < batch; ++b)
        backend::Gradients<B>::add_scaled(back.executor, dy.data() + b * count * D, Scalar(1),
                                          to + (b * tokens + first) * D, count * D);
    });
  });
  return y;
}

}  // namespace vitals::inline v0::ops
