// Which backbone a program runs and what enters it: --model, --weights, --positions, --size, --transform ...
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>

#include <vitals/data/transforms.hpp>
#include <vitals/models/backbone.hpp>
#include <vitals/report/result.hpp>
#include <vitals/train/trainable.hpp>

#include "command_line.hpp"
#include "progress_bar.hpp"

namespace support {

/// The options that all programs with a backbone share, bound to a command line.
struct ModelOptions {
  /// `batch_flag` false: the program has a --batch of its own, of training.
  ModelOptions(CommandLine& line, const std::string& default_transform, bool batch_flag = true);
  ModelOptions(const ModelOptions&) = delete;

  std::string model = "vitals_demo", dtype = "float32", positions, size = "224", transform_name;
  std::filesystem::path weights, adapter;
  std::size_t threads = 0, seed = 0, batch = 8;
  bool no_crop = false, quiet = false;

  /// What --transform, --size and --no-crop ask for. Throws UsageError.
  vitals::transforms::Transform transform() const;
};

/// "224" or "224x448", as --size takes it.
std::string size_text(vitals::transforms::Size size);

struct Model {
  std::unique_ptr<vitals::Backbone> backbone;
  std::string weights;         ///< the file as given, "demo weights" or "random weights (seed 0)"
  std::string weights_sha256;  ///< of the file; of random weights, the words above
  std::string adapter_sha256;  ///< of --adapter's numbers; empty without
  bool random = false, demo = false;
};

/// Sets the number of threads and loads the weights; without a file the demo weights, for another --model than the demo's
/// random ones; it says so on stderr.
/// --adapter is applied. Throws UsageError, and what loading and applying throw.
/// `check_size` false: --size is not used, the pixels have theirs.
Model load_model(const ModelOptions& options, ProgressBar& bar, bool check_size = true);

/// The same with a way back, for training. `masters`: bfloat16 keeps all matrices in float32 too.
struct TrainableModel : Model {
  vitals::train::TrainableBackbone* trainable = nullptr;  ///< what `backbone` is
};
TrainableModel load_trainable_model(const ModelOptions& options, ProgressBar& bar, bool masters,
                                    bool check_size = true);

/// model, weights, weights_sha256, transform, size, dtype, positions, batch, seed, threads; a note for random and for demo weights.
void add_conditions(vitals::report::Report& report, const ModelOptions& options, const Model& model);

}  // namespace support
