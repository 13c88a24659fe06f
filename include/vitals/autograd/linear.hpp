// Linear on a tape: y = x W^T + b, with the low-rank terms of W. Backward, with dy (M, Out):
//
//   dx = dy W        needs nothing but W
//   dW = dy^T x      needs x, which is kept only where W, or a term's A, trains
//   db = sum of dy over rows
//
// and for a term of W, y += s u B^T with u = x A^T: t = dy s B, dB = s dy^T u, dA = t^T x, dx += t A.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

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

/// x with numbers dropped, as a term sees it on this tape; x itself where it drops none.
template <class B, class Term>
std::shared_ptr<const Memory<B>> dropped(Tape<B>& tape, const Term& term, const std::shared_ptr<const Memory<B>>& x) {
  if (term.dropout <= 0) return x;
  auto some = tape.memory(x->size());
  backend::Gradients<B>::dropout(tape.executor, x->data(), some->data(), x->size(), term.dropout, tape.options.seed,
                                 term.stream, false);
  return some;
}

/// Adds the low-rank terms of a weight to y (m, out) and returns their inner values u (m, rank), for the way back;
/// null for a merged one.
template <class B, class Weight>
std::vector<std::shared_ptr<const Memory<B>>> low_rank_forward(Tape<B>& tape, const std::shared_ptr<const Memory<B>>& x,
                                                               std::size_t m, const Weight& weight,
                                                               const typename B::Scalar* gamma, typename B::Scalar* y,
                                                               std::size_t out) {
  std::vector<std::shared_ptr<const Memory<B>>> inner;
  for (const auto& term : weight.low_rank()) {
    if (term->merged) {
      inner.push_back(nullptr);
      continue;
    }
    auto u = tape.memory(m * term->a.shape()[0]);
    B::linear(tape.executor, dropped(tape, *term, x)->data(), m, term->a.packed(), nullptr, u->data());
    B::linear_add(tape.executor, u->data(), m, term->b.packed(), term->row_scale(gamma).data(), y + term->first, out);
    inner.push_back(std::move(u));
  }
  return inner;
}

/// The way back through the low-rank terms of a weight; dgamma, where not null, gets their part.
template <class B, class Weight>
void low_rank_backward(Tape<B>& tape, const typename B::Scalar* dy, std::size_t m, std::size_t out, const Kept<B>& x,
                       const Weight& weight, const typename B::Scalar* gamma,
                       const std::vector<std::shared_ptr<const Memory<B>>>& inner, Slot<B>* dx,
                       typename B::Scalar* dgamma) {
  using Scalar = typename B::Scalar;
  using G = backend::Gradients<B>;
  auto& e = tape.executor;
  const std::size_t in = weight.size() / out;
  for (std::size_t i = 0; i < inner.size(); ++i) {
    if (!inner[i]) continue;
    const auto& term = *weight.low_rank()[i];
    const std::size_t rank = term.a.shape()[0];
    const auto scale = term.row_scale(gamma);
    const Scalar* from = dy + term.first;
    if (term.b.trainable() || dgamma) {
      const auto db = tape.memory(term.rows * rank);
      G::weight_gradient(e, from, out, inner[i]->data(), rank, m, term.rows, rank, db->data(), false);
      if (dgamma) {
        std::vector<Scalar> dots(term.rows);
        G::scale_rows_and_dots(e, term.b.packed(), db->data(), nullptr, nullptr, false, dots.data());
        for (std::size_t n = 0; n < term.rows; ++n) dgamma[term.first + n] += static_cast<Scalar>(term.scale) * dots[n];
      }
      if (term.b.trainable())
        term.b.gradient().add([&](Scalar* to, bool add) {
          G::scale_rows_and_dots(e, term.b.packed(), db->data(), scale.data(), to, add, nullptr);
        });
    }
    if (!term.a.trainable() && !dx) continue;
    const auto t = tape.memory(m * rank);
    G::input_gradient(e, from, out, m, term.b.packed(), scale.data(), t->data(), rank, false);
    if (term.a.trainable()) {
      const auto seen = dropped(tape, term, x.open(e));
      term.a.gradient().add([&](Scalar* to, bool add) {
        G::weight_gradient(e, t->data(), rank, seen->data(), in, m, rank, in, to, add);
      });
    }
    if (dx) {
      dx->add([&](Scalar* to, bool add) {
        if (term.dropout <= 0) return G::input_gradient(e, t->data(), rank, m, term.a.packed(), nullptr, to, in, add);
        const auto all = tape.memory(m * in);
        G::input_gradient(e, t->data(), rank, m, term.a.packed(), nullptr, all->data(), in, false);
        G::dropout(e, all->data(), to, m * in, term.dropout, tape.options.seed, term.stream, add);
      });
    }
  }
}

/// Adds the sum of the rows of dy (m, n) to a parameter's gradient.
template <class B, class Bias>
void add_column_sums(Tape<B>& tape, const typename B::Scalar* dy, std::size_t m, std::size_t n, const Bias& bias) {
  bias.gradient().add([&](typename B::Scalar* to, bool add) {
    if (!add) std::fill_n(to, n, typename B::Scalar(0));
    backend::Gradients<B>::column_sums(tape.executor, dy, n, m, n, to);
  });
}

}  // namespace detail

template <std::size_t Out, class B, std::size_t In, class Weight, class Bias>
Variable<B, dyn, dyn, Out> linear(Tape<B>& tape, const Variable<B, dyn, dyn, In>& x, const Weight& weight,
                                  const Bias& bias) {
  using Scalar = typename B::Scalar;
  const std::size_t m = x.rows();
  auto y = tape.template make<dyn, dyn, Out>({x.extent(0), x.extent(1), Out});
  B::linear(tape.executor, x.data(), m, weight.packed(), bias.data(), y.data());
  auto inner = detail::low_rank_forward<B>(tape, x.memory(), m, weight, nullptr, y.data(), Out);
  if (!x.needs_gradient() && !detail::trains(weight, bias) && !detail::low_rank_trains(weight)) return y;
  tape.record(y, [dx = x.slot(), kept = detail::needs_input(weight) ? x.keep() : Kept<B>{}, inner = std::move(inner), m,
                  &weight, &bias](Tape<B>& back, Slot<B>& dy) {
    using G = backend::Gradients<B>;
    if (bias.trainable()) detail::add_column_sums<B>(back, dy.data(), m, Out, bias);
    if (weight.trainable()) {
      const auto seen = kept.open(back.executor);
      weight.gradient().add([&](Scalar* to, bool add) {
        G::weight_gradient(back.executor, dy.data(), Out, seen->data(), In, m, Out, In, to, add);
      });
    }
    if (dx)
      dx->add([&](Scalar* to, bool add) {
        back.input_gradient(dy.data(), m, weight, static_cast<const Bias*>(nullptr), to, add);
      });
    detail::low_rank_backward<B>(back, dy.data(), m, Out, kept, weight, nullptr, inner, dx.get(), nullptr);
  });
  return y;
}

}  // namespace vitals::inline v0::ops
