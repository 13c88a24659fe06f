// Uninitialised, 64-byte aligned memory for packed weights and activations.
#pragma once

#include <cstddef>
#include <utility>

#include <vitals/backend/cpu/memory.hpp>

namespace vitals::inline v0::backend::cpu {

/// Owns room for `size()` numbers; contents are undefined until written. Movable.
template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t size)
      : data_(size ? static_cast<T*>(allocate(size * sizeof(T))) : nullptr), size_(size) {}
  Buffer(Buffer&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Buffer() { release(data_, size_ * sizeof(T)); }

  T* data() const { return data_; }
  std::size_t size() const { return size_; }
  /// At least `size` numbers; old contents are lost when it grows.
  T* need(std::size_t size) {
    if (size > size_) {
      *this = Buffer();
      *this = Buffer(size);
    }
    return data_;
  }

 private:
  T* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace vitals::inline v0::backend::cpu
