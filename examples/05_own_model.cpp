// Lesson 5: a model of your own, from nothing to a score. A small Vision Transformer with registers and SwiGLU learns to tell
// drawn chest films that are healthy from those with fluid and those with a nodule: `05_own_model FOLDER`.
#include <cstdio>
#include <filesystem>
#include <memory>

#include <vitals/data/phantom_dataset.hpp>
#include <vitals/metrics/auroc.hpp>
#include <vitals/training.hpp>

namespace vt = vitals;

// heads = 5 would not compile: "dim (48) is not a multiple of heads (5)".
inline constexpr vt::ViTConfig tiny{.dim = 48,
                                    .depth = 3,
                                    .heads = 3,
                                    .patch = 8,
                                    .grid = 8,
                                    .registers = 2,
                                    .mlp = vt::Mlp::swiglu,
                                    .positions = vt::Positions::antialias};

int main(int argc, char** argv) try {
  if (argc != 2) return std::fprintf(stderr, "usage: 05_own_model FOLDER\n"), 2;
  const auto manifest = vt::phantom::write_dataset(argv[1], {.train = 96, .val = 24, .test = 48}, {.side = 64});
  const auto data = vt::data::read_manifest(manifest);

  using Model = vt::ViT<tiny, vt::Cpu<float>>;
  vt::train::TrainableOf<Model> model(std::make_unique<Model>(1));  // random values of seed 1
  std::printf("%d numbers to learn\n", int(model.info().parameters));

  vt::eval::FineTuneOptions options;
  options.method = vt::eval::Method::full;
  options.trainer.epochs = 4;
  options.trainer.batch = 16;
  options.trainer.optimizer = {.lr = 1e-3, .head_lr = 1e-3, .weight_decay = 0.05};
  options.trainer.warmup = 0.1;
  options.trainer.max_norm = 1;
  options.trainer.drop_path = 0.1;
  options.trainer.on_step = [](const vt::train::StepReport& at) {
    if (at.step % 6 == 0) std::printf("step %d of %d, loss %.3f\n", int(at.step), int(at.steps), at.loss);
  };
  const auto result = vt::eval::fine_tune(model, data, vt::transforms::paper(64), options);

  const auto areas = vt::metrics::auroc_per_class(data.targets(result.prediction.items), result.prediction.scores);
  for (std::size_t k = 0; k < data.classes.size(); ++k)
    std::printf("AUROC of %s: %.2f\n", data.classes[k].c_str(), *areas.per_class[k]);
  model.save_weights(std::filesystem::path(argv[1]) / "own.safetensors", {{"lesson", "5"}});
} catch (const vt::Error& error) {
  return std::fprintf(stderr, "05_own_model: error: %s\n", error.what()), 1;
}
