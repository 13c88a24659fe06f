// What the benchmarks share: how many threads, the measured peak, counters with the same names everywhere.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include <vitals/core/parallel.hpp>
#include <vitals/core/rng.hpp>

#include "peak.hpp"

namespace bench {

/// --threads N of the command line; else every processor that this process may use.
unsigned threads();
/// A pool of n threads, kept for the life of the process.
vitals::Executor& pool(unsigned n);
/// FLOP/s of n threads with the instruction set in use, measured at the first call.
double peak(unsigned n, Precision precision = Precision::float32);

/// Numbers in [-1, 1), the same for the same seed.
inline std::vector<float> random_numbers(std::size_t n, std::uint64_t seed) {
  std::vector<float> out(n);
  const vitals::Rng rng(seed);
  for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<float>(rng.bits_at(i)) * 0x1p-31f - 1.0f;
  return out;
}

/// Runs `work` as often as Google Benchmark wants, each run timed; what the counters below are made of. The column
/// "Time" is the mean, counters are of the median run: another program that gets in between moves them little.
class Runs {
 public:
  template <class Work>
  Runs(benchmark::State& state, Work&& work) : state_(state) {
    using Clock = std::chrono::steady_clock;
    for (auto _ : state) {
      const auto begin = Clock::now();
      work();
      benchmark::ClobberMemory();
      const std::chrono::duration<double> time = Clock::now() - begin;
      state.SetIterationTime(time.count());
      times_.push_back(time.count());
    }
    const auto middle = times_.begin() + static_cast<std::ptrdiff_t>(times_.size() / 2);
    std::nth_element(times_.begin(), middle, times_.end());
    median_ = *middle;
  }
  double median() const { return median_; }  ///< seconds

  /// GFLOP/s and percent of the peak of n threads; flop is that of one run.
  void flop(double flop, unsigned n, Precision precision = Precision::float32) {
    state_.counters["GFLOP/s"] = flop / median_ * 1e-9;
    state_.counters["percent of peak"] = 100 * flop / median_ / peak(n, precision);
  }
  /// GB/s of memory; bytes read and written by one run.
  void bytes(double bytes) { state_.counters["GB/s"] = bytes / median_ * 1e-9; }
  /// Images a second; n of them in a run.
  void images(std::size_t n) { state_.counters["images/s"] = static_cast<double>(n) / median_; }

 private:
  benchmark::State& state_;
  std::vector<double> times_;
  double median_ = 0;
};

/// "/1_thread", "/2_threads": the last part of a benchmark's name.
inline std::string threads_label(unsigned n) { return "/" + std::to_string(n) + (n > 1 ? "_threads" : "_thread"); }

/// 1 and threads(), or only the one where they are equal.
inline std::vector<unsigned> thread_counts() {
  return threads() == 1 ? std::vector<unsigned>{1} : std::vector<unsigned>{1, threads()};
}

/// Registers one benchmark whose body measures with Runs (wall time).
template <class F>
benchmark::internal::Benchmark* add(const std::string& name, F body) {
  return benchmark::RegisterBenchmark(name.c_str(), body)->UseManualTime();
}

/// Defined by each NAME_bench.cpp: registers its benchmarks. Called when the command line is known.
void add_benchmarks();

}  // namespace bench
