// Masks of new volumes and pictures, by a decoder that `segment --save-decoder` wrote.
//
//   segment_volume --weights dinov2_vits14_pretrain.pth --decoder heart.safetensors --output masks/ la_003.nii.gz la_004.nii.gz
#include <iostream>

#include <vitals/core/error.hpp>
#include <vitals/data/nifti_volumes.hpp>
#include <vitals/eval/segmentation.hpp>
#include <vitals/eval/volumes.hpp>
#include <vitals/io/nifti.hpp>
#include <vitals/io/tensor_file.hpp>
#include <vitals/train/trainable_decoder.hpp>

#include "support/command_line.hpp"
#include "support/model.hpp"
#include "support/run.hpp"

namespace vt = vitals;

namespace {

void body(support::CommandLine& line, int argc, char** argv) {
  support::ModelOptions model(line, "paper");
  std::filesystem::path decoder_file, output;
  std::vector<std::filesystem::path> files;
  std::string decoder_dtype = "float32";
  bool windows = false;
  double overlap = 0.5;
  line.option("--decoder", decoder_file,
              "what segment --save-decoder wrote; size, transform, axis, intensity come from it")
      .required();
  line.option("--output", output, "folder for the masks: NIfTI with the header of the volume, PNG of a picture")
      .required();
  line.choice("--decoder-dtype", decoder_dtype, {"float32", "bfloat16"}, "what the decoder computes in");
  line.flag("--windows", windows, "sliding windows at the image's own resolution instead of resizing it");
  line.option("--overlap", overlap, "of neighbouring windows, as a share of their side");
  line.files("files", files, "NIfTI volumes, PNG or JPEG pictures").required();
  line.parse(argc, argv);

  const auto metadata = vt::io::TensorFile::open(decoder_file).metadata();
  const auto said = [&](const char* key) {
    const auto at = metadata.find(key);
    if (at == metadata.end())
      throw vt::FormatError(std::string("no ") + key + " in the header", decoder_file.string(),
                            "give a file of segment --save-decoder");
    return at->second;
  };
  const auto decoder = vt::train::load_decoder(decoder_file, decoder_dtype);
  const auto size = decoder->shape().size;
  model.model = said("model");
  model.size = support::size_text({size[0], size[1]});
  model.transform_name = said("transform");
  support::ProgressBar bar(model.quiet);
  const auto loaded = support::load_model(model, bar);
  if (loaded.weights_sha256 != said("weights_sha256"))
    throw vt::DataError("the decoder was trained on other weights of " + model.model, decoder_file.string(),
                        "give --weights the file it was trained on");
  std::filesystem::create_directories(output);

  const vt::eval::Segmenter segmenter(*loaded.backbone, *decoder);
  const auto logits = vt::eval::logits_of(segmenter);
  vt::eval::VolumeOptions how;
  how.axis = said("axis")[0] - '0';
  how.intensity = vt::data::intensity_by_name(said("intensity"));
  how.batch = model.batch;
  how.windows = windows;
  how.window.overlap = overlap;
  how.progress = bar.sink();
  std::vector<std::uint8_t> values;  // of the classes, as the training masks had them
  for (std::size_t at = 0, end; at < said("mask_values").size(); at = end + 1) {
    end = std::min(said("mask_values").find(',', at), said("mask_values").size());
    values.push_back(static_cast<std::uint8_t>(std::stoi(said("mask_values").substr(at, end - at))));
  }
  const auto renamed = [&](auto& mask) {
    for (auto& v : mask) v = values.empty() ? v : values.at(v);
  };
  for (const auto& file : files) {
    auto name = file.filename();
    if (vt::data::nifti().is(file)) {
      auto mask = vt::eval::predict_volume(logits, vt::io::read_nifti(file), model.transform(), how);
      renamed(mask.values);
      vt::io::write_nifti_labels(output / name, mask, file);
    } else {
      const auto image = vt::io::read_image(file);
      auto mask = windows ? vt::eval::sliding_windows(logits, image, model.transform(), how.window)
                          : segmenter.mask(image, model.transform());
      renamed(mask);
      vt::io::write_png(output / name.replace_extension(".png"),
                        vt::TensorView<const std::uint8_t, vt::dyn, vt::dyn, vt::dyn>(
                            mask.data(), {mask.extent(0), mask.extent(1), std::size_t{1}}));
    }
    std::cout << (output / name).string() << "\n";
  }
}

}  // namespace

int main(int argc, char** argv) {
  return support::program("segment_volume", "Masks of volumes and pictures by a trained decoder",
                          [&](support::CommandLine& line) { body(line, argc, argv); });
}
