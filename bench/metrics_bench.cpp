// AUROC with bootstrap intervals at the size of NIH's ChestX-ray14: 25,596 images, 15 labels, 1,000 resamples. Names:
// what/threads.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <vitals/core/rng.hpp>
#include <vitals/core/tensor.hpp>
#include <vitals/metrics/bootstrap.hpp>
#include <vitals/metrics/classification.hpp>
#include <vitals/metrics/ranking.hpp>

#include "bench.hpp"

namespace {

constexpr std::size_t n = 25'596, labels = 15, samples = 1000;

struct Predictions {
  vitals::Tensor<std::uint8_t, vitals::dyn, vitals::dyn> targets{{n, labels}};
  vitals::Tensor<double, vitals::dyn, vitals::dyn> scores{{n, labels}};
};

// One positive in ten; scores in [0, 1], rounded to float32 as a network gives them.
const Predictions& predictions() {
  static const Predictions made = [] {
    Predictions p;
    const vitals::Rng rng(3);
    for (std::size_t i = 0; i < n * labels; ++i) {
      const bool positive = rng.uniform_at(2 * i) < 0.1;
      p.targets.data()[i] = positive;
      p.scores.data()[i] = static_cast<float>((rng.uniform_at(2 * i + 1) + (positive ? 0.4 : 0.0)) / 1.4);
    }
    return p;
  }();
  return made;
}

}  // namespace

void bench::add_benchmarks() {
  namespace m = vitals::metrics;
  for (unsigned threads : thread_counts()) {
    const std::string label = threads_label(threads);
    // Sorted once a label; every resample is a pass over the sorted items.
    add("auroc_bootstrap" + label, [=](benchmark::State& state) {
      const auto& p = predictions();
      Runs runs(state, [&] {
        std::vector<m::Ranking> rankings;
        std::vector<std::uint8_t> targets(n);
        std::vector<double> scores(n);
        for (std::size_t c = 0; c < labels; ++c) {
          for (std::size_t i = 0; i < n; ++i) targets[i] = p.targets(i, c), scores[i] = p.scores(i, c);
          rankings.emplace_back(targets, scores);
        }
        benchmark::DoNotOptimize(m::bootstrap(n, labels,
                                              [&](std::span<const std::uint32_t> counts, std::span<double> values) {
                                                for (std::size_t c = 0; c < labels; ++c)
                                                  values[c] = *rankings[c].values(counts).auroc;
                                              },
                                              {.samples = samples, .groups = {}, .executor = &pool(threads)}));
      });
      state.counters["s"] = runs.median();
    })->Unit(benchmark::kMillisecond);
    // Every metric of a report, each with its interval.
    add("evaluate_all_metrics" + label, [=](benchmark::State& state) {
      const auto& p = predictions();
      Runs runs(state, [&] {
        benchmark::DoNotOptimize(m::evaluate(p.targets, p.scores, m::Task::multilabel,
                                             {.bootstrap_samples = samples, .groups = {}, .executor = &pool(threads)}));
      });
      state.counters["s"] = runs.median();
    })->Unit(benchmark::kMillisecond);
  }
}
