// The program fine_tune as a person uses it: all methods, killed and resumed, interrupted by Ctrl-C, its files in other programs.
#include "program.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <thread>

using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
using test::run;

namespace {

// Random weights take a second to draw; a file of them is mapped.
const std::string& weights() {
  static test::TemporaryFolder folder;
  static const std::string file = [] {
    const test::Study s(10);
    const auto made = (folder / "weights.safetensors").string();
    REQUIRE(run("fine_tune",
                s.arguments({"--model", "dinov2_vits14", "--method", "head", "--steps", "1", "--save-model", made}))
                .status == 0);
    return made;
  }();
  return file;
}

std::vector<std::string> tuning(const test::Study& s, const std::vector<std::string>& more,
                                const std::string& report = "r.json") {
  std::vector<std::string> all{"--batch", "3",           "--targets", "q,v",       "--rank",
                               "2",       "--bootstrap", "0",         "--weights", weights()};
  all.insert(all.end(), more.begin(), more.end());
  return s.arguments(all, report);
}

std::size_t checkpoints(const std::filesystem::path& folder) {
  std::error_code error;
  std::size_t n = 0;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    n += at->path().extension() == ".safetensors";
  return n;
}

// The step of the newest checkpoint.
std::uint64_t newest(const std::filesystem::path& folder) {
  std::error_code error;
  std::uint64_t step = 0;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    if (const auto name = at->path().filename().string(); name.starts_with("step-"))
      step = std::max<std::uint64_t>(step, std::strtoull(name.c_str() + 5, nullptr, 10));
  return step;
}

}  // namespace

TEST_CASE("fine_tune killed at twenty random moments and resumed ends with the bits of a run in one go") {
  test::Study s(20);
  const std::vector<std::string> what{"--method", "lora", "--steps", "60", "--validate-every", "5", "--threads", "2"};
  auto whole = what;
  whole.insert(whole.end(), {"--save-adapter", s / "whole", "--save-head", s / "whole.safetensors"});
  REQUIRE(run("fine_tune", tuning(s, whole, "whole.json")).status == 0);

  auto interrupted = what;
  interrupted[7] = "1";  // and with another number of threads
  interrupted.insert(interrupted.end(), {"--checkpoint", s / "state", "--checkpoint-every", "1", "--resume",
                                         "--save-adapter", s / "adapter", "--save-head", s / "head.safetensors"});
  int killed = 0;
  vitals::Rng random(20);
  for (int kill = 0; kill < 20; ++kill) {
    test::Process doomed("fine_tune", tuning(s, interrupted));
    // Some are killed while they begin; the others after a step or two, at any moment of the next: inside a pass, while a
    // checkpoint is written, between its fsync and its rename.
    const auto from = newest(s / "state") + random.below(3);
    for (int i = 0; i < 20000 && newest(s / "state") < from && doomed.running(); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::this_thread::sleep_for(std::chrono::microseconds(random.below(40000)));
    killed += doomed.running();
    doomed.kill();
    doomed.wait();
  }
  CHECK(killed >= 10);  // a slow machine may end before it is killed
  const auto resumed = run("fine_tune", tuning(s, interrupted));
  INFO(resumed.err);
  REQUIRE(resumed.status == 0);
  CHECK(test::report_without_conditions_of_the_machine(s / "r.json") ==
        test::report_without_conditions_of_the_machine(s / "whole.json"));
  CHECK(test::text_of(s / "adapter/adapter_model.safetensors") == test::text_of(s / "whole/adapter_model.safetensors"));
  CHECK(test::text_of(s / "head.safetensors") == test::text_of(s / "whole.safetensors"));
}

TEST_CASE("Ctrl-C saves and stops with status 1; the next run goes on") {
  test::Study s(20);
  const std::vector<std::string> what{"--method", "head", "--steps", "120", "--validate-every", "40"};
  auto whole = what, more = what;
  whole.insert(whole.end(), {"--save-head", s / "whole.safetensors"});
  REQUIRE(run("fine_tune", tuning(s, whole, "whole.json")).status == 0);
  more.insert(more.end(), {"--checkpoint", s / "state", "--checkpoint-every", "1", "--resume", "--save-head",
                           s / "head.safetensors"});
  const auto arguments = tuning(s, more);
  test::Process stopped("fine_tune", arguments);
  for (int i = 0; i < 20000 && checkpoints(s / "state") == 0 && stopped.running(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  stopped.interrupt();
  const auto outcome = stopped.wait();
  CHECK(outcome.status == 1);
  CHECK(outcome.out.empty());
  CHECK_THAT(test::last_line(outcome.err), StartsWith("fine_tune: error: interrupted after step ") &&
                                               Contains("which is saved") && Contains("--resume"));
  CHECK(!s.has("r.json"));
  const auto stopped_at = newest(s / "state");
  CHECK(stopped_at < 120);
  const auto resumed = run("fine_tune", arguments);
  INFO(resumed.err);
  REQUIRE(resumed.status == 0);
  CHECK(test::text_of(s / "head.safetensors") == test::text_of(s / "whole.safetensors"));
}

TEST_CASE("a truncated checkpoint: the one before is taken and said so") {
  test::Study s(20);
  const std::vector<std::string> what{"--method",
                                      "lora",
                                      "--steps",
                                      "3",
                                      "--checkpoint",
                                      s / "state",
                                      "--checkpoint-every",
                                      "1",
                                      "--save-head",
                                      s / "head.safetensors"};
  REQUIRE(run("fine_tune", tuning(s, what)).status == 0);
  const auto head = test::text_of(s / "head.safetensors");
  std::filesystem::resize_file(s / "state/step-3.safetensors", 1000);
  auto again = what;
  again.push_back("--resume");
  const auto done = run("fine_tune", tuning(s, again));
  REQUIRE(done.status == 0);
  CHECK_THAT(done.out,
             Contains("note: the checkpoint step-3.safetensors is damaged") && Contains("the one before it is taken"));
  CHECK(test::text_of(s / "head.safetensors") == head);
}

TEST_CASE("few_shot trains, too; each draw begins with the model as it was loaded") {
  test::Study s(20);
  for (const std::string method : {"head", "lora", "full"}) {
    const auto done =
        run("few_shot", s.arguments({"--method", method, "--shots", "1,all", "--repeats", "2", "--steps", "2", "--rank",
                                     "2", "--targets", "q,v", "--weights", weights(), "--plot", s / "p.svg"}));
    INFO(done.err);
    REQUIRE(done.status == 0);
    const auto report = test::json_of(s / "r.json");
    CHECK(report["conditions"]["method"] == method.c_str());
    for (const char* shots : {" shots=1", " shots=all"}) {
      const auto& result = test::result_of(report, method + shots);
      CHECK(result["value"].IsDouble());
      CHECK(result["sd"].IsDouble());
    }
    CHECK_THAT(test::text_of(s / "p.svg"), Contains(">" + method + "<"));
    if (method != "head") continue;
    // All images, seed 0: what fine_tune gives. Of two draws with the same images the second knows nothing of the first.
    REQUIRE(run("few_shot", s.arguments({"--method", method, "--shots", "1,all", "--repeats", "1", "--steps", "2",
                                         "--weights", weights()},
                                        "one.json"))
                .status == 0);
    REQUIRE(run("fine_tune",
                s.arguments({"--method", method, "--steps", "2", "--validate-every", "1", "--weights", weights()},
                            "whole.json"))
                .status == 0);
    CHECK(test::result_of(test::json_of(s / "one.json"), "head shots=all")["value"].GetDouble() ==
          test::result_of(test::json_of(s / "whole.json"), "head")["value"].GetDouble());
  }
  CHECK(run("few_shot", s.arguments({"--method", "lora", "--shots", "1", "--lr", "nan"})).status == 2);
}

TEST_CASE("compare_methods: each method in a process of its own, one table, runs that are there are not made again") {
  test::Study s(20);
  const std::vector<std::string> arguments{"--data",      s / "manifest.csv",
                                           "--weights",   weights(),
                                           "--images",    "8",
                                           "--seeds",     "0,1",
                                           "--methods",   "head:sgd:0.01,lora:adamw:1e-3:1e-2,knn:3",
                                           "--size",      "28",
                                           "--steps",     "3",
                                           "--targets",   "q,v",
                                           "--rank",      "2",
                                           "--work",      s / "work",
                                           "--report",    s / "r.json",
                                           "--plot",      s / "p.svg",
                                           "--bootstrap", "50"};
  const auto done = run("compare_methods", arguments);
  INFO(done.err);
  REQUIRE(done.status == 0);
  CHECK_THAT(done.out, StartsWith("| method | AUROC") && Contains("\n| head:sgd:0.01 | ") && Contains("\n| knn:3 | "));
  const auto report = test::json_of(s / "r.json");
  const auto& lora = test::result_of(report, "lora:adamw:1e-3:1e-2");
  CHECK(lora["repeats"].GetInt() == 2);
  CHECK(lora["ci95"].Size() == 2);
  CHECK(test::result_of(report, "lora:adamw:1e-3:1e-2", "trainable_parameters")["value"].GetDouble() ==
        12 * (2 * 2 * 2 * 384 + 3 * 384) + 385);
  const double memory = test::result_of(report, "lora:adamw:1e-3:1e-2", "peak_memory_mib")["value"].GetDouble();
  CHECK(memory == std::max(test::json_of(s / "work/lora_adamw_1e-3_1e-2-seed0.json")["peak_memory_mib"].GetDouble(),
                           test::json_of(s / "work/lora_adamw_1e-3_1e-2-seed1.json")["peak_memory_mib"].GetDouble()));
  CHECK(memory > test::result_of(report, "knn:3", "peak_memory_mib")["value"].GetDouble());
  double mean = 0;  // of the runs' own AUROCs
  for (const char* seed : {"0", "1"})
    mean += test::result_of(test::json_of(s / (std::string("work/lora_adamw_1e-3_1e-2-seed") + seed + ".json")),
                            "lora")["value"]
                .GetDouble() /
            2;
  CHECK(lora["value"].GetDouble() == Approx(mean));
  const auto difference =
      test::result_of(report, "lora:adamw:1e-3:1e-2", "auroc minus head:sgd:0.01")["value"].GetDouble();
  CHECK(difference == Approx(mean - test::result_of(report, "head:sgd:0.01")["value"].GetDouble()));
  CHECK_THAT(test::text_of(s / "p.svg"), Contains("peak memory, MiB"));

  const auto made = std::filesystem::last_write_time(s / "work/head_sgd_0.01-seed1.json");
  const auto again = run("compare_methods", arguments);
  CHECK(again.out == done.out);
  CHECK(std::filesystem::last_write_time(s / "work/head_sgd_0.01-seed1.json") == made);

  auto wrong = arguments;
  REQUIRE(wrong[10] == "--size");
  wrong[11] = "29";
  const auto failed = run("compare_methods", wrong);
  CHECK(failed.status == 1);
  CHECK_THAT(failed.err, Contains("fine_tune: error: --size: 29"));
  CHECK_THAT(test::last_line(failed.err), StartsWith("compare_methods: error: ") && Contains("head:sgd:0.01, seed 0"));
  wrong[9] = "head:sgd,heads";
  REQUIRE(wrong[8] == "--methods");
  CHECK(run("compare_methods", wrong).status == 2);
}

TEST_CASE("the lessons of training run") {
  const auto layer = run("04_own_layer", {});
  CHECK(layer.status == 0);
  CHECK_THAT(layer.out, Contains("by finite differences\nstep 20"));
  test::TemporaryFolder folder;
  const auto model = run("05_own_model", {folder.path().string()});
  INFO(model.err);
  CHECK(model.status == 0);
  CHECK_THAT(model.out, Contains("AUROC of nodule"));
  CHECK(std::filesystem::exists(folder / "own.safetensors"));
}

TEST_CASE("every method of fine_tune; its adapter and its weights work in the other programs") {
  test::Study s(20);
  for (const std::string method : {"head", "full", "lora", "bitfit"}) {
    std::vector<std::string> more{"--method", method, "--steps", "2", "--predictions", s / (method + ".csv")};
    if (method == "lora")
      more.insert(more.end(), {"--save-adapter", s / "adapter", "--save-model", s / "merged.safetensors"});
    if (method == "head") more.insert(more.end(), {"--dtype", "bfloat16"});
    const auto done = run("fine_tune", tuning(s, more, method + ".json"));
    INFO(done.err);
    REQUIRE(done.status == 0);
    const auto report = test::json_of(s / (method + ".json"));
    const std::size_t dim = 384, depth = 12, trained = report["conditions"]["trainable_parameters"].GetUint64();
    CHECK(report["conditions"]["head_parameters"].GetUint64() == dim + 1);
    if (method == "head") CHECK(trained == 0);
    if (method == "full") CHECK(trained > 22000000);
    if (method == "bitfit") CHECK(trained == 51456);
    if (method == "lora") CHECK(trained == depth * (2 * 2 * 2 * dim + 3 * dim));  // bias lora_only: those of qkv
    CHECK_NOTHROW(test::result_of(report, method));
  }
  const auto adapted =
      run("knn", s.arguments({"--k", "3", "--weights", weights(), "--adapter", s / "adapter"}, "adapted.json"));
  INFO(adapted.err);
  REQUIRE(adapted.status == 0);
  CHECK(std::string(test::json_of(s / "adapted.json")["conditions"]["adapter_sha256"].GetString()).size() == 64);
  REQUIRE(run("knn", s.arguments({"--k", "3", "--weights", s / "merged.safetensors"}, "merged.json")).status == 0);
  CHECK(test::result_of(test::json_of(s / "adapted.json"), "mlknn k=3")["value"].GetDouble() ==
        test::result_of(test::json_of(s / "merged.json"), "mlknn k=3")["value"].GetDouble());
  const auto wrong = run("knn", s.arguments({"--k", "3", "--adapter", s / "adapter", "--model", "dinov2_vitb14"}));
  CHECK(wrong.status == 1);
  CHECK_THAT(test::last_line(wrong.err), Contains("blocks.0.attn.qkv"));
}

TEST_CASE("what fine_tune refuses") {
  test::Study s(20);
  const auto fails = [&](int status, const std::vector<std::string>& more) {
    const auto done = run("fine_tune", tuning(s, more));
    CHECK(done.status == status);
    CHECK(done.out.empty());
    CHECK(!s.has("r.json"));
    return test::last_line(done.err);
  };
  CHECK_THAT(fails(2, {"--lr", "nan"}), Contains("--lr"));
  CHECK_THAT(fails(2, {"--resume"}), Contains("--checkpoint DIR"));
  CHECK_THAT(fails(2, {"--method", "full", "--save-adapter", s / "a"}), Contains("--method lora"));
  CHECK_THAT(fails(2, {"--dtype", "int8"}), Contains("int8"));
  CHECK_THAT(fails(1, {"--targets", "q,query"}), Contains("query") && Contains("blocks.0.attn.qkv"));
  const std::vector<std::string> state{"--steps", "2", "--checkpoint", s / "state"};
  REQUIRE(run("fine_tune", tuning(s, state, "ok.json")).status == 0);
  CHECK_THAT(fails(1, state), Contains("state") && Contains("resume"));
  auto other = state;
  other.insert(other.end(), {"--resume", "--rank", "4"});
  CHECK_THAT(fails(1, other), Contains("rank 2, now it is 4"));
  s.write("manifest.csv", "path,label,split\n0.png,a,train\n2.png,a,train\n1.png,b,test\n3.png,a,test\n");
  CHECK_THAT(fails(1, {"--steps", "2"}), Contains("fewer than two classes"));
  s.write("manifest.csv", "path,label,split\n0.png,a,train\n2.png,c,train\n1.png,b,test\n3.png,a,test\n4.png,c,test\n");
  const auto empty = run("fine_tune", tuning(s, {"--steps", "2"}));
  CHECK(empty.status == 0);
  CHECK_THAT(empty.out, Contains("note: class b has no training image"));
}
