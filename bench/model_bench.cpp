// Forward passes of whole backbones with random weights: images a second and percent of the peak. Names:
// forward/precision/model/side/batch/threads.
#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include <vitals/core/tensor.hpp>
#include <vitals/models/dinov2.hpp>

#include "bench.hpp"
#include "flop.hpp"

namespace {

const vitals::Backbone& backbone(const std::string& preset,
                                 bench::Precision precision) {  // one at a time: random weights take a second
  static std::string have;
  static std::unique_ptr<vitals::Backbone> model;
  const std::string wanted = preset + bench::name(precision);
  if (have != wanted) {
    model.reset();
    model = precision == bench::Precision::float32 ? vitals::dinov2::random(preset, 0)
                                                   : vitals::dinov2::random<vitals::Cpu<vitals::bfloat16>>(preset, 0);
    have = wanted;
  }
  return *model;
}

void add_forward(bench::Precision precision, const std::string& preset, std::size_t side, std::size_t batch,
                 unsigned threads) {
  bench::add("forward/" + std::string(bench::name(precision)) + "/" + preset + "/" + std::to_string(side) + "/batch_" +
                 std::to_string(batch) + bench::threads_label(threads),
             [=](benchmark::State& state) {
               const auto& model = backbone(preset, precision);
               vitals::Tensor<float, vitals::dyn, 3, vitals::dyn, vitals::dyn> pixels({batch, 3, side, side});
               const auto numbers = bench::random_numbers(pixels.size(), 1);
               std::copy(numbers.begin(), numbers.end(), pixels.begin());
               const vitals::FeatureRequest request{.executor = &bench::pool(threads)};
               benchmark::DoNotOptimize(model.features(pixels, request));  // buffers and positions of this size
               bench::Runs runs(state, [&] { benchmark::DoNotOptimize(model.features(pixels, request)); });
               runs.images(batch);
               runs.flop(bench::forward_flop(model.info(), side, side) * static_cast<double>(batch), threads,
                         precision);
             })
      ->Unit(benchmark::kMillisecond);
}

}  // namespace

void bench::add_benchmarks() {
  for (const auto precision : {Precision::float32, Precision::bfloat16})
    for (const char* preset : {"dinov2_vits14", "dinov2_vitb14"})
      for (unsigned threads : thread_counts()) {
        add_forward(precision, preset, 224, 1, threads);
        add_forward(precision, preset, 224, 8, threads);
        if (preset == std::string("dinov2_vits14")) add_forward(precision, preset, 518, 1, threads);
      }
}
