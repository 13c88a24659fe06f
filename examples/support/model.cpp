#include "model.hpp"

#include <array>
#include <charconv>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>

#include <vitals/core/error.hpp>
#include <vitals/core/parallel.hpp>
#include <vitals/core/sha256.hpp>
#include <vitals/models/demo.hpp>
#include <vitals/models/dinov2.hpp>
#include <vitals/train/trainable_presets.hpp>

#include "demo_model.hpp"

namespace vt = vitals;

namespace support {

namespace {

std::vector<std::string> preset_names() {
  std::vector<std::string> names{std::string(vt::demo::preset)};
  for (const auto& preset : vt::dinov2::presets) names.emplace_back(preset.name);
  return names;
}

// "224" or "224x448".
vt::transforms::Size size_of(const std::string& text) {
  std::array<std::size_t, 2> sides{};
  const char *at = text.data(), *end = at + text.size();
  for (std::size_t i = 0; i < 2; ++i) {
    const auto [next, error] = std::from_chars(at, end, sides[i]);
    if (error != std::errc() || sides[i] == 0 || sides[i] > 65536) break;
    if (next == end) return i == 0 ? vt::transforms::Size(sides[0]) : vt::transforms::Size(sides[0], sides[1]);
    if (i == 1 || *next != 'x') break;
    at = next + 1;
  }
  throw UsageError("--size: \"" + text + "\" is not a size in pixels; write 224 or 224x448 (height x width)");
}

std::optional<vt::Positions> positions_of(const std::string& text) {
  for (auto rule : {vt::Positions::offset, vt::Positions::size, vt::Positions::antialias})
    if (text == vt::name(rule)) return rule;
  return std::nullopt;
}

}  // namespace

std::string size_text(vt::transforms::Size size) {
  const auto height = std::to_string(size.height);
  return size.height == size.width ? height : height + "x" + std::to_string(size.width);
}

namespace {

bool fits_demo(const std::filesystem::path& weights) {
  try {
    return preset_of(vt::Checkpoint::open(weights)) == vt::demo::preset;
  } catch (const vt::Error&) {
    return false;  // loading will say what is wrong with it
  }
}

}  // namespace

ModelOptions::ModelOptions(CommandLine& line, const std::string& default_transform, bool batch_flag)
    : transform_name(default_transform) {
  line.choice(
      "--model", model, preset_names(),
      "backbone: vitals_demo, dinov2_vit{s,b,l,g}14, each also with _reg; with --weights dinov2_vits14 is the default");
  line.option("--weights", weights, ".pth or .safetensors; without it the demo weights, for dinov2_... random ones");
  line.afterwards([this, &line] {
    if (!weights.empty() && !line.given("--model")) model = fits_demo(weights) ? vt::demo::preset : "dinov2_vits14";
  });
  line.option("--adapter", adapter, "PEFT folder to apply to the backbone");
  line.choice("--positions", positions, {"offset", "antialias", "size"},
              "rule for position embeddings; without it the preset's own");
  line.option("--size", size, "what enters the model: S or HxW, multiples of the patch");
  line.choice("--transform", transform_name, {"dinov2", "paper", "paper256"},
              "from the picture to what enters the model");
  line.flag("--no-crop", no_crop, "with --transform dinov2: straight to the size");
  line.choice("--dtype", dtype, {"float32", "bfloat16", "int8"},
              "what the model computes in; int8 moved the AUROC of kNN by up to 0.013 (docs/int8.md)");
  if (batch_flag) line.option("--batch", batch, "images at once");
  line.option("--threads", threads, "0: one for each processor");
  line.option("--seed", seed, "of everything random");
  line.flag("--quiet", quiet, "no progress");
}

vt::transforms::Transform ModelOptions::transform() const {
  if (no_crop && transform_name != "dinov2") throw UsageError("--no-crop goes with --transform dinov2");
  return vt::transforms::by_name(transform_name, size_of(size), !no_crop);
}

namespace {

bool is_demo(const ModelOptions& options) { return options.model == vt::demo::preset; }

void check(const ModelOptions& options, bool check_size) {
  if (options.batch == 0) throw UsageError("--batch: at least one image");
  const auto size = options.transform().size();
  const std::size_t patch =
      (is_demo(options) ? vt::demo::vit14 : vt::dinov2::preset_by_name(options.model).config).patch;
  for (const std::size_t side : {size.height, size.width})
    if (check_size && side % patch != 0) {
      const std::size_t below = side / patch * patch;
      throw vt::ArgumentError(
          "--size: " + std::to_string(side) + " is not a multiple of the patch of " + std::to_string(patch) + " pixels",
          "",
          "the nearest sizes are " + (below ? std::to_string(below) + " and " : "") + std::to_string(below + patch));
    }
  if (options.threads > 1024) throw UsageError("--threads: at most 1024");
  vt::set_default_threads(static_cast<unsigned>(options.threads));
}

// What a report says of the weights; checks that they are the preset's.
void name_weights(Model& model, const ModelOptions& options, ProgressBar& bar) {
  if (options.weights.empty() && is_demo(options)) {
    model.demo = true;
    model.weights = "demo weights";
    model.weights_sha256 = demo_sha256();
    return bar.say("no --weights: demo weights, learnt from drawn pictures");
  }
  if (options.weights.empty()) {
    model.random = true;
    model.weights = model.weights_sha256 = "random weights (seed " + std::to_string(options.seed) + ")";
    return bar.say("no --weights: " + model.weights);
  }
  const auto fits = preset_of(vt::Checkpoint::open(options.weights));
  if (!fits.empty() && fits != options.model)
    throw vt::DataError("these are weights of " + fits + ", not of " + options.model, options.weights.string(),
                        "give --model " + fits);
  model.weights = options.weights.string();
}

}  // namespace

TrainableModel load_trainable_model(const ModelOptions& options, ProgressBar& bar, bool masters, bool check_size) {
  check(options, check_size);
  if (options.dtype == "int8") throw UsageError("--dtype int8: there are no gradients in it; use float32 or bfloat16");
  TrainableModel model;
  name_weights(model, options, bar);
  const auto positions = positions_of(options.positions);
  vt::train::TrainableOptions how;
  how.preset = options.model;
  how.weights = options.weights;
  how.positions = positions;
  how.seed = options.seed;
  how.masters = masters;
  auto made = is_demo(options) ? demo_trainable(demo_checkpoint(options.weights), options.dtype, masters, positions)
              : options.dtype == "bfloat16" ? vt::train::load_trainable<vt::Cpu<vt::bfloat16>>(how)
                                            : vt::train::load_trainable<vt::Cpu<float>>(how);
  if (!options.adapter.empty()) {
    const auto adapter = vt::adapt::read_adapter(options.adapter);
    made->apply(adapter);
    vt::Sha256 sum;
    for (const auto& term : adapter.terms)
      sum.update(term.module)
          .update(term.part)
          .update(std::as_bytes(std::span(term.a)))
          .update(std::as_bytes(std::span(term.b)));
    for (const auto& [name, values] : adapter.biases) sum.update(name).update(std::as_bytes(std::span(values)));
    model.adapter_sha256 = sum.hex();
  }
  model.trainable = made.get();
  model.backbone = std::move(made);
  if (!options.weights.empty()) model.weights_sha256 = vt::sha256_of_file(options.weights);
  return model;
}

Model load_model(const ModelOptions& options, ProgressBar& bar, bool check_size) {
  if (!options.adapter.empty()) {
    if (options.dtype == "int8") throw UsageError("--adapter goes with --dtype float32 or bfloat16");
    auto model = load_trainable_model(options, bar, false, check_size);
    if (options.dtype == "float32") model.trainable->merge();  // a pass then costs what it costs without
    return model;
  }
  check(options, check_size);
  vt::LoadOptions how;
  how.positions = positions_of(options.positions);
  const auto in_dtype = [&](auto make) {
    if (options.dtype == "int8") return make(std::type_identity<vt::Cpu<std::int8_t>>{});
    if (options.dtype == "bfloat16") return make(std::type_identity<vt::Cpu<vt::bfloat16>>{});
    return make(std::type_identity<vt::Cpu<float>>{});
  };
  Model model;
  name_weights(model, options, bar);
  model.backbone = is_demo(options) ? demo_backbone(demo_checkpoint(options.weights), options.dtype, how.positions)
                                    : in_dtype([&]<class B>(std::type_identity<B>) {
                                        return model.random ? vt::dinov2::random<B>(options.model, options.seed, how)
                                                            : vt::dinov2::load<B>(options.model, options.weights, how);
                                      });
  if (!options.weights.empty()) model.weights_sha256 = vt::sha256_of_file(options.weights);
  return model;
}

void add_conditions(vt::report::Report& report, const ModelOptions& options, const Model& model) {
  const auto transform = options.transform();
  auto& c = report.conditions;
  c.emplace_back("model", options.model);
  c.emplace_back("weights", model.weights);
  c.emplace_back("weights_sha256", model.random ? std::string() : model.weights_sha256);
  if (!model.adapter_sha256.empty()) {
    c.emplace_back("adapter", options.adapter.string());
    c.emplace_back("adapter_sha256", model.adapter_sha256);
  }
  c.emplace_back("transform", transform.name());
  c.emplace_back("size", size_text(transform.size()));
  c.emplace_back("dtype", options.dtype);
  c.emplace_back("positions", std::string(vt::name(model.backbone->info().positions)));
  c.emplace_back("seed", static_cast<long long>(options.seed));
  c.emplace_back("threads", static_cast<long long>(vt::default_pool().threads()));
  if (model.random) report.notes.push_back(model.weights + ": the backbone has learnt nothing");
  if (model.demo)
    report.notes.push_back(model.weights +
                           ": a small model that has learnt from drawn pictures, to try the programs with");
}

}  // namespace support
