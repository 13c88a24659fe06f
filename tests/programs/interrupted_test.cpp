// Features that are interrupted: a killed process, a full disk.
#include "program.hpp"

#include <chrono>
#include <thread>

using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
using test::run;

namespace {

std::size_t shards(const std::filesystem::path& folder) {
  std::error_code error;
  std::size_t n = 0;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    n += at->path().extension() == ".features";
  return n;
}

}  // namespace

TEST_CASE("a run killed in the middle of the features is resumed, and its report is that of a run in one go") {
  test::Study s(400);
  test::Process doomed("knn", s.arguments({"--k", "5", "--cache", s / "cache"}));
  for (int i = 0; i < 60000 && shards(s / "cache") == 0 && doomed.running(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  REQUIRE(doomed.running());
  doomed.kill();
  CHECK(doomed.wait().status == -1);
  CHECK(!s.has("r.json"));
  const auto resumed = run("knn", s.arguments({"--k", "5", "--cache", s / "cache"}));
  INFO(resumed.err);
  REQUIRE(resumed.status == 0);
  const auto at = resumed.err.find(" of 400 features came from the cache");
  REQUIRE(at != std::string::npos);
  const int cached = std::stoi(resumed.err.substr(resumed.err.rfind('\n', at) + 1));
  CHECK(cached >= 64);
  CHECK(cached < 400);
  REQUIRE(run("knn", s.arguments({"--k", "5"}, "whole.json")).status == 0);
  CHECK(test::report_without_conditions_of_the_machine(s / "r.json") ==
        test::report_without_conditions_of_the_machine(s / "whole.json"));
}

TEST_CASE("a full disk while the cache is written ends with status 1, and what was cached stays") {
  test::Study s(120);
  const auto manifest = test::text_of(s / "manifest.csv");
  std::size_t end = 0;
  for (int line = 0; line < 41; ++line) end = manifest.find('\n', end) + 1;
  s.write("manifest.csv", manifest.substr(0, end));  // 40 images first
  REQUIRE(run("knn", s.arguments({"--k", "5", "--cache", s / "cache"})).status == 0);
  const auto before = shards(s / "cache");
  REQUIRE(before >= 1);
  std::filesystem::remove(s / "r.json");
  s.write("manifest.csv", manifest);
  const auto full = test::Process("knn", s.arguments({"--k", "5", "--cache", s / "cache"}), 4000).wait();
  CHECK(full.status == 1);
  CHECK(full.out.empty());
  CHECK_THAT(test::last_line(full.err), StartsWith("knn: error: ") && Contains("cache"));
  CHECK(!s.has("r.json"));
  CHECK(shards(s / "cache") == before);
  const auto again = run("knn", s.arguments({"--k", "5", "--cache", s / "cache"}));
  CHECK(again.status == 0);
  CHECK_THAT(again.err, Contains("40 of 120 features came from the cache"));
}
