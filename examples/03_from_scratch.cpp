// Lesson 3: a model of your own from random weights. It learns from drawn chest films and slices of heads what each patch
// shows and what the picture shows. tools/train_demo_weights.sh makes the weights that the programs carry with it:
//
//   03_from_scratch --output vitals_demo.safetensors
//
// The same seed gives the same bits on one machine, for any number of threads.
#include <algorithm>
#include <cstdio>
#include <iostream>

#include <vitals/core/half.hpp>
#include <vitals/io/safetensors.hpp>
#include <vitals/models/demo.hpp>
#include <vitals/training.hpp>

#include "support/command_line.hpp"
#include "support/progress_bar.hpp"
#include "support/scenes.hpp"

namespace vt = vitals;

namespace {

using B = vt::Cpu<vt::bfloat16>;  // products in bfloat16; parameters, sums and the optimiser in float32
using Model = vt::ViT<vt::demo::vit14, B>;
constexpr std::size_t dim = vt::demo::vit14.dim, patch = vt::demo::vit14.patch;

void save(Model& model, const std::filesystem::path& file, const std::map<std::string, std::string>& metadata) {
  std::vector<std::vector<vt::bfloat16>> kept;
  std::vector<vt::io::NamedTensor> tensors;
  for (const auto& [name, parameter] : model.parameters()) {
    std::vector<float> values(parameter->size());
    parameter->copy_to(values);
    kept.emplace_back(values.begin(), values.end());
    tensors.emplace_back(name, std::vector<std::size_t>(parameter->shape().begin(), parameter->shape().end()),
                         std::span<const vt::bfloat16>(kept.back()));
  }
  vt::io::write_safetensors(file, tensors, metadata);
}

// Small pictures first: most of what there is to learn can be seen on them, for a fifth of the work. `small`, `middle`: the
// shares of the steps after which they grow.
std::size_t side_at(double done, double small, double middle) {
  return patch * (done < small ? 8 : done < middle ? 12 : 16);
}

// What one would be asked for, of all that is known of the pictures: (B, 9).
std::vector<float> findings_of(const support::SceneBatch& seen, std::size_t batch) {
  std::vector<float> out;
  for (std::size_t b = 0; b < batch; ++b)
    for (std::size_t i = 0; i < support::scene_findings; ++i)
      out.push_back(support::scene_finding(&seen.picture[b * support::scene_targets], i));
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  return support::program("03_from_scratch", "Trains a small model on drawn pictures", [&](support::CommandLine& line) {
    std::filesystem::path output, from;
    double small = 0.62, middle = 0.84, findings = 0;
    std::size_t steps = 2500, batch = 32, pool = 1024, fresh = 2, seed = 0, threads = 0, every = 200;
    double lr = 1e-3;
    bool quiet = false;
    line.option("--output", output, "weights as .safetensors in bfloat16").required();
    line.option("--from", from, "weights to start from; without it random ones");
    line.option("--findings", findings, "weight of the findings alone, beside all that is known of a picture");
    line.option("--small", small, "share of the steps after which pictures grow from 112 to 168 pixels");
    line.option("--middle", middle, "share of the steps after which they grow to 224");
    line.option("--steps", steps, "of the optimiser");
    line.option("--batch", batch, "pictures of one step");
    line.option("--pool", pool, "drawings at hand");
    line.option("--fresh", fresh, "drawings replaced at each step");
    line.option("--lr", lr, "highest rate");
    line.option("--seed", seed, "of everything random");
    line.option("--threads", threads, "0: one for each processor");
    line.option("--save-every", every, "steps between files on the way");
    line.flag("--quiet", quiet, "no progress");
    line.parse(argc, argv);
    vt::set_default_threads(static_cast<unsigned>(threads));

    support::Scenes scenes(seed, pool, 176, vt::default_pool());
    Model model;
    for (const auto& row : model.parameters()) row.parameter->keep_master();  // float32 beside bfloat16
    if (from.empty())
      vt::nn::initialize(model.parameters(), seed, vt::default_pool());
    else
      vt::load_into(model.parameters(), vt::Checkpoint::open(from));
    vt::nn::Linear<dim, support::scene_targets, B> of_picture(seed + 1);
    vt::nn::Linear<dim, support::scene_tissues, B> of_patch(seed + 2);
    vt::nn::Linear<dim, support::scene_findings, B> of_findings(seed + 3);

    auto rows = vt::trainable(model, of_picture);
    for (auto& row : vt::trainable(of_patch)) rows.push_back({"patch_head." + row.name, row.parameter});
    if (findings > 0)
      for (auto& row : vt::trainable(of_findings)) rows.push_back({"findings_head." + row.name, row.parameter});
    vt::train::AdamW<B> optimizer(vt::train::layer_groups<B>(rows, vt::demo::vit14.depth, 1, true),
                                  {.lr = lr, .weight_decay = 0.05});
    const vt::train::CosineSchedule schedule{.lr = lr, .steps = steps, .warmup = steps / 20};
    const std::map<std::string, std::string> metadata{{"model", "vitals_demo"}, {"program", "03_from_scratch"}};

    vt::Tape<B> tape;
    double picture_loss = 0, patch_loss = 0, findings_loss = 0;
    for (std::uint64_t step = 0; step < steps; ++step) {
      const double done = static_cast<double>(step) / static_cast<double>(steps);
      const auto seen = scenes.batch(step, batch, side_at(done, small, middle), patch);
      const auto out = model(tape, seen.pixels);
      const auto first = vt::losses::binary_cross_entropy(of_patch(out.patches), seen.patches);
      const auto second = vt::losses::binary_cross_entropy(of_picture(out.cls), seen.picture);
      // The loss is the sum of all, so the gradient for each is its weight.
      const auto weigh = [](const auto& loss, double weight) {
        loss.slot()->add([weight](float* to, bool add) { *to = (add ? *to : 0) + static_cast<float>(weight); });
      };
      weigh(first, 2);
      if (findings > 0) {
        const auto third = vt::losses::binary_cross_entropy(of_findings(out.cls), findings_of(seen, batch));
        findings_loss += static_cast<double>(third.data()[0]);
        weigh(third, findings);
      }
      picture_loss += static_cast<double>(second.data()[0]), patch_loss += static_cast<double>(first.data()[0]);
      tape.backward(second);
      optimizer.set_lr(schedule.at(step));
      optimizer.step(1.0);
      scenes.renew(fresh);
      if ((step + 1) % every == 0 || step + 1 == steps) {
        if (!quiet)
          std::fprintf(stderr, "step %llu of %zu: loss of the picture %.4f, of its patches %.4f, of findings %.4f\n",
                       static_cast<unsigned long long>(step + 1), steps, picture_loss / static_cast<double>(every),
                       patch_loss / static_cast<double>(every), findings_loss / static_cast<double>(every));
        picture_loss = patch_loss = findings_loss = 0;
        save(model, output, metadata);
      }
    }
    std::cout << output.string() << '\n';
  });
}
