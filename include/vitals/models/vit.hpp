// ViT<Config, Backend>: THE Vision Transformer. Everything about its shape is in the type; its parameters carry the
// names of the published DINOv2 checkpoints. It is also a Backbone, so protocols can hold it without knowing the type.
//
//   using Model = vt::ViT<vt::dinov2::vits14, vt::Cpu<float>>;
//   const Model model = vt::load<Model>("dinov2_vits14_pretrain.pth");
//   const auto out = model(pixels);   // out.cls (B, 384), out.patches (B, p, 384), out.registers (B, R, 384)
//
// Dosovitskiy et al., arXiv 2010.11929; Oquab et al., "DINOv2", arXiv 2304.07193; registers: Darcet et al., 2309.16588.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <vitals/autograd/eval.hpp>
#include <vitals/models/backbone.hpp>
#include <vitals/models/vit_config.hpp>
#include <vitals/nn/block.hpp>
#include <vitals/nn/layer_norm.hpp>
#include <vitals/nn/mlp.hpp>
#include <vitals/nn/module.hpp>
#include <vitals/nn/parameter.hpp>
#include <vitals/nn/patch_embed.hpp>
#include <vitals/nn/position_embedding.hpp>
#include <vitals/nn/swiglu.hpp>

namespace vitals::inline v0 {

/// What a model gives, its width in the type; float32 on the host, after the final norm.
template <std::size_t D>
struct ViTOutput {
  Tensor<float, dyn, D> cls;             ///< (B, D)
  Tensor<float, dyn, dyn, D> patches;    ///< (B, p, D), row by row
  Tensor<float, dyn, dyn, D> registers;  ///< (B, R, D)
};

/// Everything on the way, for those who want to look inside (see trace()).
struct Trace {
  struct Block {
    Tensor<float, dyn, dyn, dyn> input;           ///< (B, N, D)
    Tensor<float, dyn, dyn, dyn, dyn> attention;  ///< (B, H, N, N), each row sums to 1
    Tensor<float, dyn, dyn, dyn> output;          ///< (B, N, D)
  };
  Tensor<float, dyn, dyn, dyn> patch_embed;  ///< (B, p, D), before positions
  Tensor<float, dyn, dyn> positions;         ///< (1 + p, D), the CLS row first
  std::vector<Block> blocks;
  Tensor<float, dyn, dyn, dyn> norm;  ///< (B, N, D): CLS, registers, patches
};

namespace detail {

/// Throws ShapeError where pixels do not cut into patches; the message names the nearest sizes.
void check_pixels(TensorView<const float, dyn, 3, dyn, dyn> pixels, std::size_t patch);

/// An activation (B, N, D) on the host.
template <class B, std::size_t D>
Tensor<float, dyn, dyn, dyn> to_host(const Activation<B, dyn, dyn, D>& x) {
  Tensor<float, dyn, dyn, dyn> out(x.shape());
  B::download(x.data(), x.size(), out.data());
  return out;
}

/// Rows first .. first + count of each image's tokens (B, N, D), on the host: (B, count, D) in row-major order.
template <class B, std::size_t D>
void take_tokens(const Activation<B, dyn, dyn, D>& x, std::size_t first, std::size_t count, float* out) {
  for (std::size_t b = 0; b < x.extent(0); ++b)
    B::download(x.data() + (b * x.extent(1) + first) * D, count * D, out + b * count * D);
}

}  // namespace detail

template <ViTConfig Config, backend::Backend B>
class ViT final : public Backbone {
 public:
  static constexpr ViTConfig config = Config;
  static constexpr std::size_t D = Config.dim, H = detail::HeadsOf<Config.dim, Config.heads>::value, P = Config.patch,
                               R = Config.registers;
  using Backend = B;
  using Output = ViTOutput<D>;
  using FeedForward = std::conditional_t<Config.mlp == Mlp::gelu, nn::Mlp<D, Config.mlp_hidden(), B>,
                                         nn::SwiGlu<D, Config.mlp_hidden(), B>>;

  /// Without values, for a loader: call nothing but parameters() before every parameter has been assigned.
  ViT() : state_(std::make_unique<State>()) {
    state_->blocks.resize(Config.depth);
    info_ = {{}, D, Config.depth, H, P, R, nn::count(parameters()), Config.positions};
  }
  /// Random initial values (nn::initialize).
  explicit ViT(std::uint64_t seed, Executor& executor = default_pool()) : ViT() {
    nn::initialize(parameters(), seed, executor);
  }

  /// pixels (B, 3, H, W), normalised; H and W multiples of the patch. Throws ShapeError.
  Output operator()(TensorView<const float, dyn, 3, dyn, dyn> pixels) const {
    Features all = features(pixels);
    return {Tensor<float, dyn, D>(std::move(all.cls)), Tensor<float, dyn, dyn, D>(std::move(all.patches)),
            Tensor<float, dyn, dyn, D>(std::move(all.registers))};
  }

  /// What a pass inside a context gives, each after the final norm.
  template <class Ctx>
  struct Tokens {
    typename Ctx::template Value<dyn, dyn, D> cls;      ///< (B, 1, D)
    typename Ctx::template Value<dyn, dyn, D> patches;  ///< (B, p, D)
  };
  /// A pass inside a context, for instance one that a tape records: model(tape, pixels).cls. What is not used costs a
  /// copy only.
  template <class Ctx>
  Tokens<Ctx> operator()(Ctx& ctx, TensorView<const float, dyn, 3, dyn, dyn> pixels) const {
    auto x = tokens(ctx, pixels);
    const std::size_t patches = x.extent(1) - 1 - R;
    auto cls = state_->norm(ctx, ops::take_tokens(ctx, x, 0, 1), Config.norm_eps);
    return {std::move(cls), state_->norm(ctx, ops::take_tokens(ctx, x, 1 + R, patches), Config.norm_eps)};
  }
  /// The CLS token alone, (B, 1, D), after the final norm: what a classifier trains on. In the
  /// last block the other tokens are only read, which saves 7 % of a ViT-S.
  template <class Ctx>
  auto cls(Ctx& ctx, TensorView<const float, dyn, 3, dyn, dyn> pixels) const {
    return state_->norm(ctx, tokens(ctx, pixels, 1), Config.norm_eps);
  }

  const BackboneInfo& info() const override { return info_; }

  Features features(TensorView<const float, dyn, 3, dyn, dyn> pixels,
                    const FeatureRequest& request = {}) const override {
    if (request.blocks > Config.depth)
      throw ArgumentError("[ViT] the last " + std::to_string(request.blocks) + " of " + std::to_string(Config.depth) +
                          " blocks");
    detail::check_pixels(pixels, P);
    Lease lease(*state_);
    Eval<B> ctx(request.executor ? *request.executor : default_pool(), *lease.workspace);
    const auto [batch, channels, height, width] = pixels.shape();
    const std::size_t patches = height / P * (width / P);
    const auto per_image = [&, batch = batch](std::size_t rows) {
      return Tensor<float, dyn, dyn, dyn>({batch, rows, D});
    };
    Features out;
    out.cls = Tensor<float, dyn, dyn>({batch, D});
    if (request.patches) out.patches = per_image(patches), out.registers = per_image(R);
    for (std::size_t i = 0; i < request.blocks; ++i) {
      out.block_cls.emplace_back(std::array{batch, D});
      if (request.block_patches) out.block_patches.push_back(per_image(patches));
    }
    const bool cls_alone = !request.patches && (request.blocks == 0 || !request.block_patches);
    const std::size_t asked = cls_alone ? 1 : every;
    const std::size_t together = on_host ? std::max<std::size_t>(1, cached_tokens / (1 + R + patches)) : batch;
    for (std::size_t first = 0; first < batch; first += together) {
      const std::size_t count = std::min(together, batch - first), size = 3 * height * width;
      tokens(ctx, {pixels.data() + first * size, {count, 3, height, width}}, asked, [&](std::size_t i, const auto& x) {
        const bool last = i + 1 == Config.depth, kept = i + request.blocks >= Config.depth;
        if (!last && !kept) return;
        const auto normed = state_->norm(ctx, x, Config.norm_eps);
        const auto take = [&](auto& to, std::size_t token, std::size_t rows) {
          detail::take_tokens(normed, token, rows, to.data() + first * rows * D);
        };
        if (kept) take(out.block_cls[i + request.blocks - Config.depth], 0, 1);
        if (kept && request.block_patches) take(out.block_patches[i + request.blocks - Config.depth], 1 + R, patches);
        if (last) take(out.cls, 0, 1);
        if (last && request.patches) take(out.patches, 1 + R, patches), take(out.registers, 1, R);
      });
    }
    return out;
  }

  /// One pass that keeps what every block takes and gives, and its attention. Memory: 2 N D + H N N numbers a block.
  Trace trace(TensorView<const float, dyn, 3, dyn, dyn> pixels) const {
    detail::check_pixels(pixels, P);
    Lease lease(*state_);
    Eval<B> ctx(default_pool(), *lease.workspace);
    Trace out;
    const std::size_t h = pixels.extent(2) / P, w = pixels.extent(3) / P, n = 1 + R + h * w;
    out.patch_embed = detail::to_host(state_->patch_embed(ctx, pixels));
    const auto where = positions(h, w);
    out.positions = Tensor<float, dyn, dyn>({where->extent(0), D});
    std::copy(where->begin(), where->end(), out.positions.begin());
    auto x = embed(ctx, pixels);
    for (const auto& block : state_->blocks) {
      Trace::Block seen;
      seen.input = detail::to_host(x);
      auto probabilities = ctx.template make<dyn, H, dyn, dyn>({pixels.extent(0), H, n, n});
      ctx.probabilities = probabilities.data();
      x = block(ctx, std::move(x), Config.norm_eps);
      seen.attention = Tensor<float, dyn, dyn, dyn, dyn>({pixels.extent(0), H, n, n});
      B::download(probabilities.data(), probabilities.size(), seen.attention.data());
      seen.output = detail::to_host(x);
      out.blocks.push_back(std::move(seen));
    }
    out.norm = detail::to_host(state_->norm(ctx, x, Config.norm_eps));
    return out;
  }

  /// The table of parameters, in the order of the published checkpoint. Pointers live as long as the model.
  std::vector<nn::NamedParameter<B>> parameters() { return nn::parameters<B>(*state_); }

  /// Another rule than the preset's for grids that are not the stored one. Not while the model runs.
  void set_positions(Positions rule) {
    info_.positions = rule;
    state_->interpolated.clear();
  }
  /// The name that reports give it.
  void set_preset(std::string name) { info_.preset = std::move(name); }

 private:
  static constexpr std::size_t every = static_cast<std::size_t>(-1);
  static constexpr bool on_host = requires { B::on_host; };
  using Position = std::conditional_t<on_host, typename B::Scalar, float>;
  using PositionTable = Tensor<Position, dyn, D>;

  struct NoRegisters {
    const typename B::Scalar* data() const { return nullptr; }
    template <class Self, class Visit>
    static void members(Self&, Visit&&) {}
  };

  // A batch goes through the model a few images at a time, as many as have about this many tokens: activations of more
  // would leave the caches between two operations.
  static constexpr std::size_t cached_tokens = 320;

  // On the heap, so that a model moves cheaply and the table's pointers stay.
  struct State {
    nn::Parameter<B, 1, 1, D> cls_token;
    nn::Parameter<B, 1, 1 + Config.grid * Config.grid, D> pos_embed;
    std::conditional_t<(R > 0), nn::Parameter<B, 1, (R > 0 ? R : 1), D>, NoRegisters> register_tokens;
    nn::Parameter<B, 1, D> mask_token;  // for masked pre-training; a part of the checkpoint, not of this forward pass
    nn::PatchEmbed<P, D, B> patch_embed;
    std::vector<nn::Block<D, H, FeedForward, B>> blocks;
    nn::LayerNorm<D, B> norm;

    template <class Self, class Visit>
    static void members(Self& self, Visit&& visit) {
      visit("cls_token", self.cls_token);
      visit("pos_embed", self.pos_embed);
      visit("register_tokens", self.register_tokens);
      visit("mask_token", self.mask_token);
      visit("patch_embed", self.patch_embed);
      visit("blocks", self.blocks);
      visit("norm", self.norm);
    }

    std::mutex lock;  // guards the two below; calls from several threads are allowed
    std::vector<std::unique_ptr<Workspace<B>>> workspaces;
    std::map<std::pair<std::size_t, std::size_t>, std::shared_ptr<const PositionTable>> interpolated;
    std::uint64_t interpolated_version = 0;  // of pos_embed
  };

  // A workspace for the time of one call.
  struct Lease {
    explicit Lease(State& s) : state(s) {
      const std::lock_guard guard(state.lock);
      if (state.workspaces.empty())
        workspace = std::make_unique<Workspace<B>>();
      else {
        workspace = std::move(state.workspaces.back());
        state.workspaces.pop_back();
      }
    }
    ~Lease() {
      const std::lock_guard guard(state.lock);
      state.workspaces.push_back(std::move(workspace));
    }
    State& state;
    std::unique_ptr<Workspace<B>> workspace;
  };

  // Positions of a grid of h x w patches, and the parameter from which they are interpolated.
  struct GridPositions {
    std::shared_ptr<const PositionTable> table;
    const nn::ParameterStorage<B>& stored;
    std::size_t h, w;
    Positions rule;

    TensorView<const Position, dyn, D> values() const { return table->view(); }
    /// Adds the gradient of the parameter, given that of the table.
    void backward(std::span<const double> from, std::span<double> to) const {
      nn::interpolate_positions_backward(from, h, w, D, rule, to);
    }
  };

  // Position embeddings for a grid of h x w patches; the last few grids are kept.
  std::shared_ptr<const PositionTable> positions(std::size_t h, std::size_t w) const {
    const std::lock_guard guard(state_->lock);
    if (std::exchange(state_->interpolated_version, state_->pos_embed.version()) != state_->pos_embed.version())
      state_->interpolated.clear();
    auto& known = state_->interpolated[{h, w}];
    if (!known) {
      Tensor<Position, dyn, dyn> stored({1 + Config.grid * Config.grid, D});
      if constexpr (on_host)
        B::copy(state_->pos_embed.data(), stored.size(), stored.data());
      else
        state_->pos_embed.copy_to(stored.span());
      known = std::make_shared<const PositionTable>(
          nn::interpolate_positions(TensorView<const Position, dyn, dyn>(stored), h, w, info_.positions));
    }
    const auto found = known;
    if (state_->interpolated.size() > 8) state_->interpolated.clear();
    return found;
  }

  // Tokens (B, N, D) that enter block 0.
  template <class Ctx>
  auto embed(Ctx& ctx, TensorView<const float, dyn, 3, dyn, dyn> pixels) const {
    const std::size_t h = pixels.extent(2) / P, w = pixels.extent(3) / P;
    const GridPositions where{positions(h, w), state_->pos_embed, h, w, info_.positions};
    return ops::assemble_tokens<R>(ctx, state_->patch_embed(ctx, pixels), state_->cls_token, state_->register_tokens,
                                   where);
  }

  // Tokens (B, N, D), or the first `count` of them, after the last block, before the final norm; after_block(i, x) sees them
  // after block i.
  template <class Ctx, class AfterBlock>
  auto tokens(Ctx& ctx, TensorView<const float, dyn, 3, dyn, dyn> pixels, std::size_t count,
              AfterBlock&& after_block) const {
    detail::check_pixels(pixels, P);
    auto x = embed(ctx, pixels);
    for (std::size_t i = 0; i < Config.depth; ++i) {
      x = run_block(ctx, i, std::move(x), i + 1 == Config.depth ? count : every);
      after_block(i, std::as_const(x));
    }
    return x;
  }
  template <class Ctx>
  auto tokens(Ctx& ctx, TensorView<const float, dyn, 3, dyn, dyn> pixels, std::size_t count = every) const {
    return tokens(ctx, pixels, count, [](std::size_t, const auto&) {});
  }

  template <class Ctx>
  auto run_block(Ctx& ctx, std::size_t i, typename Ctx::template Value<dyn, dyn, D> x,
                 std::size_t count = every) const {
    const auto* block = &state_->blocks[i];
    return ops::block(ctx, std::move(x), [block, count, place = nn::Place{i, Config.depth}](auto& inner, auto inside) {
      if (count != every) return block->first_tokens(inner, inside, count, Config.norm_eps, place);
      return (*block)(inner, std::move(inside), Config.norm_eps, place);
    });
  }

  std::unique_ptr<State> state_;
  BackboneInfo info_;
};

/// Every block's input, attention and output for one batch.
template <class Model>
Trace trace(const Model& model, TensorView<const float, dyn, 3, dyn, dyn> pixels) {
  return model.trace(pixels);
}

}  // namespace vitals::inline v0

#if VITALS_HEADER_ONLY
#include <vitals/models/vit.ipp>
#endif
