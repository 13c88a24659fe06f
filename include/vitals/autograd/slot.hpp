// Slot: where the gradient of a value or a parameter is summed; Pool: the memory of values and gradients on a tape.
#pragma once

#include <cstddef>
#include <map>
#include <utility>

#include <vitals/backend/concept.hpp>

namespace vitals::inline v0 {

/// Buffers that are not in use, ready for the next value of about their size: a training step asks for the same sizes again and
/// again, the last part of a batch for somewhat smaller ones, and a small value must not sit in a large buffer. One thread uses it
/// at a time.
template <backend::Backend B>
class Pool {
 public:
  using Buffer = typename B::Buffer;

  /// Room for n numbers or up to half as many again: the smallest that is free.
  Buffer take(std::size_t n) {
    const auto fitting = free_.lower_bound(n);
    if (fitting == free_.end() || fitting->first > n + n / 4) return Buffer(n);
    Buffer buffer = std::move(fitting->second);
    free_.erase(fitting);
    return buffer;
  }
  void give(Buffer buffer) {
    if (const std::size_t n = buffer.size()) free_.emplace(n, std::move(buffer));
  }
  /// Gives everything that is not in use back to the system.
  void trim() { free_.clear(); }

 private:
  std::multimap<std::size_t, Buffer> free_;
};

/// `size` numbers in the backend's memory once something has been added, nothing before.
template <backend::Backend B>
struct Slot {
  Slot() = default;
  explicit Slot(std::size_t n, Pool<B>* memory = nullptr) : size(n), pool(memory) {}
  Slot(Slot&& other) noexcept
      : size(other.size),
        pool(other.pool),
        buffer(std::move(other.buffer)),
        filled(std::exchange(other.filled, false)) {}
  Slot& operator=(Slot&& other) noexcept {
    std::swap(size, other.size);
    std::swap(pool, other.pool);
    std::swap(buffer, other.buffer);
    std::swap(filled, other.filled);
    return *this;
  }
  ~Slot() { release(); }

  typename B::Scalar* data() const { return buffer.data(); }

  /// Calls write(to, add): `to` is to be written, or added to where `add` is true.
  template <class Write>
  void add(Write&& write) {
    if (buffer.size() < size) buffer = pool ? pool->take(size) : typename B::Buffer(size);
    write(buffer.data(), filled);
    filled = true;
  }
  /// Empty again; the memory stays, for the next sum.
  void clear() { filled = false; }
  /// Empty and without memory.
  void release() {
    filled = false;
    if (pool) pool->give(std::move(buffer));
    buffer = typename B::Buffer();
  }

  std::size_t size = 0;
  Pool<B>* pool = nullptr;  ///< where the memory comes from and goes to; nullptr: the system
  typename B::Buffer buffer;
  bool filled = false;
};

}  // namespace vitals::inline v0
