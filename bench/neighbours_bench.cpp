// Exact nearest neighbours at the size of NIH's ChestX-ray14 with ViT-S features: 86,524 items and 25,596 queries, 384
// numbers each, top 200. A slice of the queries is searched; the time for all of them is extrapolated from two slices,
// so that what is done once (norms, packing the items) is counted once. Names: neighbours/queries/threads.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include <vitals/core/tensor.hpp>
#include <vitals/eval/neighbours.hpp>

#include "bench.hpp"

namespace {

constexpr std::size_t items = 86'524, queries = 25'596, dim = 384, k = 200;

using Matrix = vitals::Tensor<float, vitals::dyn, vitals::dyn>;

Matrix features(std::size_t rows, std::uint64_t seed) {
  Matrix out({rows, dim});
  const auto numbers = bench::random_numbers(out.size(), seed);
  std::copy(numbers.begin(), numbers.end(), out.begin());
  return out;
}

void search(const Matrix& train, std::size_t slice, unsigned threads) {
  static const Matrix all = features(2560, 2);
  const vitals::TensorView<const float, vitals::dyn, vitals::dyn> some(all.data(), {slice, dim});
  benchmark::DoNotOptimize(
      vitals::eval::neighbours(train, some, k, {.progress = {}, .executor = &bench::pool(threads)}));
}

}  // namespace

void bench::add_benchmarks() {
  for (unsigned threads : thread_counts())
    for (std::size_t slice : {256, 2560})
      add("neighbours/" + std::to_string(slice) + threads_label(threads), [=](benchmark::State& state) {
        static const Matrix train = features(items, 1);
        constexpr std::size_t few = 16;
        double once = 0;
        Runs runs(state, [&] { search(train, slice, threads); });
        for (int i = 0; i < 3; ++i) {
          const auto begin = std::chrono::steady_clock::now();
          search(train, few, threads);
          const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin;
          once = i ? std::min(once, time.count()) : time.count();
        }
        const double each = (runs.median() - once) / static_cast<double>(slice - few);
        state.counters["all queries, s"] = once + each * static_cast<double>(queries - few);
        state.counters["percent of peak"] = 100 * 2.0 * static_cast<double>(items * dim) / each / peak(threads);
      })->Unit(benchmark::kMillisecond);
}
