// Implementation of parallel.hpp.
#pragma once

#include <atomic>
#include <exception>
#include <limits>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#if defined(__linux__)
#include <sched.h>
#endif

#include <vitals/core/error.hpp>
#include <vitals/core/parallel.hpp>

namespace vitals::inline v0 {

namespace detail {

// True on a thread that is inside a task: nested work is done in place.
inline thread_local bool inside_task = false;

inline void pause_processor() {
#if VITALS_X86
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

inline unsigned usable_processors() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return static_cast<unsigned>(CPU_COUNT(&set));
#endif
  const unsigned n = std::thread::hardware_concurrency();
  return n ? n : 1;
}

// The tasks that one thread of a pool starts with, on a cache line of its own.
struct alignas(64) TaskRange {
  std::atomic<std::size_t> next{0};
  std::size_t end = 0;
};

// One call of run(): shared by the threads that work on it. Every thread has a range of neighbouring tasks, the same
// for every call with the same count, so that what one operation wrote lies in the cache of the core that reads it in the
// next one. Who has finished takes from the others' ranges.
struct Job {
  TaskRef task;
  TaskRange* ranges;
  std::size_t count;  // of ranges
  std::atomic<unsigned> working{0};
  std::atomic<std::size_t> failed{std::numeric_limits<std::size_t>::max()};  // the lowest task that threw
  std::mutex failure_lock{};
  std::exception_ptr failure{};  // its exception

  void work(std::size_t self) {
    const bool before = std::exchange(inside_task, true);
    for (std::size_t offset = 0; offset < count; ++offset) {
      TaskRange& range = ranges[self + offset < count ? self + offset : self + offset - count];
      for (std::size_t i; (i = range.next.fetch_add(1, std::memory_order_relaxed)) < range.end;) {
        if (i > failed.load(std::memory_order_relaxed)) break;  // the rest of the range is higher still
        try {
          task(i);
        } catch (...) {
          const std::lock_guard lock(failure_lock);
          if (i < failed.load(std::memory_order_relaxed)) {
            failed.store(i, std::memory_order_relaxed);
            failure = std::current_exception();
          }
        }
      }
    }
    inside_task = before;
  }
};

}  // namespace detail

// A worker waits for `generation` to change: it spins for some microseconds, which is how long the serial part between
// two operations of a model takes, then sleeps. The Job lives on the stack of run(), so run() must not return while a
// worker may still touch it: a worker is counted in `entering` from before it reads `job` until it is counted in
// Job::working, and run() withdraws `job` and then waits for both counts to be zero.
struct ThreadPool::State {
  std::vector<std::thread> workers;
  std::vector<detail::TaskRange> ranges;  // one for each thread, the caller's first
  std::mutex busy;                        // held by the caller whose job is running
  std::atomic<unsigned> generation{0};    // changes with every job and at the end
  std::atomic<detail::Job*> job{nullptr};
  std::atomic<unsigned> entering{0};  // workers between reading `job` and being counted in it
  std::atomic<bool> stop{false};

  void loop(std::size_t self) {
    unsigned seen = 0;
    for (;;) {
      for (int spin = 0; spin < 4000 && generation.load(std::memory_order_acquire) == seen; ++spin)
        detail::pause_processor();
      generation.wait(seen, std::memory_order_acquire);
      seen = generation.load(std::memory_order_acquire);
      if (stop.load(std::memory_order_acquire)) return;
      entering.fetch_add(1);
      detail::Job* mine = job.load();
      if (mine) mine->working.fetch_add(1);
      entering.fetch_sub(1);
      if (!mine) continue;
      mine->work(self);
      mine->working.fetch_sub(1, std::memory_order_release);
    }
  }
};

VITALS_INLINE ThreadPool::ThreadPool(unsigned threads) : state_(std::make_unique<State>()) {
  if (threads > 1024)
    throw ArgumentError("[ThreadPool] " + std::to_string(threads) + " threads", "", "ask for 1 to 1024");
  if (threads == 0) threads = detail::usable_processors();
  state_->ranges = std::vector<detail::TaskRange>(threads);
  for (unsigned i = 1; i < threads; ++i) state_->workers.emplace_back([s = state_.get(), i] { s->loop(i); });
}

VITALS_INLINE ThreadPool::~ThreadPool() {
  state_->stop.store(true, std::memory_order_release);
  state_->generation.fetch_add(1, std::memory_order_release);
  state_->generation.notify_all();
  for (auto& worker : state_->workers) worker.join();
}

VITALS_INLINE unsigned ThreadPool::threads() const { return static_cast<unsigned>(state_->workers.size()) + 1; }

VITALS_INLINE void ThreadPool::run(std::size_t count, TaskRef task) {
  std::unique_lock lock(state_->busy, std::defer_lock);
  if (count <= 1 || state_->workers.empty() || detail::inside_task || !lock.try_lock()) {
    detail::TaskRange all;
    all.end = count;
    detail::Job job{task, &all, 1};
    job.work(0);
    if (job.failure) std::rethrow_exception(job.failure);
    return;
  }
  const std::size_t threads = state_->ranges.size();
  for (std::size_t i = 0; i < threads; ++i) {
    state_->ranges[i].next.store(count * i / threads, std::memory_order_relaxed);
    state_->ranges[i].end = count * (i + 1) / threads;
  }
  detail::Job job{task, state_->ranges.data(), threads};
  state_->job.store(&job);
  state_->generation.fetch_add(1, std::memory_order_release);
  state_->generation.notify_all();
  job.work(0);
  state_->job.store(nullptr);
  while (state_->entering.load() != 0) detail::pause_processor();
  while (job.working.load(std::memory_order_acquire) != 0) detail::pause_processor();
  if (job.failure) std::rethrow_exception(job.failure);
}

namespace detail {

inline std::unique_ptr<ThreadPool>& default_pool_slot() {
  static std::unique_ptr<ThreadPool> pool;
  return pool;
}
inline std::mutex& default_pool_lock() {
  static std::mutex lock;
  return lock;
}

}  // namespace detail

VITALS_INLINE Executor& default_pool() {
  const std::lock_guard lock(detail::default_pool_lock());
  auto& pool = detail::default_pool_slot();
  if (!pool) pool = std::make_unique<ThreadPool>();
  return *pool;
}

VITALS_INLINE void set_default_threads(unsigned threads) {
  const std::lock_guard lock(detail::default_pool_lock());
  detail::default_pool_slot() = std::make_unique<ThreadPool>(threads);
}

}  // namespace vitals::inline v0
