// The program fine_tune as a person uses it: all methods, killed and resumed, interrupted by Ctrl-C, its files in other programs.
#include "program.hpp"

#include <chrono>
#include <csignal>
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

}  // namespace

TEST_CASE("fine_tune killed at several moments and resumed ends with the bits of a run in one go") {
  test::Study s(20);
  const std::vector<std::string> what{"--method", "lora", "--steps", "14", "--validate-every", "5", "--threads", "2"};
  auto whole = what;
  whole.insert(whole.end(), {"--save-adapter", s / "whole", "--save-head", s / "whole.safetensors"});
  REQUIRE(run("fine_tune", tuning(s, whole, "whole.json")).status == 0);

  auto interrupted = what;
  interrupted[7] = "1";  // and with another number of threads
  interrupted.insert(interrupted.end(), {"--checkpoint", s / "state", "--checkpoint-every", "1", "--resume",
                                         "--save-adapter", s / "adapter", "--save-head", s / "head.safetensors"});
  int killed = 0;
  for (const int milliseconds : {0, 7, 19, 3, 12, 30}) {
    test::Process doomed("fine_tune", tuning(s, interrupted));
    const auto before = checkpoints(s / "state");
    for (int i = 0; i < 20000 && checkpoints(s / "state") == 0 && doomed.running(); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::this_thread::sleep_for(std::chrono::milliseconds(before ? 120 + milliseconds : milliseconds));
    killed += doomed.running();
    doomed.kill();
    doomed.wait();
  }
  CHECK(killed >= 2);
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
  const auto arguments = tuning(
      s, {"--method", "head", "--steps", "400", "--checkpoint", s / "state", "--checkpoint-every", "1", "--resume"});
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
}
