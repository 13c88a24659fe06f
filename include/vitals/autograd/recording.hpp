// Tape<Backend>: the context in which a forward pass is recorded, so that gradients can be computed on the way back. What
// needs no gradient records nothing and keeps nothing: below the first trainable parameter a pass costs what it costs in
// Eval.
//
//   vt::Tape tape;
//   auto loss = vt::losses::cross_entropy(head(model(tape, pixels).cls), labels);
//   tape.backward(loss);      // adds to the gradients of the parameters that train
//
// Reverse mode over tensor operations with hand-written gradients: Griewank, Walther, "Evaluating Derivatives", 2008.
// Checkpointing keeps the input of a block only and runs it again: Chen et al., arXiv 1604.06174.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include <vitals/autograd/slot.hpp>
#include <vitals/autograd/tape_operations.hpp>
#include <vitals/autograd/variable.hpp>
#include <vitals/backend/cpu/gradients.hpp>
#include <vitals/core/error.hpp>
#include <vitals/core/parallel.hpp>
#include <vitals/core/tensor.hpp>

namespace vitals::inline v0 {

struct TapeOptions {
  bool checkpoint = false;  ///< keep the input of each block only, and run the block again on the way back
  std::uint64_t seed = 0;   ///< of dropout and drop path; give every step its own
  double drop_path = 0;     ///< how often the last block's branches are left out of an image; less before it
};

template <backend::Backend B = Cpu<float>>
class Tape {
 public:
  using Backend = B;
  using Scalar = typename B::Scalar;
  template <std::size_t... E>
  using Value = Variable<B, E...>;

  /// A tape that lives through many steps reuses its memory. Variables must not outlive it.
  explicit Tape(Executor& used_executor = default_pool(), const TapeOptions& tape_options = {})
      : executor(used_executor), options(tape_options), pool_(std::make_shared<Pool<B>>()) {}
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  /// Adds d(loss)/d(parameter) times `scale` to the gradient of every trainable parameter, and forgets what was recorded.
  /// loss: a variable of one number. Throws ArgumentError where nothing trainable stands behind it.
  template <std::size_t... E>
  void backward(const Variable<B, E...>& loss, double scale = 1) {
    if (loss.size() != 1) throw ShapeError("[Tape] backward starts from one number, got " + to_string(loss.shape()));
    const float seed = static_cast<float>(scale);
    backward_from(loss, TensorView<const float, dyn>(&seed, {1}));
  }
  /// The same from a value and the gradient of the loss for it, on the host.
  template <std::size_t... E>
  void backward_from(const Variable<B, E...>& value, TensorView<const float, dyn> gradient) {
    if (!value.needs_gradient())
      throw ArgumentError("[Tape] nothing trainable stands behind the value", "", "make parameters trainable first");
    if (gradient.size() != value.size()) throw ShapeError("[Tape] a gradient of another size than its value");
    value.slot()->add([&](Scalar* to, bool) { B::upload(gradient.data(), gradient.size(), to); });
    run_down_to(0);
  }

  /// A value given by the host, (B, N, D); its gradient is computed where that is asked for (Variable::slot).
  template <std::size_t... E>
  Value<E...> input(TensorView<const float, E...> host, bool needs_gradient = false) {
    auto x = make<E...>(host.shape());
    B::upload(host.data(), host.size(), x.data());
    if (needs_gradient) x.set_slot(slot(x.size()));
    return x;
  }
  /// Forgets what was recorded.
  void clear() { steps_.clear(); }
  /// How many operations are recorded.
  std::size_t recorded() const { return steps_.size(); }
  /// Gives memory that is not in use back to the system.
  void trim() {
    pool_->trim();
    turned_.clear();
  }

  // --- for operations -----------------------------------------------------------------------------------------------

  /// Contents undefined until written.
  template <std::size_t... E>
  Value<E...> make(const std::array<std::size_t, sizeof...(E)>& shape) {
    std::size_t n = 1;
    for (auto s : shape) n *= s;
    return Value<E...>(*this, memory(n), shape);
  }
  std::shared_ptr<Memory<B>> memory(std::size_t n) { return std::make_shared<Memory<B>>(pool_, n); }
  std::shared_ptr<Slot<B>> slot(std::size_t n) { return std::make_shared<Slot<B>>(n, pool_.get()); }
  const std::shared_ptr<Pool<B>>& pool() const { return pool_; }

  /// y depends on something trainable: on the way back, `back(tape, dy)` is called with its gradient, a Slot whose buffer it
  /// may take over. Operations are called in the reverse order and let go at once.
  template <std::size_t... E, class Back>
  void record(Variable<B, E...>& y, Back back) {
    if (!y.needs_gradient()) y.set_slot(slot(y.size()));
    if (recording_) steps_.push_back({y.slot(), std::make_unique<Recorded<Back>>(std::move(back))});
  }
  /// Adds the numbers of `from`, which may be emptied, to `to`.
  void pass_on(Slot<B>& from, Slot<B>& to) {
    if (!to.filled) {
      std::swap(from.buffer, to.buffer);
      std::swap(from.filled, to.filled);
    } else {
      to.add([&](Scalar* sum, bool) {
        backend::Gradients<B>::add_scaled(executor, from.data(), Scalar(1), sum, to.size);
      });
    }
  }
  /// dx (m, in) = dy (m, out) diag(gamma) W, or added to dx; gamma may be null, and a part of low rank, which goes with it.
  template <class Weight, class Gamma>
  void input_gradient(const Scalar* dy, std::size_t m, const Weight& weight, const Gamma* gamma, Scalar* dx, bool add,
                      const backend::LowRankPart<Scalar>* part = nullptr) {
    using G = backend::Gradients<B>;
    const std::size_t out = weight.shape()[0], in = weight.size() / out;
    const Scalar* scale = gamma ? gamma->data() : nullptr;
    if constexpr (backend::HasProductWithLowRank<B>)
      if (part) {
        typename B::Weight spare;
        const auto& wt = transposed(weight, gamma, spare);
        return G::product_with_low_rank(executor, dy, m, wt, nullptr, nullptr, dx, add, *part);
      }
    const auto* turned = kept_transposed(weight, gamma);
    if (!turned)
      G::input_gradient(executor, dy, out, m, weight.packed(), scale, dx, in, add);
    else if (add)
      B::linear_add(executor, dy, m, *turned, nullptr, dx, in);
    else
      B::linear(executor, dy, m, *turned, nullptr, dx);
  }
  /// (diag(gamma) W)^T: the kept form, or one that holds until `spare` is given away again.
  template <class Weight, class Gamma>
  const typename B::Weight& transposed(const Weight& weight, const Gamma* gamma, typename B::Weight& spare) {
    if (const auto* turned = kept_transposed(weight, gamma)) return *turned;
    backend::Gradients<B>::transpose(executor, weight.packed(), gamma ? gamma->data() : nullptr, spare);
    return spare;
  }
  /// Runs body() without recording; its values know whether they need a gradient.
  template <class Body>
  auto without_recording(Body&& body) {
    struct Pause {
      explicit Pause(bool& flag) : recording(flag), before(std::exchange(flag, false)) {}
      ~Pause() { recording = before; }
      bool& recording;
      bool before;
    } pause(recording_);
    return body();
  }
  bool recording() const { return recording_; }
  /// Goes backward through everything recorded after the first `count` operations.
  void run_down_to(std::size_t count) {
    while (steps_.size() > count) {
      Step step = std::move(steps_.back());
      steps_.pop_back();
      if (step.dy->filled) step.operation->backward(*this, *step.dy);
      step.dy->release();
    }
  }

  Executor& executor;
  TapeOptions options;

 private:
  struct Operation {
    virtual ~Operation() = default;
    virtual void backward(Tape& tape, Slot<B>& dy) = 0;
  };
  template <class Back>
  struct Recorded final : Operation {
    explicit Recorded(Back f) : back(std::move(f)) {}
    void backward(Tape& tape, Slot<B>& dy) override { back(tape, dy); }
    Back back;
  };
  struct Step {
    std::shared_ptr<Slot<B>> dy;
    std::unique_ptr<Operation> operation;
  };

  struct Turned {
    std::array<std::uint64_t, 2> versions{};  // of the weight and of gamma when it came last
    bool made = false;
    typename B::Weight weight = {};
  };

  /// (diag(gamma) W)^T where it is kept: of a frozen weight that comes a second time, unless memory is scarce (checkpointing). To
  /// make it takes longer than a tenth of a small batch's product.
  template <class Weight, class Gamma>
  const typename B::Weight* kept_transposed(const Weight& weight, const Gamma* gamma) {
    const bool frozen = !weight.trainable() && !(gamma && gamma->trainable()) && !options.checkpoint;
    if (!frozen) {
      turned_.erase(&weight);
      return nullptr;
    }
    Turned& kept = turned_[&weight];
    const std::array versions{weight.version(), gamma ? gamma->version() : 0};
    if (std::exchange(kept.versions, versions) != versions) {
      kept.made = false;
      return nullptr;
    }
    if (!std::exchange(kept.made, true))
      backend::Gradients<B>::transpose(executor, weight.packed(), gamma ? gamma->data() : nullptr, kept.weight);
    return &kept.weight;
  }

  std::shared_ptr<Pool<B>> pool_;
  std::map<const void*, Turned> turned_;
  std::vector<Step> steps_;
  bool recording_ = true;
};

template <backend::Backend B, std::size_t... E>
Kept<B> Variable<B, E...>::keep() const {
  if (recipe_) return {nullptr, recipe_, tape_->pool(), size()};
  return {memory_, nullptr, nullptr, size()};
}

template <backend::Backend B, std::size_t... E>
Variable<B, E...> Variable<B, E...>::leaf() const {
  Variable other(*tape_, memory_, shape());
  if (needs_gradient()) other.slot_ = tape_->slot(size());
  return other;
}

}  // namespace vitals::inline v0
