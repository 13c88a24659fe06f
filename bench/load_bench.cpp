// Opening and loading weights, and what a process needs in memory for it. Names: open/model, load/precision/model, memory/precision/model.
//
// `memory` starts a process (memory_child) that loads the file, runs one image of 224 and reports its peak resident
// memory; "peak / file" is that over the size of the file.
#include <array>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>

#include <vitals/core/tensor.hpp>
#include <vitals/io/tensor_file.hpp>
#include <vitals/models/dinov2.hpp>

#include "bench.hpp"
#include "folder.hpp"
#include "random_checkpoint.hpp"

namespace {

const std::filesystem::path& checkpoint(const std::string& preset) {
  static bench::TemporaryFolder folder;
  static std::map<std::string, std::filesystem::path> files;
  auto& file = files[preset];
  if (file.empty()) {
    const auto target = folder / (preset + ".safetensors");
    bench::write_random_checkpoint(preset, 0, target);
    file = target;
  }
  return file;
}

}  // namespace

void bench::add_benchmarks() {
  for (const std::string preset : {"dinov2_vits14", "dinov2_vitb14", "dinov2_vitl14"}) {
    add("open/" + preset, [=](benchmark::State& state) {
      const auto& file = checkpoint(preset);
      Runs(state, [&] { benchmark::DoNotOptimize(vitals::Checkpoint::open(file)); });
    })->Unit(benchmark::kMillisecond);
    for (const auto precision : {Precision::float32, Precision::bfloat16}) {
      add("load/" + std::string(name(precision)) + "/" + preset, [=](benchmark::State& state) {
        const auto& file = checkpoint(preset);
        Runs runs(state, [&] {
          const vitals::LoadOptions options{.positions = {}, .executor = &pool(threads())};
          const auto model = precision == Precision::float32
                                 ? vitals::dinov2::load(preset, file, options)
                                 : vitals::dinov2::load<vitals::Cpu<vitals::bfloat16>>(preset, file, options);
          benchmark::DoNotOptimize(model.get());
        });
        runs.bytes(static_cast<double>(std::filesystem::file_size(file)));
      })->Unit(benchmark::kMillisecond);
      add("memory/" + std::string(name(precision)) + "/" + preset,
          [=](benchmark::State& state) {
            const auto& file = checkpoint(preset);
            const std::string command = VITALS_MEMORY_CHILD " " + preset + " '" + file.string() + "' " +
                                        name(precision) + " " + std::to_string(threads());
            double peak = 0;
            Runs(state, [&] {
              std::FILE* child = ::popen(command.c_str(), "r");
              std::array<char, 64> line{};
              const bool answered = child && std::fgets(line.data(), line.size(), child);
              if (child && ::pclose(child) == 0 && answered) peak = std::atof(line.data());
            });
            if (peak == 0) return state.SkipWithError("the child process failed");
            const auto size = static_cast<double>(std::filesystem::file_size(file));
            state.counters["peak MiB"] = peak / 1048576;
            state.counters["file MiB"] = size / 1048576;
            state.counters["peak / file"] = peak / size;
          })
          ->Iterations(1)
          ->Unit(benchmark::kMillisecond);
    }
  }
}
