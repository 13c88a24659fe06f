// What the tasks of a convolution work with: an executor that stays on the task's thread, and memory that belongs to the thread.
#pragma once

#include <cstddef>

#include <vitals/backend/cpu/buffer.hpp>
#include <vitals/core/parallel.hpp>

namespace vitals::inline v0::backend::cpu::detail {

/// A task's products run on the thread that has the task.
class OnThisThread final : public Executor {
 public:
  unsigned threads() const override { return 1; }
  void run(std::size_t count, TaskRef task) override {
    for (std::size_t i = 0; i < count; ++i) task(i);
  }
};

/// A thread's own memory, by purpose.
template <class T, int Purpose>
T* convolution_scratch(std::size_t size) {
  static thread_local Buffer<T> scratch;
  return scratch.need(size);
}

}  // namespace vitals::inline v0::backend::cpu::detail
