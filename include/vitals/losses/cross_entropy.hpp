// Losses of a classifier on a tape: cross entropy for one label of several, binary cross entropy with logits for many
// labels. Goodfellow, Bengio, Courville, "Deep Learning", 2016, section 6.2.2.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <vitals/autograd/tape.hpp>
#include <vitals/core/error.hpp>

namespace vitals::inline v0::losses {

namespace detail {

/// Loss and gradient are small and made on the host; the gradient waits on the tape.
template <class B, std::size_t... E>
Variable<B, dyn> loss_of(const Variable<B, E...>& logits, double value, std::shared_ptr<const Memory<B>> gradient) {
  using Scalar = typename B::Scalar;
  auto& tape = logits.tape();
  auto loss = tape.template make<dyn>({1});
  loss.data()[0] = static_cast<Scalar>(value);
  if (!logits.needs_gradient()) return loss;
  tape.record(loss, [dx = logits.slot(), gradient = std::move(gradient)](Tape<B>& back, Slot<B>& dy) {
    dx->add([&](Scalar* to, bool add) {
      if (!add) std::fill_n(to, gradient->size(), Scalar(0));
      backend::Gradients<B>::add_scaled(back.executor, gradient->data(), dy.data()[0], to, gradient->size());
    });
  });
  return loss;
}

}  // namespace detail

/// logits (B, N, K), labels B * N numbers in [0, K): the mean of -log softmax(logits)[label], one number.
/// Throws ShapeError (their number), DataError (a label outside, with its row).
template <class B, std::size_t K>
Variable<B, dyn> cross_entropy(const Variable<B, dyn, dyn, K>& logits, std::span<const std::size_t> labels) {
  using Scalar = typename B::Scalar;
  const std::size_t rows = logits.rows(), classes = logits.extent(2);
  if (labels.size() != rows)
    throw ShapeError("[cross_entropy] " + std::to_string(labels.size()) + " labels for logits " +
                     to_string(logits.shape()));
  auto gradient = logits.tape().memory(logits.size());
  double total = 0;
  for (std::size_t r = 0; r < rows; ++r) {
    if (labels[r] >= classes)
      throw DataError("[cross_entropy] label " + std::to_string(labels[r]), "row " + std::to_string(r),
                      "labels run from 0 to " + std::to_string(classes - 1));
    const Scalar* z = logits.data() + r * classes;
    Scalar* g = gradient->data() + r * classes;
    const double top = static_cast<double>(*std::max_element(z, z + classes));
    double sum = 0;
    for (std::size_t k = 0; k < classes; ++k) sum += std::exp(static_cast<double>(z[k]) - top);
    for (std::size_t k = 0; k < classes; ++k) {
      const double p = std::exp(static_cast<double>(z[k]) - top) / sum;
      g[k] = static_cast<Scalar>((p - (k == labels[r])) / static_cast<double>(rows));
    }
    total += std::log(sum) + top - static_cast<double>(z[labels[r]]);
  }
  return detail::loss_of<B>(logits, total / static_cast<double>(rows), std::move(gradient));
}

/// logits (B, N, K), targets B * N * K numbers in [0, 1]: the mean over all of -t log s(z) - (1 - t) log(1 - s(z)).
/// Throws ShapeError where their numbers differ.
template <class B, std::size_t K>
Variable<B, dyn> binary_cross_entropy(const Variable<B, dyn, dyn, K>& logits, std::span<const float> targets) {
  using Scalar = typename B::Scalar;
  const std::size_t n = logits.size();
  if (targets.size() != n)
    throw ShapeError("[binary_cross_entropy] " + std::to_string(targets.size()) + " targets for logits " +
                     to_string(logits.shape()));
  auto gradient = logits.tape().memory(n);
  double total = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double z = static_cast<double>(logits.data()[i]), t = static_cast<double>(targets[i]);
    total += std::max(z, 0.0) - z * t + std::log1p(std::exp(-std::abs(z)));
    gradient->data()[i] = static_cast<Scalar>((1 / (1 + std::exp(-z)) - t) / static_cast<double>(n));
  }
  return detail::loss_of<B>(logits, total / static_cast<double>(n), std::move(gradient));
}

}  // namespace vitals::inline v0::losses
