// Linear: y = x W^T + b.
#pragma once

#include <cstddef>
#include <cstdint>

#include <vitals/autograd/eval.hpp>
#include <vitals/nn/module.hpp>
#include <vitals/nn/parameter.hpp>

namespace vitals::inline v0::nn {

template <std::size_t In, std::size_t Out, backend::Backend B>
struct Linear {
  using Backend = B;

  Weight<B, Out, In> weight;
  Parameter<B, Out> bias;

  Linear() = default;
  /// Random weights (deviation 0.02, cut at two) and zero bias.
  explicit Linear(std::uint64_t seed, Executor& executor = default_pool()) {
    initialize<B>(parameters<B>(*this), seed, executor);
  }

  template <class Self, class Visit>
  static void members(Self& self, Visit&& visit) {
    visit("weight", self.weight);
    visit("bias", self.bias);
  }

  /// x (B, N, In) -> (B, N, Out), inside a forward pass.
  template <class Ctx>
  auto operator()(Ctx& ctx, const typename Ctx::template Value<dyn, dyn, In>& x) const {
    return ops::linear<Out>(ctx, x, weight, bias);
  }

  /// On what a tape has recorded: head(model(tape, pixels).cls), (B, N, In) -> (B, N, Out).
  template <std::size_t Width>
  auto operator()(const Variable<B, dyn, dyn, Width>& x) const {
    static_assert(Width == In, "Linear: the width of the features is not the width this head was declared with");
    return (*this)(x.tape(), x);
  }

  /// A head on features: x (B, In) -> (B, Out) on the host. A feature of another width does not compile.
  template <std::size_t Width>
  Tensor<float, dyn, Out> operator()(const Tensor<float, dyn, Width>& x) const {
    static_assert(Width == In, "Linear: the width of the features is not the width this head was declared with");
    Workspace<B> workspace;
    Eval<B> ctx(default_pool(), workspace);
    auto input = ctx.template make<dyn, dyn, In>({1, x.extent(0), In});
    B::upload(x.data(), x.size(), input.data());
    const auto y = (*this)(ctx, input);
    Tensor<float, dyn, Out> out({x.extent(0), Out});
    B::download(y.data(), y.size(), out.data());
    return out;
  }
};

}  // namespace vitals::inline v0::nn
