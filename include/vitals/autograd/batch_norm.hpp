// Batch norm of maps on a tape, alone or with the ReLU behind it: y = h gamma + beta with h = (x - mean) / sqrt(variance + eps), mean
// and biased variance of each channel over batch and pixels, or given. Ioffe, Szegedy, arXiv 1502.03167. Backward, with M pixels and
// dy counting where y > 0 if there is a ReLU:
//
//   dbeta = sum of dy,  dgamma = sum of dy h,  dx = gamma / deviation (dy - dbeta / M - h dgamma / M)
//
// and gamma / deviation dy where the statistics are given. Kept is x; y can be made again.
#pragma once

#include <cmath>
#include <cstddef>
#include <memory>
#include <vector>

#include <vitals/autograd/linear.hpp>
#include <vitals/autograd/map.hpp>

namespace vitals::inline v0::ops {

struct BatchNormOptions {
  bool of_batch = true;  ///< statistics of the batch, towards which the running ones move; false: the running ones
  bool relu = false;     ///< the positive part of the result
  double eps = 1e-5;
  double momentum = 0.1;  ///< running = (1 - momentum) running + momentum of the batch (variance unbiased)
};

/// x (B, h, w, C); gamma, beta, running mean and variance (C).
template <class B, class Vector>
Map<B> batch_norm(Tape<B>& tape, const Map<B>& x, const Vector& gamma, const Vector& beta, Vector& running_mean,
                  Vector& running_var, const BatchNormOptions& options) {
  using Scalar = typename B::Scalar;
  using S = backend::Spatial<B>;
  const std::size_t rows = x.rows(), n = x.extent(3);
  if (gamma.size() != n)
    throw ShapeError("[batch_norm] " + std::to_string(gamma.size()) + " channels of a map " + to_string(x.shape()));
  struct Columns {
    std::vector<Scalar> mean, inverse, scale, shift;  // inverse: 1 / deviation
  };
  auto columns = std::make_shared<Columns>();
  auto& [mean, inverse, scale, shift] = *columns;
  std::vector<Scalar> variance(n);
  mean.resize(n);
  if (options.of_batch) {
    S::column_moments(tape.executor, x.data(), rows, n, mean.data(), variance.data());
    const double keep = 1 - options.momentum, unbiased = static_cast<double>(rows) / std::max(1.0, double(rows) - 1);
    const auto move = [&](Vector& running, const std::vector<Scalar>& now, double factor) {
      running.update(tape.executor, [&](Scalar* to, std::size_t begin, std::size_t count) {
        for (std::size_t i = 0; i < count; ++i)
          to[i] = static_cast<Scalar>(keep * static_cast<double>(to[i]) +
                                      options.momentum * factor * static_cast<double>(now[begin + i]));
      });
    };
    move(running_mean, mean, 1);
    move(running_var, variance, unbiased);
  } else {
    std::copy_n(running_mean.data(), n, mean.data());
    std::copy_n(running_var.data(), n, variance.data());
  }
  for (std::size_t i = 0; i < n; ++i) {
    inverse.push_back(static_cast<Scalar>(1 / std::sqrt(static_cast<double>(variance[i]) + options.eps)));
    scale.push_back(gamma.data()[i] * inverse[i]);
    shift.push_back(beta.data()[i] - mean[i] * scale[i]);
  }
  auto y = tape.template make<dyn, dyn, dyn, dyn>(x.shape());
  S::scale_shift(tape.executor, x.data(), rows, n, scale.data(), shift.data(), options.relu, y.data());
  if (!x.needs_gradient() && !detail::trains(gamma, beta)) return y;
  y.set_recipe([kept = x.keep(), columns, rows, n, relu = options.relu](Executor& executor, Scalar* to) {
    S::scale_shift(executor, kept.open(executor)->data(), rows, n, columns->scale.data(), columns->shift.data(), relu,
                   to);
  });
  tape.record(y,
              [dx = x.slot(), kept = x.keep(), columns, rows, n, options, &gamma, &beta](Tape<B>& back, Slot<B>& dy) {
                const auto seen = kept.open(back.executor);
                const auto& c = *columns;
                std::vector<Scalar> sums(n), dots(n);
                S::norm_sums(back.executor, seen->data(), dy.data(), rows, n, c.scale.data(), c.shift.data(),
                             c.mean.data(), options.relu, sums.data(), dots.data());
                if (Scalar* dbeta = detail::sums_of<B>(beta))
                  for (std::size_t i = 0; i < n; ++i) dbeta[i] += sums[i];
                if (Scalar* dgamma = detail::sums_of<B>(gamma))
                  for (std::size_t i = 0; i < n; ++i) dgamma[i] += dots[i] * c.inverse[i];
                if (!dx) return;
                const Scalar share = options.of_batch ? Scalar(1) / static_cast<Scalar>(rows) : Scalar(0);
                for (std::size_t i = 0; i < n; ++i) {
                  sums[i] *= share;
                  dots[i] *= share * c.inverse[i] * c.inverse[i];
                }
                S::norm_backward(back.executor, seen->data(), dy.data(), rows, n, c.scale.data(), c.shift.data(),
                                 c.mean.data(), sums.data(), dots.data(), options.relu, false, dy.data());
                back.pass_on(dy, *dx);
              });
  return y;
}

}  // namespace vitals::inline v0::ops
