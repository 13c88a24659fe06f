// Linear on a tape: y = x W^T + b, with the low-rank terms of W (low_rank.hpp). Backward, with dy (M, Out):
//
//   dx = dy W        needs nothing but W
//   dW = dy^T x      needs x, which is kept only where W, or a term's A, trains
//   db = sum of dy over rows
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>

#include <vitals/autograd/low_rank.hpp>
#include <vitals/autograd/recording.hpp>

namespace vitals::inline v0::ops {

namespace detail {

/// Whether a tape has something to compute for any of these parameters.
template <class... Parameters>
bool trains(const Parameters&... parameters) {
  return (parameters.trainable() || ...);
}
template <class Weight>
bool low_rank_trains(const Weight& weight) {
  for (const auto& term : weight.low_rank())
    if (!term->merged && trains(term->a, term->b)) return true;
  return false;
}
/// Whether the input is needed for the gradient of a weight.
template <class Weight>
bool needs_input(const Weight& weight) {
  if (weight.trainable()) return true;
  for (const auto& term : weight.low_rank())
    if (!term->merged && term->a.trainable()) return true;
  return false;
}

/// The gradient of a parameter as what is added to, zeros at first; nullptr where it does not train.
template <class B, class Parameter>
typename B::Scalar* sums_of(const Parameter& parameter) {
  if (!parameter.trainable()) return nullptr;
  parameter.gradient().add([&](typename B::Scalar* to, bool add) {
    if (!add) std::fill_n(to, parameter.size(), typename B::Scalar(0));
  });
  return parameter.gradient().data();
}
/// Adds the sum of the rows of dy (m, n) to the gradient of a parameter that trains.
template <class B, class Bias>
void add_column_sums(Tape<B>& tape, const typename B::Scalar* dy, std::size_t m, std::size_t n, const Bias& bias) {
  backend::Gradients<B>::column_sums(tape.executor, dy, n, m, n, sums_of<B>(bias));
}

}  // namespace detail

template <std::size_t Out, class B, std::size_t In, class Weight, class Bias>
Variable<B, dyn, dyn, Out> linear(Tape<B>& tape, const Variable<B, dyn, dyn, In>& x, const Weight& weight,
                                  const Bias& bias) {
  using Scalar = typename B::Scalar;
  const std::size_t m = x.rows();
  auto y = tape.template make<dyn, dyn, Out>({x.extent(0), x.extent(1), Out});
  auto terms = detail::linear_forward<B>(tape, x.memory(), m, weight, bias.data(), nullptr, y.data());
  if (!x.needs_gradient() && !detail::trains(weight, bias) && !detail::low_rank_trains(weight)) return y;
  tape.record(y, [dx = x.slot(), kept = detail::needs_input(weight) ? x.keep() : Kept<B>{}, terms = std::move(terms), m,
                  &weight, &bias](Tape<B>& back, Slot<B>& dy) {
    using G = backend::Gradients<B>;
    if (weight.trainable()) {
      const auto seen = kept.open(back.executor);
      weight.gradient().add([&](Scalar* to, bool add) {
        G::weight_gradient(back.executor, dy.data(), Out, seen->data(), In, m, Out, In, to, add,
                           detail::sums_of<B>(bias));
      });
    } else if (bias.trainable()) {
      detail::add_column_sums<B>(back, dy.data(), m, Out, bias);
    }
    detail::linear_backward<B>(back, dy.data(), m, kept, weight, static_cast<const Bias*>(nullptr), terms, dx.get(), nullptr);
  });
  return y;
}

}  // namespace vitals::inline v0::ops
