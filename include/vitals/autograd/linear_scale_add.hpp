// The end of a residual branch on a tape: y = r + gamma * (x W^T + b), LayerScale and all. Backward, with dy (M, Out) and
// G = dy^T x (Out, In):
//
//   dr = dy, passed on without a copy        dx = dy diag(gamma) W
//   dW = diag(gamma) G                       db = gamma * sum of dy
//   dgamma = rowsum(W * G) + b * sum of dy   (the branch itself is not kept: sum over m of dy (x W^T) is W * G)
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include <vitals/autograd/linear.hpp>
#include <vitals/autograd/recording.hpp>

namespace vitals::inline v0::ops {

namespace detail {

/// A value that starts with the numbers of a residual: in their place where nobody else holds them.
template <class B, std::size_t D>
Variable<B, dyn, dyn, D> on_residual(Tape<B>& tape, Variable<B, dyn, dyn, D> residual) {
  if (residual.sole()) return Variable<B, dyn, dyn, D>(tape, residual.memory(), residual.shape());
  auto y = tape.template make<dyn, dyn, D>(residual.shape());
  parallel_for(tape.executor, y.size(), 16384, [&](std::size_t begin, std::size_t end) {
    B::copy(residual.data() + begin, end - begin, y.data() + begin);
  });
  return y;
}

/// Adds to the gradients of W (Out, In), b and gamma in y = r + gamma * (x W^T + b), from the sum of dy's rows (Out), needed where b
/// or gamma trains, and G = dy^T x (Out, In), needed where W or gamma does. dgamma: sums_of gamma.
template <class B, class Weight, class Bias, class Gamma>
void scale_add_gradients(Tape<B>& tape, const std::vector<typename B::Scalar>& sums, const Memory<B>* product,
                         const Weight& weight, const Bias& bias, const Gamma& gamma, typename B::Scalar* dgamma) {
  using Scalar = typename B::Scalar;
  if (Scalar* db = sums_of<B>(bias))
    for (std::size_t i = 0; i < sums.size(); ++i) db[i] += gamma.data()[i] * sums[i];
  if (dgamma)
    for (std::size_t i = 0; i < sums.size(); ++i) dgamma[i] += bias.data()[i] * sums[i];
  if (!product) return;
  const auto finish = [&](Scalar* dw, bool add) {
    backend::Gradients<B>::scale_rows_and_dots(tape.executor, weight.packed(), product->data(), gamma.data(), dw, add, dgamma);
  };
  if (weight.trainable()) weight.gradient().add(finish);
  else finish(nullptr, false);
}

}  // namespace detail

template <class B, std::size_t Out, std::size_t In, class Weight, class Bias, class Gamma>
Variable<B, dyn, dyn, Out> linear_scale_add(Tape<B>& tape, Variable<B, dyn, dyn, Out> residual,
                                            const Variable<B, dyn, dyn, In>& x, const Weight& weight, const Bias& bias,
                                            const Gamma& gamma) {
  using Scalar = typename B::Scalar;
  const std::size_t m = x.rows();
  const auto slot = residual.slot();
  auto y = detail::on_residual(tape, std::move(residual));
  auto terms = detail::linear_forward<B>(tape, x.memory(), m, weight, bias.data(), gamma.data(), y.data());
  if (!x.needs_gradient() && !slot && !detail::trains(weight, bias, gamma) && !detail::low_rank_trains(weight))
    return y;
  const bool wants_input = gamma.trainable() || detail::needs_input(weight);
  tape.record(y, [dx = x.slot(), slot, kept = wants_input ? x.keep() : Kept<B>{}, terms = std::move(terms), m, &weight,
                  &bias, &gamma](Tape<B>& back, Slot<B>& dy) {
    std::vector<Scalar> sums(detail::trains(bias, gamma) ? Out : 0);
    std::shared_ptr<Memory<B>> product;
    if (detail::trains(weight, gamma)) {
      product = back.memory(Out * In);
      backend::Gradients<B>::weight_gradient(back.executor, dy.data(), Out, kept.open(back.executor)->data(), In, m, Out, In,
                                             product->data(), false, sums.empty() ? nullptr : sums.data());
    } else if (bias.trainable()) {
      backend::Gradients<B>::column_sums(back.executor, dy.data(), Out, m, Out, sums.data());
    }
    Scalar* const dgamma = detail::sums_of<B>(gamma);
    detail::scale_add_gradients<B>(back, sums, product.get(), weight, bias, gamma, dgamma);
    product.reset();
    detail::linear_backward<B>(back, dy.data(), m, kept, weight, &gamma, terms, dx.get(), dgamma);
    if (slot) back.pass_on(dy, *slot);
  });
  return y;
}

}  // namespace vitals::inline v0::ops
