// memory_child PRESET WEIGHTS float32|bfloat16 THREADS: loads a backbone, runs one image of 224 and prints the peak resident memory in
// bytes. load_bench starts it, so that nothing else is in the process.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include <vitals/core/error.hpp>
#include <vitals/core/tensor.hpp>
#include <vitals/models/dinov2.hpp>

#include "memory.hpp"

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  try {
    vitals::set_default_threads(static_cast<unsigned>(std::atoi(argv[4])));
    const auto model = argv[3] == std::string_view("bfloat16")
                           ? vitals::dinov2::load<vitals::Cpu<vitals::bfloat16>>(argv[1], argv[2])
                           : vitals::dinov2::load(argv[1], argv[2]);
    vitals::Tensor<float, vitals::dyn, 3, vitals::dyn, vitals::dyn> pixels({1, 3, 224, 224});
    std::fill(pixels.begin(), pixels.end(), 0.5f);
    const auto features = model->features(pixels);
    std::printf("%.0f\n", bench::peak_memory());
    return features.cls.empty() ? 1 : 0;
  } catch (const vitals::Error& error) {
    std::fprintf(stderr, "memory_child: error: %s\n", error.what());
    return 1;
  }
}
