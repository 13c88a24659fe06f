// Implementation of linear_heads.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <utility>

#include <vitals/core/error.hpp>
#include <vitals/core/number_text.hpp>
#include <vitals/core/rng.hpp>
#include <vitals/eval/linear_heads.hpp>
#include <vitals/eval/logistic.hpp>

namespace vitals::inline v0::eval {

namespace detail {

// Random streams of the probe, kept apart from each other.
inline constexpr std::uint64_t stream_of_init = 1, stream_of_epochs = 1 << 16;

// The products below are written over small arrays of fixed length, which compilers keep in vector registers. Lanes are
// summed in a fixed order.
inline constexpr std::size_t head_lanes = 16;

// sum[r] = x_r . w for `Rows` rows of x, `stride` numbers apart.
template <std::size_t Rows, class S>
void dot_rows(const S* x, std::size_t stride, const S* w, std::size_t n, S* sum) {
  S lane[Rows][head_lanes] = {};
  std::size_t d = 0;
  for (; d + head_lanes <= n; d += head_lanes)
    for (std::size_t r = 0; r < Rows; ++r)
      for (std::size_t j = 0; j < head_lanes; ++j) lane[r][j] += x[r * stride + d + j] * w[d + j];
  for (std::size_t j = 0; d < n; ++d, ++j)
    for (std::size_t r = 0; r < Rows; ++r) lane[r][j] += x[r * stride + d] * w[d];
  for (std::size_t r = 0; r < Rows; ++r) {
    for (std::size_t half = head_lanes / 2; half > 0; half /= 2)
      for (std::size_t j = 0; j < half; ++j) lane[r][j] += lane[r][j + half];
    sum[r] = lane[r][0];
  }
}

// gradient[j] = sum over the batch of g_b x_b[j] for `Columns` columns.
template <std::size_t Columns, class S>
void weighted_rows(const S* x, std::size_t stride, const S* g, std::size_t g_stride, std::size_t batch, S* gradient) {
  S sum[Columns] = {};
  for (std::size_t b = 0; b < batch; ++b) {
    const S weight = g[b * g_stride];
    for (std::size_t j = 0; j < Columns; ++j) sum[j] += weight * x[b * stride + j];
  }
  std::copy_n(sum, Columns, gradient);
}

}  // namespace detail

VITALS_INLINE std::string name(const HeadSetting& setting) {
  return "blocks=" + std::to_string(setting.blocks) + " avgpool=" + (setting.avgpool ? "1" : "0") +
         " lr=" + shortest_text(setting.lr);
}

VITALS_INLINE std::size_t FeatureLayout::offset(const HeadSetting& setting) const {
  if (setting.blocks == 0 || setting.blocks > blocks)
    throw ArgumentError("[linear head] blocks = " + std::to_string(setting.blocks), "",
                        "the features hold the last " + std::to_string(blocks));
  return (blocks - setting.blocks) * dim;
}

VITALS_INLINE std::size_t FeatureLayout::inputs(const HeadSetting& setting) const {
  return (setting.blocks + (setting.avgpool ? 1 : 0)) * dim;
}

template <class S>
HeadTrainer<S>::HeadTrainer(std::vector<LinearHead<S>> heads, const FeatureLayout& layout, HeadLoss loss,
                            std::size_t steps)
    : layout_(layout), loss_(loss), steps_(steps), heads_(std::move(heads)) {
  if (heads_.empty() || steps_ == 0) throw ArgumentError("[linear heads] no head or no step to train");
  outputs_ = heads_[0].outputs();
  for (std::size_t h = 0; h < heads_.size(); ++h) {
    auto& head = heads_[h];
    layout_.offset(head.setting);
    const std::size_t inputs = layout_.inputs(head.setting);
    if (head.inputs() != inputs || head.outputs() != outputs_ || head.bias.size() != outputs_ || outputs_ == 0)
      throw ShapeError("[linear heads] weight " + to_string(head.weight.shape()) + " for " + std::to_string(outputs_) +
                           " outputs of " + std::to_string(inputs) + " inputs",
                       name(head.setting));
    if (!(head.setting.lr >= 0) || !std::isfinite(head.setting.lr))
      throw ArgumentError("[linear heads] learning rate " + shortest_text(head.setting.lr), "",
                          "take a number from 0 up");
    momentum_.push_back({head.setting, Tensor<S, dyn, dyn>(head.weight.shape()), std::vector<S>(outputs_)});
    constexpr std::size_t piece = 256;
    for (std::size_t d = 0; d < inputs; d += piece) columns_.push_back({h, d, std::min(inputs, d + piece)});
  }
}

// logits = x w^T + b for some rows of one head.
template <class S>
void HeadTrainer<S>::forward(const Piece& piece, TensorView<const S, dyn, dyn> x) {
  const auto& head = heads_[piece.head];
  const std::size_t stride = layout_.width(), inputs = head.inputs();
  const S* from = x.data() + layout_.offset(head.setting);
  for (std::size_t o = 0; o < outputs_; ++o) {
    const S* w = head.weight.data() + o * inputs;
    std::size_t b = piece.begin;
    S sum[2];
    for (; b + 2 <= piece.end; b += 2) {
      detail::dot_rows<2>(from + b * stride, stride, w, inputs, sum);
      for (std::size_t r = 0; r < 2; ++r) logits_[piece.head](b + r, o) = sum[r] + head.bias[o];
    }
    for (; b < piece.end; ++b) {
      detail::dot_rows<1>(from + b * stride, stride, w, inputs, sum);
      logits_[piece.head](b, o) = sum[0] + head.bias[o];
    }
  }
}

// The loss of each head; its gradient with respect to the logits takes their place.
template <class S>
std::vector<double> HeadTrainer<S>::losses(TensorView<const std::uint8_t, dyn, dyn> targets) {
  const std::size_t batch = targets.extent(0);
  const double images = static_cast<double>(batch), outputs = static_cast<double>(outputs_);
  std::vector<double> loss(heads_.size());
  for (std::size_t h = 0; h < heads_.size(); ++h) {
    auto& logits = logits_[h];
    if (loss_ == HeadLoss::cross_entropy) {
      for (std::size_t b = 0; b < batch; ++b) {
        double most = logits(b, 0), sum = 0;
        for (std::size_t o = 1; o < outputs_; ++o) most = std::max(most, static_cast<double>(logits(b, o)));
        for (std::size_t o = 0; o < outputs_; ++o) sum += std::exp(logits(b, o) - most);
        for (std::size_t o = 0; o < outputs_; ++o) {
          const double shifted = logits(b, o) - most;
          if (targets(b, o)) loss[h] += (std::log(sum) - shifted) / images;
          logits(b, o) = static_cast<S>((std::exp(shifted) / sum - (targets(b, o) ? 1 : 0)) / images);
        }
      }
    } else {
      const double scale = loss_ == HeadLoss::bce ? 1 / (images * outputs) : 1 / outputs;
      for (std::size_t b = 0; b < batch; ++b)
        for (std::size_t o = 0; o < outputs_; ++o) {
          const double z = logits(b, o), y = targets(b, o) ? 1 : 0;
          loss[h] += (detail::softplus(z) - z * y) * scale;
          logits(b, o) = static_cast<S>((detail::sigmoid(z) - y) * scale);
        }
    }
  }
  return loss;
}

// v = 0.9 v + dL/dw; w -= lr v, for some columns of one head; the first piece of a head does the bias too.
template <class S>
void HeadTrainer<S>::update(const Piece& piece, TensorView<const S, dyn, dyn> x, double cosine) {
  constexpr std::size_t columns = 32;
  auto& head = heads_[piece.head];
  auto& momentum = momentum_[piece.head];
  const auto& g = logits_[piece.head];
  const S lr = static_cast<S>(head.setting.lr * cosine), keep = static_cast<S>(0.9);
  const std::size_t batch = x.extent(0), stride = layout_.width(), inputs = head.inputs();
  const auto descend = [&](S gradient, S& v, S& w) {
    v = keep * v + gradient;
    w -= lr * v;
  };
  for (std::size_t o = 0; o < outputs_; ++o) {
    S* w = head.weight.data() + o * inputs;
    S* v = momentum.weight.data() + o * inputs;
    const S* from = x.data() + layout_.offset(head.setting);
    S gradient[columns];
    std::size_t d = piece.begin;
    for (; d + columns <= piece.end; d += columns) {
      detail::weighted_rows<columns>(from + d, stride, g.data() + o, outputs_, batch, gradient);
      for (std::size_t j = 0; j < columns; ++j) descend(gradient[j], v[d + j], w[d + j]);
    }
    for (; d < piece.end; ++d) {
      detail::weighted_rows<1>(from + d, stride, g.data() + o, outputs_, batch, gradient);
      descend(gradient[0], v[d], w[d]);
    }
    if (piece.begin == 0) {
      S sum = 0;
      for (std::size_t b = 0; b < batch; ++b) sum += g(b, o);
      descend(sum, momentum.bias[o], head.bias[o]);
    }
  }
}

template <class S>
std::vector<double> HeadTrainer<S>::step(TensorView<const S, dyn, dyn> x,
                                         TensorView<const std::uint8_t, dyn, dyn> targets, Executor& executor) {
  const std::size_t batch = x.extent(0);
  if (done_ == steps_) throw ArgumentError("[linear heads] all " + std::to_string(steps_) + " steps are done");
  if (batch == 0 || x.extent(1) != layout_.width() || targets.extent(0) != batch || targets.extent(1) != outputs_)
    throw ShapeError("[linear heads] features " + to_string(x.shape()) + ", targets " + to_string(targets.shape()) +
                     " for rows of " + std::to_string(layout_.width()) + " and " + std::to_string(outputs_) +
                     " outputs");
  if (logits_.empty() || logits_[0].extent(0) != batch)
    logits_.assign(heads_.size(), Tensor<S, dyn, dyn>({batch, outputs_}));

  constexpr std::size_t rows = 32;
  const std::size_t chunks = (batch + rows - 1) / rows;
  executor.run(heads_.size() * chunks, [&](std::size_t i) {
    const std::size_t begin = i % chunks * rows;
    forward({i / chunks, begin, std::min(batch, begin + rows)}, x);
  });
  auto loss = losses(targets);
  constexpr double pi = 3.14159265358979323846;
  const double cosine = (1 + std::cos(pi * static_cast<double>(done_) / static_cast<double>(steps_))) / 2;
  executor.run(columns_.size(), [&](std::size_t i) { update(columns_[i], x, cosine); });
  ++done_;
  return loss;
}

template <class S>
std::vector<LinearHead<S>> initial_heads(std::span<const HeadSetting> settings, const FeatureLayout& layout,
                                         std::size_t outputs, std::uint64_t seed) {
  std::vector<LinearHead<S>> heads;
  for (const auto& setting : settings) {
    layout.offset(setting);
    LinearHead<S> head{setting, Tensor<S, dyn, dyn>({outputs, layout.inputs(setting)}), std::vector<S>(outputs)};
    const Rng rng(seed, detail::stream_of_init + 2 * setting.blocks + (setting.avgpool ? 1 : 0));
    for (std::size_t i = 0; i < head.weight.size(); ++i)
      head.weight.data()[i] = static_cast<S>(0.01 * rng.normal_at(i));
    heads.push_back(std::move(head));
  }
  return heads;
}

VITALS_INLINE Tensor<std::uint32_t, dyn, dyn> batch_order(std::size_t n, std::size_t batch, std::size_t steps,
                                                          std::uint64_t seed) {
  if (batch == 0 || batch > n)
    throw ArgumentError("[batch order] batches of " + std::to_string(batch) + " of " + std::to_string(n) + " items");
  Tensor<std::uint32_t, dyn, dyn> order({steps, batch});
  std::vector<std::size_t> epoch;
  std::size_t next = 0;
  std::uint64_t epochs = 0;
  for (auto& entry : order) {
    if (next == epoch.size()) {
      epoch = Rng(seed, detail::stream_of_epochs + epochs++).permutation(n);
      next = 0;
    }
    entry = static_cast<std::uint32_t>(epoch[next++]);
  }
  return order;
}

template <class S>
Tensor<double, dyn, dyn> head_logits(const LinearHead<S>& head, const FeatureLayout& layout,
                                     TensorView<const float, dyn, dyn> x, Executor& executor) {
  const std::size_t m = x.extent(0), outputs = head.outputs(), inputs = head.inputs();
  if (x.extent(1) != layout.width() || inputs != layout.inputs(head.setting))
    throw ShapeError("[linear head] features " + to_string(x.shape()) + ", weight " + to_string(head.weight.shape()),
                     name(head.setting));
  const std::size_t offset = layout.offset(head.setting);
  const std::vector<double> weight(head.weight.begin(), head.weight.end());
  Tensor<double, dyn, dyn> logits({m, outputs});
  parallel_for(executor, m, 32, [&](std::size_t begin, std::size_t end) {
    std::vector<double> row(inputs);
    for (std::size_t i = begin; i < end; ++i) {
      std::copy_n(x.data() + i * layout.width() + offset, inputs, row.begin());
      for (std::size_t o = 0; o < outputs; ++o) {
        double sum = 0;
        detail::dot_rows<1>(row.data(), inputs, weight.data() + o * inputs, inputs, &sum);
        logits(i, o) = sum + head.bias[o];
      }
    }
  });
  return logits;
}

#if !VITALS_HEADER_ONLY
template class HeadTrainer<float>;
template class HeadTrainer<double>;
template std::vector<LinearHead<float>> initial_heads(std::span<const HeadSetting>, const FeatureLayout&, std::size_t,
                                                      std::uint64_t);
template std::vector<LinearHead<double>> initial_heads(std::span<const HeadSetting>, const FeatureLayout&, std::size_t,
                                                       std::uint64_t);
template Tensor<double, dyn, dyn> head_logits(const LinearHead<float>&, const FeatureLayout&,
                                              TensorView<const float, dyn, dyn>, Executor&);
template Tensor<double, dyn, dyn> head_logits(const LinearHead<double>&, const FeatureLayout&,
                                              TensorView<const float, dyn, dyn>, Executor&);
#endif

}  // namespace vitals::inline v0::eval
