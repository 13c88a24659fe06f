// The products of a Linear on a tape: W's, and those of its low-rank terms (LoRA). A term adds s u B^T to y, u = x A^T; backward,
// with dy (M, Out):
//
//   t = s dy B        dx += t A        dB = s dy^T u        dA = t^T x
//
// The terms of a weight go as one, A over each other and B side by side, in one go with W's product: x and dy are read once, y and
// dx written once. Where they cannot (joins), each makes products of its own.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include <vitals/autograd/recording.hpp>

namespace vitals::inline v0::nn {
template <backend::Backend B>
struct LowRank;  // parameter.hpp
}  // namespace vitals::inline v0::nn

namespace vitals::inline v0::ops::detail {

/// What the terms of a weight that are not merged keep of a forward pass.
template <class B>
struct KeptTerms {
  struct Term {
    std::shared_ptr<const nn::LowRank<B>> term;
    std::shared_ptr<const Memory<B>> u;  // (m, rank) from u->data() + at on, row stride ld
    std::size_t at, ld;
  };
  std::vector<Term> terms;
  bool joined = false;  // all in one u
};

/// Whether the terms of a weight that are not merged can go as one: of one scale, none drops numbers of x.
template <class B, class Weight>
bool joins(const Weight& weight) {
  const nn::LowRank<B>* first = nullptr;
  for (const auto& term : weight.low_rank()) {
    if (term->merged) continue;
    if (!first) first = term.get();
    if (term->dropout > 0 || term->scale != first->scale) return false;
  }
  return first && backend::HasProductWithLowRank<B>;
}

/// Room for what the terms of a weight keep of m rows.
template <class B, class Weight>
KeptTerms<B> kept_terms(Tape<B>& tape, const Weight& weight, std::size_t m) {
  KeptTerms<B> kept;
  kept.joined = joins<B>(weight);
  std::size_t ranks = 0;
  for (const auto& term : weight.low_rank()) {
    if (term->merged) continue;
    kept.terms.push_back({term, nullptr, ranks, 0});
    ranks += term->a.shape()[0];
  }
  const auto all = kept.joined ? tape.memory(m * ranks) : nullptr;
  for (auto& [term, u, at, ld] : kept.terms) {
    ld = kept.joined ? ranks : term->a.shape()[0];
    if (!kept.joined) at = 0;
    u = kept.joined ? all : tape.memory(m * ld);
  }
  return kept;
}

/// Terms that go as one: A (rank, in), and B (out, rank) with zeros where a term does not cover a row.
template <class B>
struct JoinedTerms {
  using Scalar = typename B::Scalar;

  JoinedTerms(Tape<B>& tape, const KeptTerms<B>& kept, std::size_t out, std::size_t in, const Scalar* gamma)
      : rank(kept.terms.front().ld), a(tape.memory(rank * in)), b(tape.memory(out * rank)), scale(out) {
    using G = backend::Gradients<B>;
    const auto s = static_cast<Scalar>(kept.terms.front().term->scale);
    for (std::size_t i = 0; i < out; ++i) scale[i] = s * (gamma ? gamma[i] : Scalar(1));
    std::fill_n(b->data(), out * rank, Scalar(0));
    for (const auto& [term, u, at, ld] : kept.terms) {
      const std::size_t own = term->a.shape()[0];
      const auto rows = tape.memory(term->rows * own);
      G::unpack(tape.executor, term->a.packed(), a->data() + at * in);
      G::unpack(tape.executor, term->b.packed(), rows->data());
      for (std::size_t i = 0; i < term->rows; ++i)
        std::copy_n(rows->data() + i * own, own, b->data() + (term->first + i) * rank + at);
    }
  }
  backend::LowRankPart<Scalar> forward(Scalar* u) const { return {rank, a->data(), b->data(), scale.data(), u}; }
  /// t = dy diag(scale) B and dx += t A.
  backend::LowRankPart<Scalar> backward(Scalar* t) {
    for (std::size_t i = 0; i < scale.size(); ++i)
      for (std::size_t r = 0; r < rank; ++r) b->data()[i * rank + r] *= scale[i];
    return {rank, b->data(), a->data(), nullptr, t, true};
  }

  std::size_t rank;
  std::shared_ptr<Memory<B>> a, b;
  std::vector<Scalar> scale;  // (out): the terms' times gamma
};

/// x with numbers dropped, as a term sees it on this tape; x itself where it drops none.
template <class B, class Term>
std::shared_ptr<const Memory<B>> dropped(Tape<B>& tape, const Term& term, const std::shared_ptr<const Memory<B>>& x) {
  if (term.dropout <= 0) return x;
  auto some = tape.memory(x->size());
  backend::Gradients<B>::dropout(tape.executor, x->data(), some->data(), x->size(), term.dropout, tape.options.seed,
                                 term.stream, false);
  return some;
}

/// y (m, out) = x (m, in) W^T + bias, or, where gamma is not null, y += gamma * (x W^T + bias), W with its low-rank terms.
template <class B, class Weight>
KeptTerms<B> linear_forward(Tape<B>& tape, const std::shared_ptr<const Memory<B>>& x, std::size_t m, const Weight& weight,
                            const typename B::Scalar* bias, const typename B::Scalar* gamma, typename B::Scalar* y) {
  auto& e = tape.executor;
  const std::size_t out = weight.shape()[0], in = weight.size() / out;
  auto kept = kept_terms<B>(tape, weight, m);
  if constexpr (backend::HasProductWithLowRank<B>)
    if (kept.joined) {
      const JoinedTerms<B> joined(tape, kept, out, in, gamma);
      backend::Gradients<B>::product_with_low_rank(e, x->data(), m, weight.packed(), bias, gamma, y, gamma != nullptr,
                                                   joined.forward(kept.terms.front().u->data()));
      return kept;
    }
  if (gamma)
    B::linear_scale_add(e, x->data(), m, weight.packed(), bias, gamma, y);
  else
    B::linear(e, x->data(), m, weight.packed(), bias, y);
  for (const auto& [term, u, at, ld] : kept.terms) {
    B::linear(e, dropped(tape, *term, x)->data(), m, term->a.packed(), nullptr, u->data());
    B::linear_add(e, u->data(), m, term->b.packed(), term->row_scale(gamma).data(), y + term->first, out);
  }
  return kept;
}

/// Adds to the gradient of a term's B; dgamma, where not null, gets the term's part.
template <class B>
void add_b_gradient(Tape<B>& tape, const typename B::Scalar* dy, std::size_t m, std::size_t out,
                    const typename KeptTerms<B>::Term& kept, const typename B::Scalar* gamma, typename B::Scalar* dgamma) {
  using Scalar = typename B::Scalar;
  using G = backend::Gradients<B>;
  auto& e = tape.executor;
  const auto& term = *kept.term;
  if (!term.b.trainable() && !dgamma) return;
  const std::size_t rank = term.a.shape()[0], rows = term.rows;
  const auto turned = tape.memory(rank * rows), db = tape.memory(rows * rank);
  // dB^T, for the few columns of u fill a tile where as a panel they would not.
  G::weight_gradient(e, kept.u->data() + kept.at, kept.ld, dy + term.first, out, m, rank, rows, turned->data(), false);
  parallel_for(e, rows, 256, [&](std::size_t begin, std::size_t end) {
    for (std::size_t r = 0; r < rank; ++r)
      for (std::size_t n = begin; n < end; ++n) db->data()[n * rank + r] = turned->data()[r * rows + n];
  });
  if (dgamma) {
    std::vector<Scalar> dots(rows);
    G::scale_rows_and_dots(e, term.b.packed(), db->data(), nullptr, nullptr, false, dots.data());
    for (std::size_t n = 0; n < rows; ++n) dgamma[term.first + n] += static_cast<Scalar>(term.scale) * dots[n];
  }
  if (term.b.trainable())
    term.b.gradient().add([&](Scalar* to, bool add) {
      G::scale_rows_and_dots(e, term.b.packed(), db->data(), term.row_scale(gamma).data(), to, add, nullptr);
    });
}

/// dx and the gradients of A where the terms go as one.
template <class B, class Weight, class Gamma>
void joined_backward(Tape<B>& tape, const typename B::Scalar* dy, std::size_t m, const Kept<B>& x, const Weight& weight,
                     const Gamma* gamma, const KeptTerms<B>& kept, Slot<B>* dx) {
  using Scalar = typename B::Scalar;
  using G = backend::Gradients<B>;
  auto& e = tape.executor;
  const std::size_t out = weight.shape()[0], in = weight.size() / out, rank = kept.terms.front().ld;
  const Scalar* factors = gamma ? gamma->data() : nullptr;
  const auto t = tape.memory(m * rank);
  if (dx) {
    JoinedTerms<B> joined(tape, kept, out, in, factors);
    const auto part = joined.backward(t->data());
    dx->add([&](Scalar* to, bool add) { tape.input_gradient(dy, m, weight, gamma, to, add, &part); });
  } else {
    for (const auto& [term, u, at, ld] : kept.terms)
      G::input_gradient(e, dy + term->first, out, m, term->b.packed(), term->row_scale(factors).data(), t->data() + at, rank,
                        false);
  }
  if (std::none_of(kept.terms.begin(), kept.terms.end(), [](const auto& some) { return some.term->a.trainable(); })) return;
  const auto da = tape.memory(rank * in);
  G::weight_gradient(e, t->data(), rank, x.open(e)->data(), in, m, rank, in, da->data(), false);
  for (const auto& [term, u, at, ld] : kept.terms)
    if (term->a.trainable()) {
      const Scalar* from = da->data() + at * in;
      const std::size_t n = term->a.size();
      term->a.gradient().add([&](Scalar* to, bool add) {
        if (add) G::add_scaled(e, from, Scalar(1), to, n);
        else B::copy(from, n, to);
      });
    }
}

/// What a term that goes by itself adds to dx and to the gradient of its A.
template <class B>
void separate_backward(Tape<B>& tape, const typename B::Scalar* dy, std::size_t m, std::size_t out, const Kept<B>& x,
                       const nn::LowRank<B>& term, const typename B::Scalar* gamma, Slot<B>* dx) {
  using Scalar = typename B::Scalar;
  using G = backend::Gradients<B>;
  auto& e = tape.executor;
  const std::size_t rank = term.a.shape()[0], in = term.a.shape()[1];
  if (!term.a.trainable() && !dx) return;
  const auto t = tape.memory(m * rank);
  G::input_gradient(e, dy + term.first, out, m, term.b.packed(), term.row_scale(gamma).data(), t->data(), rank, false);
  if (term.a.trainable()) {
    const auto seen = dropped(tape, term, x.open(e));
    term.a.gradient().add([&](Scalar* to, bool add) {
      G::weight_gradient(e, t->data(), rank, seen->data(), in, m, rank, in, to, add);
    });
  }
  if (!dx) return;
  dx->add([&](Scalar* to, bool add) {
    if (term.dropout <= 0) return G::input_gradient(e, t->data(), rank, m, term.a.packed(), nullptr, to, in, add);
    const auto all = tape.memory(m * in);
    G::input_gradient(e, t->data(), rank, m, term.a.packed(), nullptr, all->data(), in, false);
    G::dropout(e, all->data(), to, m * in, term.dropout, tape.options.seed, term.stream, add);
  });
}

/// From dy (m, out): dx, where not null, and the gradients of the low-rank terms; dgamma, where not null, gets their part. gamma
/// may be null.
template <class B, class Weight, class Gamma>
void linear_backward(Tape<B>& tape, const typename B::Scalar* dy, std::size_t m, const Kept<B>& x, const Weight& weight,
                     const Gamma* gamma, const KeptTerms<B>& kept, Slot<B>* dx, typename B::Scalar* dgamma) {
  using Scalar = typename B::Scalar;
  const std::size_t out = weight.shape()[0];
  const Scalar* factors = gamma ? gamma->data() : nullptr;
  for (const auto& term : kept.terms) add_b_gradient<B>(tape, dy, m, out, term, factors, dgamma);
  if (kept.joined) return joined_backward<B>(tape, dy, m, x, weight, gamma, kept, dx);
  if (dx) dx->add([&](Scalar* to, bool add) { tape.input_gradient(dy, m, weight, gamma, to, add); });
  for (const auto& some : kept.terms) separate_backward<B>(tape, dy, m, out, x, *some.term, factors, dx);
}

}  // namespace vitals::inline v0::ops::detail
