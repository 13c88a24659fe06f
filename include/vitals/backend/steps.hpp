// One step of an optimiser for one number, as the numbers that all of a parameter's numbers share. What a backend's kernels
// take; train/ fills them in, in double.
#pragma once

namespace vitals::inline v0::backend {

/// torch.optim.SGD: g = gradient_scale * gradient + weight_decay * w; m = momentum * m + g (`first`: m = g);
/// w -= lr * (nesterov ? g + momentum * m : m), or lr * g without momentum.
template <class T>
struct SgdStep {
  T lr = 0, momentum = 0, weight_decay = 0, gradient_scale = 1;
  bool nesterov = false, first = false;
};

/// torch.optim.AdamW (Loshchilov, Hutter, arXiv 1711.05101): g = gradient_scale * gradient; m = beta1 m + rest1 g;
/// v = beta2 v + rest2 g^2; w = keep w - rate m / (root sqrt(v) + eps), where rest = 1 - beta, keep = 1 - lr * decay,
/// rate = lr / (1 - beta1^step), root = 1 / sqrt(1 - beta2^step).
template <class T>
struct AdamWStep {
  T beta1 = 0, rest1 = 0, beta2 = 0, rest2 = 0, keep = 1, rate = 0, root = 1, eps = 0, gradient_scale = 1;
};

}  // namespace vitals::inline v0::backend
