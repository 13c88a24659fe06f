// Fine-tuning: a head alone, low-rank terms, biases or everything, trained on train, picked on val, tested on test.
//
//   fine_tune --method lora --targets q,v --rank 8 --weights dinov2_vits14_pretrain.pth --data manifest.csv
//             --checkpoint run/ --save-adapter adapter/ --save-head head.safetensors --report lora.json
#include <vitals/adapt/peft.hpp>
#include <vitals/eval/fine_tune.hpp>
#include <vitals/eval/linear_probe.hpp>

#include "support/command_line.hpp"
#include "support/fine_tuning.hpp"
#include "support/model.hpp"
#include "support/run.hpp"

namespace vt = vitals;

namespace {

void body(support::CommandLine& line, int argc, char** argv) {
  support::ModelOptions model(line, "paper", false);
  support::DataOptions data(line);
  support::FineTuneOptions tuning(line);
  std::string method = "lora";
  std::filesystem::path adapter, weights, head;
  line.choice("--method", method, {"head", "full", "lora", "bitfit"}, "what of the backbone trains");
  line.option("--save-adapter", adapter, "write the terms as a folder of PEFT (lora)");
  line.option("--save-model", weights, "write the backbone's weights as .safetensors; low-rank terms are merged");
  line.option("--save-head", head, "write the head: weight (K, in) and bias (K) as safetensors");
  line.parse(argc, argv);
  if (!adapter.empty() && method != "lora") throw support::UsageError("--save-adapter goes with --method lora");
  for (const auto& file : {weights, head}) support::check_output(file);

  support::Run run(line, model, data, support::FineTuneOptions::training(method));
  const auto options = tuning.of(run, model, method);
  tuning.add_conditions(run, options);
  auto result = vt::eval::fine_tune(run.trainable(), run.dataset(), model.transform(), options);
  support::check_finished(result.training, tuning.checkpoint);
  run.clock("training");
  run.time("step", result.training.seconds_per_step);
  run.condition("trainable_parameters", result.trainable);
  run.condition("head_parameters", result.head);
  run.condition("steps_done", static_cast<std::size_t>(result.training.steps));
  run.condition("best_step", static_cast<std::size_t>(result.training.best_step));
  for (const auto& note : result.notes) run.note(note);
  for (const auto& evaluation : result.training.evaluations) {  // what val said on the way
    vt::report::Result on_val;
    on_val.name = method + " step=" + std::to_string(evaluation.step);
    on_val.split = "val";
    on_val.metric = tuning.criterion + " on the way";
    on_val.value = evaluation.score;
    on_val.n = run.dataset().indices(vt::data::Split::val).size();
    run.add(on_val);
  }
  run.score(result.prediction);

  auto& trained = run.trainable();
  if (!adapter.empty()) vt::adapt::write_peft(adapter, trained.adapter());
  if (!head.empty()) {
    auto values = trained.head();
    vt::eval::LinearHead<float> as_probe{{1, false, options.trainer.optimizer.head_lr}, {}, {}};
    as_probe.weight = std::move(values.weight);
    as_probe.bias = std::move(values.bias);
    vt::eval::save_head(head, as_probe, run.dataset().classes);
  }
  if (!weights.empty()) trained.save_weights(weights, {{"model", model.model}, {"method", method}});
  run.finish();
}

}  // namespace

int main(int argc, char** argv) {
  return support::program("fine_tune", "Trains a classifier and, by choice, its backbone",
                          [&](support::CommandLine& line) { body(line, argc, argv); });
}
