// Variable: a tensor on a tape. Copies share the numbers. What an operation needs on its way back it holds as a Kept: the
// numbers themselves, or, where they are cheap to make again (a LayerNorm's output, GELU of what is kept anyway), how.
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <utility>

#include <vitals/autograd/slot.hpp>
#include <vitals/autograd/tape_operations.hpp>
#include <vitals/backend/concept.hpp>
#include <vitals/core/parallel.hpp>
#include <vitals/core/tensor.hpp>

namespace vitals::inline v0 {

/// Numbers whose buffer goes back to the pool when nobody holds them any more.
template <backend::Backend B>
class Memory {
 public:
  Memory(std::shared_ptr<Pool<B>> pool, std::size_t size)
      : pool_(std::move(pool)), buffer_(pool_->take(size)), size_(size) {}
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() { pool_->give(std::move(buffer_)); }

  typename B::Scalar* data() const { return buffer_.data(); }
  std::size_t size() const { return size_; }

 private:
  std::shared_ptr<Pool<B>> pool_;
  typename B::Buffer buffer_;  // may have more room
  std::size_t size_;
};

/// Writes a value's numbers once more.
template <backend::Backend B>
using Recipe = std::function<void(Executor&, typename B::Scalar* to)>;

/// What an operation keeps of an input.
template <backend::Backend B>
struct Kept {
  std::shared_ptr<const Memory<B>> memory;
  std::shared_ptr<const Recipe<B>> recipe;
  std::shared_ptr<Pool<B>> pool;
  std::size_t size = 0;

  /// The numbers, for as long as the result lives.
  std::shared_ptr<const Memory<B>> open(Executor& executor) const {
    if (memory) return memory;
    auto made = std::make_shared<Memory<B>>(pool, size);
    (*recipe)(executor, made->data());
    return made;
  }
};

template <backend::Backend B, std::size_t... E>
class Variable {
 public:
  using Scalar = typename B::Scalar;
  static constexpr std::size_t rank = sizeof...(E);

  Variable(Tape<B>& tape, std::shared_ptr<Memory<B>> memory, const std::array<std::size_t, rank>& shape)
      : tape_(&tape), extents_(shape), memory_(std::move(memory)) {}

  const Scalar* data() const { return memory_->data(); }
  const std::array<std::size_t, rank>& shape() const { return extents_.values(); }
  std::size_t extent(std::size_t i) const { return extents_[i]; }
  std::size_t size() const { return extents_.size(); }
  /// All extents but the last, multiplied.
  std::size_t rows() const { return size() / extents_[rank - 1]; }
  Tape<B>& tape() const { return *tape_; }

  /// Whether something trainable stands behind it.
  bool needs_gradient() const { return slot_ != nullptr; }
  /// Its gradient, on the tape's way back; nullptr where none is needed.
  const std::shared_ptr<Slot<B>>& slot() const { return slot_; }

  // --- for operations -----------------------------------------------------------------------------------------------

  /// To be written by the operation that makes this value.
  Scalar* data() { return memory_->data(); }
  /// Whether no other variable and no operation holds the numbers, so that they may be overwritten.
  bool sole() const { return memory_.use_count() == 1; }
  const std::shared_ptr<Memory<B>>& memory() const { return memory_; }
  void set_slot(std::shared_ptr<Slot<B>> slot) { slot_ = std::move(slot); }
  /// How to make the numbers again; those who keep this value keep the recipe instead.
  void set_recipe(Recipe<B> recipe) { recipe_ = std::make_shared<const Recipe<B>>(std::move(recipe)); }
  Kept<B> keep() const;
  /// The same numbers, apart from what made them, with a gradient of their own where this has one.
  Variable leaf() const;

 private:
  Tape<B>* tape_;
  Extents<E...> extents_;
  std::shared_ptr<Memory<B>> memory_;
  std::shared_ptr<const Recipe<B>> recipe_;
  std::shared_ptr<Slot<B>> slot_;
};

}  // namespace vitals::inline v0
