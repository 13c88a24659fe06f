// The features of pictures, or of pixels that someone else has prepared, as a .safetensors file.
//
//   features --weights dinov2_vits14_pretrain.pth chest.png hand.png --output out.safetensors
#include <algorithm>
#include <cmath>
#include <iostream>

#include <vitals/core/error.hpp>
#include <vitals/core/parallel.hpp>
#include <vitals/core/version.hpp>
#include <vitals/io/image.hpp>
#include <vitals/io/safetensors.hpp>
#include <vitals/report/overlay.hpp>

#include "support/command_line.hpp"
#include "support/medical.hpp"
#include "support/model.hpp"
#include "support/pixels.hpp"
#include "support/run.hpp"

namespace vt = vitals;

namespace {

// A tensor that grows image by image.
struct Growing {
  std::string name;
  std::vector<std::size_t> shape;
  std::vector<float> numbers;

  Growing(std::string tensor_name) : name(std::move(tensor_name)) {}
  template <class T>
  void append(const T& part, std::size_t images) {  // part (B, ...) of a batch; `images`: how many will come in all
    if (numbers.empty()) {
      shape.assign(part.shape().begin(), part.shape().end());
      shape[0] = 0;
      numbers.reserve(images * part.size() / part.extent(0));
    }
    if (std::any_of(part.begin(), part.end(), [](float v) { return !std::isfinite(v); }))
      throw vt::DataError("NaN or infinite numbers in " + name, "", "check the pictures and the weights");
    shape[0] += part.extent(0);
    numbers.insert(numbers.end(), part.begin(), part.end());
  }
};

}  // namespace

int main(int argc, char** argv) {
  return support::program("features", "Features of pictures under a backbone", [&](support::CommandLine& line) {
    support::ModelOptions options(line, "dinov2");
    std::vector<std::filesystem::path> images;
    std::filesystem::path input, output, pca;
    std::size_t blocks = 0;
    bool save_pixels = false;
    line.files("images", images, "PNG, JPEG, DICOM (its window; without one from least to most) or NIfTI files");
    std::size_t slice = 0;
    support::SliceChoice choice;
    line.option("--axis", choice.axis, "of NIfTI: slices along x (0), y (1) or z (2) of the patient");
    line.option(
        "--slice", slice,
        "which one, of a volume turned to LPS, or which DICOM frame; default: the middle slice, the first frame");
    line.option("--input", input, "instead of pictures: .safetensors with `pixels` (B, 3, H, W), float32, normalised");
    line.option("--output", output, "write cls, patches, registers ... as .safetensors").required();
    line.option("--blocks", blocks,
                "also the last n blocks: cls.0 patches.0 ..., shallow to deep, each after the final norm");
    line.flag("--save-pixels", save_pixels, "also what entered the model");
    line.option("--pca", pca, "draw the first image and the principal components of its patches as PNG");
    line.parse(argc, argv);
    if (choice.axis > 2) throw support::UsageError("--axis: 0, 1 or 2");
    if (line.given("--slice")) choice.slice = slice;
    if (images.empty() == input.empty()) throw support::UsageError("give either pictures or --input");
    for (const auto& file : {output, pca}) support::check_output(file);

    support::ProgressBar bar(options.quiet);
    const auto source =
        input.empty() ? support::pixels_of_images(images, options.transform(), choice) : support::pixels_of_file(input);
    const auto model = support::load_model(options, bar, input.empty());
    const auto& info = model.backbone->info();
    if (blocks > info.depth)
      throw vt::ArgumentError("--blocks: " + std::to_string(blocks) + " of a model of " + std::to_string(info.depth));

    Growing cls("cls"), patches("patches"), registers("registers"), pixels("pixels");
    std::vector<Growing> block_cls, block_patches;
    for (std::size_t k = 0; k < blocks; ++k) {
      block_cls.emplace_back("cls." + std::to_string(k));
      block_patches.emplace_back("patches." + std::to_string(k));
    }
    const auto progress = bar.sink();
    for (std::size_t first = 0; first < source.count; first += options.batch) {
      const auto batch = source.read(first, std::min(options.batch, source.count - first));  // (B, 3, H, W)
      const auto out = model.backbone->features(batch, {.blocks = blocks});
      cls.append(out.cls, source.count);
      patches.append(out.patches, source.count);
      if (info.registers) registers.append(out.registers, source.count);
      for (std::size_t k = 0; k < blocks; ++k) {
        block_cls[k].append(out.block_cls[k], source.count);
        block_patches[k].append(out.block_patches[k], source.count);
      }
      if (save_pixels) pixels.append(batch, source.count);
      if (first == 0 && !pca.empty()) vt::report::save_patch_pca(pca, batch[0], out.patches[0], info.patch);
      progress("features", first + batch.extent(0), source.count);
    }

    std::vector<vt::io::NamedTensor> tensors;
    const auto add = [&](const Growing& t) {
      if (!t.numbers.empty()) tensors.emplace_back(t.name, t.shape, std::span(t.numbers));
    };
    add(cls), add(patches), add(registers);
    for (std::size_t k = 0; k < blocks; ++k) add(block_cls[k]), add(block_patches[k]);
    add(pixels);
    vt::io::write_safetensors(output, tensors,
                              {{"model", options.model},
                               {"weights", model.weights},
                               {"weights_sha256", model.random ? "" : model.weights_sha256},
                               {"transform", source.transform},
                               {"size", source.size},
                               {"dtype", options.dtype},
                               {"positions", vt::name(info.positions)},
                               {"files", support::json_list(source.files)},
                               {"version", vt::version}});
    for (const auto& t : tensors) std::cout << t.name << " " << vt::to_string(t.shape) << "\n";
  });
}
