// Eval<Backend>: the context in which a forward pass runs at once, keeps nothing and reuses its buffers. A layer is
// written once against the functions in `ops`, each of which has an overload for every context.
//
// A value inside a context is an Activation: (B, N, D) in the backend's memory, its width part of the type.
#pragma once

#include <array>
#include <cstddef>
#include <type_traits>
#include <utility>
#include <vector>

#include <vitals/autograd/tape_operations.hpp>
#include <vitals/backend/concept.hpp>
#include <vitals/core/parallel.hpp>
#include <vitals/core/tensor.hpp>

namespace vitals::inline v0 {

/// Buffers of finished activations, ready for the next ones of a fitting size. One thread uses it at a time.
template <backend::Backend B>
class Workspace {
 public:
  using Buffer = typename B::Buffer;

  /// The smallest free buffer that holds n numbers, else a new one.
  Buffer take(std::size_t n) {
    std::size_t best = free_.size();
    for (std::size_t i = 0; i < free_.size(); ++i)
      if (free_[i].size() >= n && (best == free_.size() || free_[i].size() < free_[best].size())) best = i;
    if (best == free_.size()) return Buffer(n);
    Buffer buffer = std::move(free_[best]);
    free_.erase(free_.begin() + static_cast<std::ptrdiff_t>(best));
    return buffer;
  }
  void give(Buffer buffer) {
    if (buffer.size()) free_.push_back(std::move(buffer));
  }

 private:
  std::vector<Buffer> free_;
};

/// A tensor of a running forward pass; its memory goes back to the workspace when it ends. Movable only.
template <backend::Backend B, std::size_t... E>
class Activation {
 public:
  using Scalar = typename B::Scalar;
  static constexpr std::size_t rank = sizeof...(E);

  Activation(Workspace<B>& workspace, const std::array<std::size_t, rank>& shape)
      : workspace_(&workspace), extents_(shape), buffer_(workspace.take(extents_.size())) {}
  Activation(Activation&& other) noexcept
      : workspace_(std::exchange(other.workspace_, nullptr)),
        extents_(other.extents_),
        buffer_(std::move(other.buffer_)) {}
  Activation& operator=(Activation&& other) noexcept {
    std::swap(workspace_, other.workspace_);
    std::swap(extents_, other.extents_);
    std::swap(buffer_, other.buffer_);
    return *this;
  }
  ~Activation() {
    if (workspace_) workspace_->give(std::move(buffer_));
  }

  Scalar* data() { return buffer_.data(); }
  const Scalar* data() const { return buffer_.data(); }
  const std::array<std::size_t, rank>& shape() const { return extents_.values(); }
  std::size_t extent(std::size_t i) const { return extents_[i]; }
  std::size_t size() const { return extents_.size(); }
  /// All extents but the last, multiplied.
  std::size_t rows() const { return size() / extents_[rank - 1]; }

 private:
  Workspace<B>* workspace_;
  Extents<E...> extents_;
  typename B::Buffer buffer_;
};

/// Runs operations at once on an executor, with memory from a workspace.
template <backend::Backend B>
class Eval {
 public:
  using Backend = B;
  using Scalar = typename B::Scalar;
  template <std::size_t... E>
  using Value = Activation<B, E...>;

  Eval(Executor& executor, Workspace<B>& workspace) : executor(executor), workspace(workspace) {}

  /// Contents undefined until written.
  template <std::size_t... E>
  Value<E...> make(const std::array<std::size_t, sizeof...(E)>& shape) {
    return Value<E...>(workspace, shape);
  }

  Executor& executor;
  Workspace<B>& workspace;
  Scalar* probabilities = nullptr;  ///< where the next attention writes its (B, H, Q, N), if anywhere
};

namespace ops {

namespace detail {

/// y (m, out) += the low-rank terms of a weight, each times gamma where that is not null.
template <class B, class Weight>
void add_low_rank(Executor& executor, const typename B::Scalar* x, std::size_t m, const Weight& weight,
                  const typename B::Scalar* gamma, typename B::Scalar* y, std::size_t ldy) {
  for (const auto& term : weight.low_rank()) {
    if (term->merged) continue;
    typename B::Buffer inner(m * term->a.shape()[0]);
    const auto scale = term->row_scale(gamma);
    B::linear(executor, x, m, term->a.packed(), nullptr, inner.data());
    B::linear_add(executor, inner.data(), m, term->b.packed(), scale.data(), y + term->first, ldy);
  }
}

}  // namespace detail

/// x (B, N, In) W^T + b -> (B, N, Out)
template <std::size_t Out, class B, std::size_t In, class Weight, class Bias>
auto linear(Eval<B>& ctx, const Activation<B, dyn, dyn, In>& x, const Weight& weight, const Bias& bias) {
  auto y = ctx.template make<dyn, dyn, Out>({x.extent(0), x.extent(1), Out});
  B::linear(ctx.executor, x.data(), x.rows(), weight.packed(), bias.data(), y.data());
  detail::add_low_rank<B>(ctx.executor, x.data(), x.rows(), weight, nullptr, y.data(), Out);
  return y;
}

/// GELU(x W^T + b)
template <std::size_t Out, class B, std::size_t In, class Weight, class Bias>
auto linear_gelu(Eval<B>& ctx, const Activation<B, dyn, dyn, In>& x, const Weight& weight, const Bias& bias) {
  if (weight.has_low_rank()) {
    auto before = linear<Out>(ctx, x, weight, bias);
    B::gelu(ctx.executor, before.data(), before.data(), before.size());
    return before;
  }
  auto y = ctx.template make<dyn, dyn, Out>({x.extent(0), x.extent(1), Out});
  B::linear_gelu(ctx.executor, x.data(), x.rows(), weight.packed(), bias.data(), y.data());
  return y;
}

/// residual + gamma * (x W^T + b); Eval works in place on the residual.
template <class B, std::size_t Out, std::size_t In, class Weight, class Bias, class Gamma>
auto linear_scale_add(Eval<B>& ctx, Activation<B, dyn, dyn, Out> residual, const Activation<B, dyn, dyn, In>& x,
                      const Weight& weight, const Bias& bias, const Gamma& gamma) {
  B::linear_scale_add(ctx.executor, x.data(), x.rows(), weight.packed(), bias.data(), gamma.data(), residual.data());
  detail::add_low_rank<B>(ctx.executor, x.data(), x.rows(), weight, gamma.data(), residual.data(), Out);
  return residual;
}

/// residual + gamma * (GELU(x W1^T + b1) W2^T + b2): the feed-forward part of a block.
template <std::size_t Hidden, class B, std::size_t D, class Weight1, class Bias1, class Weight2, class Bias2, class Gamma>
auto feed_forward(Eval<B>& ctx, Activation<B, dyn, dyn, D> residual, const Activation<B, dyn, dyn, D>& x,
                  const Weight1& w1, const Bias1& b1, const Weight2& w2, const Bias2& b2, const Gamma& gamma) {
  if (w1.has_low_rank() || w2.has_low_rank())
    return linear_scale_add(ctx, std::move(residual), linear_gelu<Hidden>(ctx, x, w1, b1), w2, b2, gamma);
  B::feed_forward(ctx.executor, x.data(), x.rows(), w1.packed(), b1.data(), w2.packed(), b2.data(), gamma.data(),
                  residual.data());
  return residual;
}

/// LayerNorm over the last axis.
template <class B, std::size_t D, class Gamma, class Beta>
auto layer_norm(Eval<B>& ctx, const Activation<B, dyn, dyn, D>& x, const Gamma& gamma, const Beta& beta, double eps) {
  auto y = ctx.template make<dyn, dyn, D>(x.shape());
  B::layer_norm(ctx.executor, x.data(), y.data(), x.rows(), D, gamma.data(), beta.data(),
                static_cast<typename B::Scalar>(eps));
  return y;
}

/// qkv (B, N, 3 D) -> (B, Q, D): softmax(Q K^T / sqrt(D / H)) V for each of H heads, the first Q tokens asking all N.
template <std::size_t Heads, class B, std::size_t D3>
auto attention(Eval<B>& ctx, const Activation<B, dyn, dyn, D3>& qkv, std::size_t queries) {
  auto y = ctx.template make<dyn, dyn, D3 / 3>({qkv.extent(0), queries, D3 / 3});
  B::attention(ctx.executor, qkv.data(), qkv.extent(0), qkv.extent(1), Heads, D3 / 3 / Heads, queries, y.data(),
               std::exchange(ctx.probabilities, nullptr));
  return y;
}

/// (B, N, 2 F) -> (B, N, F): silu(first half) * second half.
template <class B, std::size_t F2>
auto silu_gate(Eval<B>& ctx, const Activation<B, dyn, dyn, F2>& x) {
  auto y = ctx.template make<dyn, dyn, F2 / 2>({x.extent(0), x.extent(1), F2 / 2});
  B::silu_gate(ctx.executor, x.data(), y.data(), x.rows(), F2 / 2);
  return y;
}

/// Square patches of pixels on the host (B, 3, H, W) as rows (B, H/P * W/P, 3 P P).
template <std::size_t P, class B>
auto patches(Eval<B>& ctx, TensorView<const float, dyn, 3, dyn, dyn> pixels) {
  const auto [batch, channels, height, width] = pixels.shape();
  auto rows = ctx.template make<dyn, dyn, 3 * P * P>({batch, (height / P) * (width / P), 3 * P * P});
  if constexpr (std::is_same_v<typename B::Scalar, float> && requires { B::on_host; }) {
    B::patches(ctx.executor, pixels.data(), batch, height, width, P, rows.data());
  } else {
    auto copy = ctx.template make<dyn, 3, dyn, dyn>(pixels.shape());
    B::upload(pixels.data(), pixels.size(), copy.data());
    B::patches(ctx.executor, copy.data(), batch, height, width, P, rows.data());
  }
  return rows;
}

/// Tokens (B, 1 + R + p, D) from patch rows (B, p, D): CLS and patches with their positions (1 + p, D, host), then
/// registers without any. `Positions` also knows the parameter they come from, for a tape.
template <std::size_t R, class B, std::size_t D, class Cls, class Registers, class Positions>
auto assemble_tokens(Eval<B>& ctx, const Activation<B, dyn, dyn, D>& patches, const Cls& cls,
                     const Registers& registers, const Positions& source) {
  const auto positions = source.values();  // (1 + p, D), host
  const std::size_t batch = patches.extent(0), n = patches.extent(1);
  auto tokens = ctx.template make<dyn, dyn, D>({batch, 1 + R + n, D});
  const auto assemble = [&](const typename B::Scalar* where) {
    B::assemble_tokens(ctx.executor, cls.data(), registers.data(), patches.data(), where, batch, R, n, D,
                       tokens.data());
  };
  if constexpr (requires { B::on_host; }) {
    assemble(positions.data());
  } else {
    auto stored = ctx.template make<dyn, D>(positions.shape());
    B::upload(positions.data(), positions.size(), stored.data());
    assemble(stored.data());
  }
  return tokens;
}

/// Tokens first .. first + count of each image: (B, N, D) -> (B, count, D).
template <class B, std::size_t D>
auto take_tokens(Eval<B>& ctx, const Activation<B, dyn, dyn, D>& x, std::size_t first, std::size_t count) {
  auto y = ctx.template make<dyn, dyn, D>({x.extent(0), count, D});
  for (std::size_t b = 0; b < x.extent(0); ++b)
    B::copy(x.data() + (b * x.extent(1) + first) * D, count * D, y.data() + b * count * D);
  return y;
}

/// x + branch, where body(x) adds the branch; a tape may leave it out of some images (drop path).
template <class B, class Body, std::size_t... E>
auto residual_branch(Eval<B>&, Activation<B, E...> x, const BranchPlace&, const Body& body) {
  return body(std::move(x));
}

/// body(ctx, x), which a tape may run again on its way back instead of keeping what is inside.
template <class B, class Body, std::size_t... E>
auto block(Eval<B>& ctx, Activation<B, E...> x, const Body& body) {
  return body(ctx, std::move(x));
}

}  // namespace ops

}  // namespace vitals::inline v0
