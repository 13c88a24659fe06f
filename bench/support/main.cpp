// main of every benchmark: Google Benchmark's options (--help lists them) and --threads N.
#include <charconv>
#include <cmath>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <vitals/backend/cpu/isa.hpp>
#include <vitals/core/error.hpp>
#include <vitals/core/version.hpp>

#include "bandwidth.hpp"
#include "bench.hpp"

namespace bench {

namespace {
unsigned wanted_threads = 0;
}

unsigned threads() {
  if (wanted_threads == 0) wanted_threads = vitals::ThreadPool().threads();
  return wanted_threads;
}

vitals::Executor& pool(unsigned n) {
  static std::map<unsigned, std::unique_ptr<vitals::ThreadPool>> pools;
  auto& found = pools[n];
  if (!found) found = std::make_unique<vitals::ThreadPool>(n);
  return *found;
}

double peak(unsigned n, Precision precision) {
  static std::map<std::pair<unsigned, Precision>, double> peaks;
  auto& found = peaks[{n, precision}];
  if (found == 0) found = measure_peak(vitals::backend::cpu::active_isa(), precision, n);
  return found;
}

}  // namespace bench

int main(int argc, char** argv) {
  std::vector<char*> others;
  for (int i = 0; i < argc; ++i) {
    std::string_view word = argv[i];
    const bool inline_value = word.starts_with("--threads=");
    if (word != "--threads" && !inline_value) {
      others.push_back(argv[i]);
      continue;
    }
    word = inline_value ? word.substr(10) : i + 1 < argc ? std::string_view(argv[++i]) : std::string_view();
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), bench::wanted_threads);
    if (error != std::errc() || end != word.data() + word.size() || bench::wanted_threads == 0 ||
        bench::wanted_threads > 1024) {
      std::fprintf(stderr, "%s: error: --threads needs a number from 1 to 1024\n", argv[0]);
      return 2;
    }
  }
  int count = static_cast<int>(others.size());
  try {
    benchmark::Initialize(&count, others.data());
    if (benchmark::ReportUnrecognizedArguments(count, others.data())) return 2;
    benchmark::AddCustomContext("vitals", vitals::version);
    benchmark::AddCustomContext("instruction set", vitals::backend::cpu::name(vitals::backend::cpu::active_isa()));
    for (const auto precision : {bench::Precision::float32, bench::Precision::bfloat16})
      for (unsigned n : bench::thread_counts())
        benchmark::AddCustomContext(
            std::string(bench::name(precision)) + " peak, " + std::to_string(n) + " thread" + (n > 1 ? "s" : ""),
            std::to_string(std::lround(bench::peak(n, precision) * 1e-9)) + " GFLOP/s");
    for (unsigned n : bench::thread_counts())
      for (const auto& memory : bench::memories(n)) {
        const double bytes = bench::measure_bandwidth(vitals::backend::cpu::active_isa(), memory.bytes, n);
        benchmark::AddCustomContext(
            std::string(memory.name) + " bandwidth, " + std::to_string(n) + " thread" + (n > 1 ? "s" : ""),
            std::to_string(std::lround(bytes * 1e-9)) + " GB/s");
      }
    bench::add_benchmarks();
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
  } catch (const vitals::Error& error) {
    std::fprintf(stderr, "%s: error: %s\n", argv[0], error.what());
    return 1;
  }
  return 0;
}
