// Memory of the tasks of a convolution, which belongs to the thread.
#pragma once

#include <cstddef>

#include <vitals/backend/cpu/buffer.hpp>

namespace vitals::inline v0::backend::cpu::detail {

/// A thread's own memory, by purpose.
template <class T, int Purpose>
T* convolution_scratch(std::size_t size) {
  static thread_local Buffer<T> scratch;
  return scratch.need(size);
}

}  // namespace vitals::inline v0::backend::cpu::detail
