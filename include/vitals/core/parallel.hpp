// Threads. Work is cut into numbered tasks whose results do not depend on who runs them, so every thread count gives
// the same bits. Functions of the library that can use threads take an Executor; without one they use default_pool().
#pragma once

#include <cstddef>
#include <memory>
#include <type_traits>

#include <vitals/core/config.hpp>

namespace vitals::inline v0 {

/// A non-owning reference to something callable with a task number.
class TaskRef {
 public:
  template <class F>
    requires(!std::is_same_v<std::remove_cvref_t<F>, TaskRef>)
  TaskRef(F&& f)
      : object_(const_cast<void*>(static_cast<const void*>(&f))),
        call_([](void* o, std::size_t i) { (*static_cast<std::remove_reference_t<F>*>(o))(i); }) {}
  void operator()(std::size_t i) const { call_(object_, i); }

 private:
  void* object_;
  void (*call_)(void*, std::size_t);
};

/// Where parallel work runs. Implement it to run the library on your own pool.
class Executor {
 public:
  virtual ~Executor() = default;
  /// How many tasks may run at once; only the size of pieces of work follows from it, never a result.
  virtual unsigned threads() const = 0;
  /// Calls task(0) ... task(count - 1), in any order, on any thread, and returns when all are done. When tasks throw, the
  /// exception of the lowest number is thrown here, whatever the threads did; higher numbers may then be left out.
  virtual void run(std::size_t count, TaskRef task) = 0;
};

/// The calling thread alone, in order: what a task gives to the functions that it calls.
class SerialExecutor final : public Executor {
 public:
  unsigned threads() const override { return 1; }
  void run(std::size_t count, TaskRef task) override {
    for (std::size_t i = 0; i < count; ++i) task(i);
  }
};

/// The library's own pool. Its threads start in the constructor and wait for work; the caller works too. A call from
/// inside a task, or while another thread's call is running, is done by the calling thread alone.
class ThreadPool final : public Executor {
 public:
  /// threads = 0: one for each processor that this process may use. Throws ArgumentError above 1024.
  explicit ThreadPool(unsigned threads = 0);
  ~ThreadPool() override;
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  unsigned threads() const override;
  void run(std::size_t count, TaskRef task) override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The pool used where none is given; made at the first call with the count last given to set_default_threads.
Executor& default_pool();
/// Replaces the default pool (0: all processors). Not while work is running on it.
void set_default_threads(unsigned threads);

/// Splits [0, n) into pieces of `grain` and calls body(begin, end) for each.
template <class Body>
void parallel_for(Executor& executor, std::size_t n, std::size_t grain, Body&& body) {
  if (n == 0) return;
  if (grain == 0) grain = 1;
  const std::size_t pieces = (n + grain - 1) / grain;
  if (pieces == 1) return body(std::size_t{0}, n);
  executor.run(pieces, [&](std::size_t i) { body(i * grain, i + 1 == pieces ? n : (i + 1) * grain); });
}

}  // namespace vitals::inline v0

#if VITALS_HEADER_ONLY
#include <vitals/core/parallel.ipp>
#endif
