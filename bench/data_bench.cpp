// From a file to what enters the model: decoding, and decoding with a transform, on one thread (images/s a core). Names:
// what/kind/side. A model of 224 pixels needs this to be faster than its own images a second for each core.
#include <cstddef>
#include <filesystem>
#include <string>

#include <vitals/data/transforms.hpp>
#include <vitals/io/image.hpp>

#include "bench.hpp"
#include "folder.hpp"
#include "pictures.hpp"

namespace {

bench::TemporaryFolder& folder() {
  static bench::TemporaryFolder made;
  return made;
}

// Drawn when its benchmark runs; the system keeps it in memory, so no disk is measured.
std::filesystem::path picture(const std::string& kind, std::size_t side) {
  const auto file = folder() / (kind + "_" + std::to_string(side) + (kind == "jpeg" ? ".jpg" : ".png"));
  if (!std::filesystem::exists(file)) {
    if (kind == "jpeg") bench::write_jpeg(file, side);
    if (kind == "png8") bench::write_png8(file, side);
    if (kind == "png16") bench::write_png16(file, side);
  }
  return file;
}

}  // namespace

void bench::add_benchmarks() {
  const auto add_picture = [](const std::string& what, const std::string& kind, std::size_t side, auto work) {
    add(what + "/" + kind + "/" + std::to_string(side), [=](benchmark::State& state) {
      const auto file = picture(kind, side);
      Runs runs(state, [&] { benchmark::DoNotOptimize(work(file)); });
      runs.images(1);
      state.counters["file KiB"] = static_cast<double>(std::filesystem::file_size(file)) / 1024;
    })->Unit(benchmark::kMillisecond);
  };
  namespace vt = vitals;
  for (const char* kind : {"jpeg", "png8", "png16"})
    for (std::size_t side : {224, 1024}) {
      if (kind == std::string("png16") && side == 224) continue;
      add_picture("decode", kind, side, [](const auto& file) { return vt::io::read_image(file); });
      add_picture("decode_dinov2", kind, side,
                  [](const auto& file) { return vt::transforms::dinov2(224)(vt::io::read_image(file)); });
      add_picture("decode_paper", kind, side,
                  [](const auto& file) { return vt::transforms::paper(224)(vt::io::read_image(file)); });
    }
}
