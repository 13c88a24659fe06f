#include "segmenting.hpp"

#include <chrono>
#include <iostream>

#include <vitals/core/error.hpp>
#include <vitals/core/number_text.hpp>
#include <vitals/core/version.hpp>
#include <vitals/data/datasets/segmentation_benchmarks.hpp>
#include <vitals/data/nifti_volumes.hpp>
#include <vitals/data/paired.hpp>
#include <vitals/eval/segmentation.hpp>
#include <vitals/report/segmentation.hpp>
#include <vitals/train/trainable_decoder.hpp>

#include "case_files.hpp"
#include "model.hpp"
#include "run.hpp"

namespace vt = vitals;

namespace support {

namespace {

// --data or --root, and how masks and slices are read.
struct SegmentationData {
  std::filesystem::path manifest, root;
  std::string dataset, intensity = "none";
  std::vector<std::size_t> mask_values;
  std::vector<std::string> classes;
  std::size_t axis = 2;
  bool overlap = false, incomplete = false;

  SegmentationData(CommandLine& line, std::string_view benchmark) : dataset(benchmark) {
    if (benchmark.empty()) {
      line.option("--data", manifest, "manifest: CSV with path,mask,split[,patient]; pictures or NIfTI");
      std::vector<std::string> names;
      for (const auto* known : vt::data::segmentation_benchmarks()) names.emplace_back(known->name);
      line.choice("--dataset", dataset, names, "instead of a manifest: a benchmark of the study, in the folder --root");
      line.option("--mask-values", mask_values, "values of the classes in the masks, background first: 0,255");
      line.option("--classes", classes, "names of the classes, background first");
      line.option("--axis", axis, "of volumes: slices lie across it");
      line.option("--intensity", intensity, "numbers of a slice: none, p5p95, or LOW,HIGH");
      line.flag("--allow-patient-overlap", overlap, "accept a patient in two splits; the report says so");
    }
    line.option("--root", root, "folder of the archive");
    if (!benchmark.empty()) line.required();
    line.flag("--allow-incomplete", incomplete, "of an archive: take what is there");
  }

  vt::data::SegmentationDataset read(ProgressBar& bar) const {
    vt::data::SegmentationManifestOptions how;
    how.volumes = &vt::data::nifti();
    how.progress = bar.sink();
    if (!dataset.empty()) {
      if (!manifest.empty()) throw UsageError("--data and --dataset: give one of them");
      if (root.empty()) throw UsageError("--dataset: name the archive's folder, --root DIR");
      return vt::data::open(vt::data::segmentation_benchmark(dataset), root, how, incomplete);
    }
    if (manifest.empty()) throw UsageError("--data is required (or --dataset with --root)");
    how.allow_patient_overlap = overlap;
    for (std::size_t value : mask_values)
      how.mask_values.push_back(static_cast<int>(std::min<std::size_t>(value, 256)));
    how.classes = classes;
    how.axis = axis;
    how.intensity = vt::data::intensity_by_name(intensity);
    return vt::data::read_segmentation_manifest(manifest, how);
  }
};

// "the class a" or "the classes a, b ...".
std::string classes_text(const std::vector<std::string>& classes) {
  std::string text = classes.size() == 1 ? "the class " : "the classes ";
  for (std::size_t i = 0; i < classes.size() && i < 8; ++i) text += (i ? ", " : "") + classes[i];
  return classes.size() > 8 ? text + " ... (" + std::to_string(classes.size()) + " in all)" : text;
}

}  // namespace

void segment(CommandLine& line, int argc, char** argv, std::string_view benchmark) {
  ModelOptions model(line, "paper", false);
  SegmentationData data(line, benchmark);
  vt::eval::SegmentationOptions o;
  std::string decoder = "unet", loss = "dice", optimizer = "sgd", augment = "none", decoder_dtype = "float32",
              empty = "skip";
  std::filesystem::path report_file, overlays, masks, decoder_file, cache, checkpoint;
  std::size_t bootstrap = 1000;
  bool retrain = false, paper_mode = false;
  line.choice("--decoder", decoder, {"linear", "unet"}, "on the last block, or the study's U-Net on the last five");
  line.choice("--loss", loss, {"dice", "cross_entropy", "combined", "focal"},
              "over pixels; combined is Dice + cross entropy");
  line.option("--lrs", o.lrs, "rates of the grid; the best on val is tested");
  line.option("--epochs", o.epochs, "passes over the training slices");
  line.option("--batch", o.batch, "slices of one step");
  line.choice("--optimizer", optimizer, {"sgd", "adamw"}, "sgd has momentum 0.9");
  line.choice("--augment", augment, {"paper", "none"}, "paper: flips and rotations of image and mask");
  line.choice("--decoder-dtype", decoder_dtype, {"float32", "bfloat16"}, "what the decoder computes in");
  line.flag("--retrain", retrain, "train the winner anew on train + val, as the study does");
  line.flag("--paper-mode", paper_mode, "batch norm by the statistics of each test batch, as the study does");
  line.choice("--empty", empty, {"skip", "one", "zero"}, "a class that neither mask of a case has");
  line.option("--report", report_file, "write the results and their conditions as JSON").required();
  line.option("--overlays", overlays, "folder for pictures of the cases and contact_sheet.png");
  line.option("--save-masks", masks, "folder for the predicted masks: PNG of pictures, NIfTI of volumes");
  line.option("--save-decoder", decoder_file, "write the decoder as .safetensors, for segment_volume");
  line.option("--cache", cache, "folder that keeps tokens for the next run");
  line.option("--checkpoint", checkpoint, "folder that keeps the state, to go on after an interruption");
  line.flag("--resume", o.resume, "go on from the checkpoint, where there is one");
  line.option("--bootstrap", bootstrap, "resamples of the 95 % intervals; 0: no intervals");
  line.parse(argc, argv);
  for (const auto& file : {report_file, decoder_file}) check_output(file);
  if (o.resume && checkpoint.empty()) throw UsageError("--resume: name the folder, --checkpoint DIR");

  auto last = std::chrono::steady_clock::now();
  vt::report::Report report{line.name(), vt::version, {}, {}, {}, 0, {}};
  const auto clock = [&](const char* stage) {
    const auto now = std::chrono::steady_clock::now();
    report.time_s.emplace_back(stage, std::chrono::duration<double>(now - last).count());
    last = now;
  };
  ProgressBar bar(model.quiet);
  const auto transform = model.transform();
  const auto dataset = data.read(bar);
  const auto loaded = load_model(model, bar);
  clock("load");

  o.decoder = vt::heads::decoder_by_name(decoder);
  o.loss = vt::losses::segmentation_loss_by_name(loss);
  o.optimizer = optimizer == "sgd" ? vt::train::OptimizerKind::sgd : vt::train::OptimizerKind::adamw;
  o.dtype = decoder_dtype;
  o.norm = paper_mode ? vt::nn::NormMode::train : vt::nn::NormMode::running;
  if (augment == "paper")
    o.augment = [](const vt::data::MaskedImage& pair, vt::Rng& rng) {
      return vt::data::augmented(pair, vt::data::study_augmentation, rng);
    };
  o.retrain = retrain;
  o.seed = model.seed;
  o.cache = cache;
  o.weights_sha256 = loaded.weights_sha256 + loaded.adapter_sha256;
  o.backbone_dtype = model.dtype;
  o.checkpoint = checkpoint;
  o.progress = bar.sink();
  o.stop = stop_on_signal();
  CaseFiles cases(dataset, overlays, masks);  // test slices are measured as they come and not kept
  o.keep_predictions = false;
  o.on_prediction = [&](const vt::eval::SlicePrediction& prediction) { cases.add(prediction); };

  const auto result = vt::eval::segment(*loaded.backbone, dataset, transform, o);
  if (result.stopped)
    throw vt::Error(
        "interrupted", checkpoint.string(),
        checkpoint.empty() ? "nothing is kept; with --checkpoint DIR the next run can go on" : "go on with --resume");
  clock("segmentation");
  cases.finish();

  add_conditions(report, model, loaded);
  const auto condition = [&](const char* name, vt::report::Condition value) {
    report.conditions.emplace_back(name, std::move(value));
  };
  condition("data", dataset.source.string());
  condition("data_sha256", dataset.sha256);
  condition("classes", dataset.classes);
  condition("axis", static_cast<long long>(dataset.axis));
  condition("intensity", dataset.intensity.name());
  condition("patient_overlap", dataset.patients_overlap);
  condition("decoder", decoder);
  condition("decoder_parameters", static_cast<long long>(result.parameters));
  condition("decoder_dtype", decoder_dtype);
  condition("loss", loss);
  condition("lrs", o.lrs);
  condition("lr", result.lr);
  condition("epochs", static_cast<long long>(o.epochs));
  condition("batch", static_cast<long long>(o.batch));
  condition("optimizer", optimizer);
  condition("augment", augment);
  condition("retrain", retrain);
  condition("paper_mode", paper_mode);
  condition("empty", empty);
  condition("bootstrap", static_cast<long long>(bootstrap));
  report.notes.insert(report.notes.end(), result.notes.begin(), result.notes.end());
  if (dataset.patients_overlap) report.notes.push_back("patients stand in more than one split: scores may be too good");
  if (const auto absent = dataset.absent_classes(vt::data::Split::train); !absent.empty())
    report.notes.push_back("no training mask has " + classes_text(absent) + ", which cannot be learnt");
  if (const auto absent = dataset.absent_classes(vt::data::Split::test); !absent.empty())
    report.notes.push_back("no test mask has " + classes_text(absent));

  for (const auto& training : result.grid) {  // what val said about each rate
    if (training.curve.empty()) continue;
    vt::report::Result on_val;
    on_val.name = decoder + " lr=" + vt::shortest_text(training.lr);
    on_val.split = "val";
    on_val.metric = "dice of the grid";
    on_val.value =
        training.diverged ? vt::metrics::Score::none("the loss diverged") : vt::metrics::Score(training.dice);
    on_val.n = dataset.indices(vt::data::Split::val).size();
    report.results.push_back(on_val);
  }
  vt::metrics::SegmentationOptions how;
  how.empty = vt::metrics::empty_mask_by_name(empty);
  how.bootstrap = bootstrap;
  how.seed = model.seed;
  how.groups = vt::metrics::group_numbers(cases.patients);
  const auto native = vt::report::segmentation_results(result.name, "test", dataset.classes, cases.native, how);
  how.surfaces = false;
  const auto small =
      vt::report::segmentation_results(result.name + " model size", "test", dataset.classes, cases.model_size, how);
  report.results.insert(report.results.end(), native.begin(), native.end());
  report.results.insert(report.results.end(), small.begin(), small.end());
  report.cases = vt::report::case_records(cases.paths, dataset.classes, cases.native, how.empty);
  clock("metrics");
  report.time_s.emplace_back("features", result.time.features);
  report.time_s.emplace_back("training", result.time.training);
  report.time_s.emplace_back("test", result.time.test);
  if (!decoder_file.empty()) {
    std::string names, values;
    for (const auto& name : dataset.classes) names += (names.empty() ? "" : "|") + name;
    for (int value : dataset.mask_values) values += (values.empty() ? "" : ",") + std::to_string(value);
    vt::train::save_decoder(decoder_file, *result.decoder,
                            {{"model", model.model},
                             {"weights_sha256", loaded.weights_sha256},
                             {"transform", model.transform_name},
                             {"axis", std::to_string(dataset.axis)},
                             {"intensity", dataset.intensity.name()},
                             {"class_names", names},
                             {"mask_values", values}});
  }
  report.peak_memory_mib = vt::report::peak_memory_mib();
  vt::report::write_json(report_file, report);
  std::vector<vt::report::Result> shown;
  for (const auto& r : report.results)
    if (r.split == "test" && (r.metric == "dice" || r.metric == "jaccard" || r.metric == "hd95")) shown.push_back(r);
  std::cout << vt::report::table(shown);
  for (const auto& note : report.notes) std::cout << "note: " << note << "\n";
}

}  // namespace support
