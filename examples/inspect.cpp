// What is in a file? Tensors of a checkpoint and the preset they fit, a picture, a NIfTI volume, a DICOM image or a folder with a series.
//
//   inspect dinov2_vits14_pretrain.pth
#include <algorithm>
#include <iostream>
#include <string>
#include <variant>

#include <vitals/core/error.hpp>
#include <vitals/io/image.hpp>
#include <vitals/io/npy.hpp>
#include <vitals/io/tensor_file.hpp>
#include <vitals/models/checkpoint.hpp>

#include "support/command_line.hpp"
#include "support/demo_model.hpp"
#include "support/medical.hpp"
#include "support/run.hpp"

namespace vt = vitals;

namespace {

void show_picture(const std::filesystem::path& file, const std::filesystem::path& raw) {
  const auto image = vt::io::read_image(file);
  const char* channels[] = {"grey", "grey, alpha", "RGB", "RGBA"};
  std::cout << "picture: " << image.height() << " x " << image.width() << " (height x width), "
            << channels[image.channels() - 1] << "\n";
  std::visit(
      [&](const auto& pixels) {
        using T = typename std::remove_cvref_t<decltype(pixels)>::value_type;
        const auto [low, high] = std::minmax_element(pixels.begin(), pixels.end());
        std::cout << "type: " << vt::io::name(vt::io::dtype_of<T>()) << "\nrange: " << +*low << " to " << +*high
                  << "\n";
        std::vector<std::size_t> shape;  // rows, columns, samples; axes of length 1 are left out
        for (auto extent : pixels.shape())
          if (extent > 1) shape.push_back(extent);
        if (!raw.empty()) vt::io::write_npy(raw, shape, pixels.span());
      },
      image.pixels);
}

void show_tensors(const std::filesystem::path& file) {
  const auto tensors = vt::io::TensorFile::open(file);
  std::size_t width = 4, numbers = 0;
  for (const auto& entry : tensors.entries()) width = std::max(width, entry.name.size());
  for (const auto& entry : tensors.entries()) {
    std::cout << entry.name << std::string(width + 2 - entry.name.size(), ' ') << vt::io::name(entry.dtype) << "  "
              << vt::to_string(entry.shape) << "\n";
    numbers += entry.size();
  }
  for (const auto& [key, value] : tensors.metadata()) std::cout << "metadata " << key << ": " << value << "\n";
  std::cout << "format: " << tensors.format() << "\ntensors: " << tensors.entries().size() << ", numbers: " << numbers
            << "\n";
  try {
    const vt::Checkpoint checkpoint(tensors);
    const auto preset = support::preset_of(checkpoint);
    std::cout << "preset: " << (preset.empty() ? "none of ours" : preset) << "\nnaming: " << vt::name(checkpoint.naming)
              << "\n";
    if (!checkpoint.prefix.empty()) std::cout << "prefix: " << checkpoint.prefix << "\n";
  } catch (const vt::DataError&) {
    std::cout << "preset: none, there is no backbone in it\n";
  }
}

}  // namespace

int main(int argc, char** argv) {
  return support::program(
      "inspect", "What is in a file: tensors and the preset they fit, a picture, a NIfTI volume, a DICOM image",
      [&](support::CommandLine& line) {
        std::vector<std::filesystem::path> files;
        std::filesystem::path raw;
        line.files("file", files,
                   ".safetensors, .pth, PNG, JPEG, .nii, .nii.gz or DICOM; a folder: the slices of a DICOM series")
            .required();
        line.option(
            "--export", raw,
            "write the stored values of a picture as .npy: frames, rows, columns, samples (NIfTI: ..., z, y, x), "
            "axes of length 1 left out");
        line.parse(argc, argv);
        if (files.size() != 1) throw support::UsageError("give one file");
        support::check_output(raw);
        if (std::filesystem::is_directory(files[0])) {
          if (!raw.empty()) throw support::UsageError("--export goes with a file");
          return support::show_series(files[0]);
        }
        switch (support::kind_of(files[0])) {
          case support::FileKind::picture:
            return show_picture(files[0], raw);
          case support::FileKind::dicom:
            return support::show_dicom(files[0], raw);
          case support::FileKind::nifti:
            return support::show_nifti(files[0], raw);
          case support::FileKind::tensors:
            if (!raw.empty()) throw support::UsageError("--export goes with a picture");
            return show_tensors(files[0]);
        }
      });
}
