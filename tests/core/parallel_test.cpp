#include <vitals/core/parallel.hpp>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

#include <vitals/core/error.hpp>

namespace vt = vitals;

TEST_CASE("a pool runs every task exactly once, many times over") {
  vt::ThreadPool pool(3);
  for (std::size_t round = 0; round < 2000; ++round) {
    const std::size_t n = round % 17;
    std::vector<std::atomic<int>> hits(n);
    pool.run(n, [&](std::size_t i) { ++hits[i]; });
    for (auto& h : hits) REQUIRE(h == 1);
  }
}

TEST_CASE("of several exceptions the one of the lowest task reaches the caller and the pool stays usable") {
  for (const unsigned threads : {1u, 2u, 3u}) {
    vt::ThreadPool pool(threads);
    for (int round = 0; round < 20; ++round) {
      const auto late = [](std::size_t i) {  // the lowest one throws last
        if (i == 42) std::this_thread::sleep_for(std::chrono::milliseconds(2));
        if (i >= 42 && i % 7 == 0) throw std::runtime_error("task " + std::to_string(i));
      };
      REQUIRE_THROWS_WITH(pool.run(500, late), "task 42");
    }
    std::atomic<int> sum{0};
    pool.run(100, [&](std::size_t i) { sum += static_cast<int>(i); });
    CHECK(sum == 4950);
  }
}

TEST_CASE("nested and concurrent calls complete") {
  vt::ThreadPool pool(2);
  std::atomic<int> inner{0};
  pool.run(8, [&](std::size_t) { pool.run(8, [&](std::size_t) { ++inner; }); });
  CHECK(inner == 64);
  std::atomic<int> total{0};
  std::vector<std::thread> callers;
  for (int t = 0; t < 4; ++t)
    callers.emplace_back([&] { for (int r = 0; r < 200; ++r) pool.run(5, [&](std::size_t) { ++total; }); });
  for (auto& c : callers) c.join();
  CHECK(total == 4 * 200 * 5);
}

TEST_CASE("parallel_for covers the range in pieces of the grain") {
  vt::ThreadPool pool(2);
  std::vector<int> seen(103);
  vt::parallel_for(pool, seen.size(), 10, [&](std::size_t b, std::size_t e) {
    CHECK((e - b == 10 || e == 103));
    for (auto i = b; i < e; ++i) ++seen[i];
  });
  for (int s : seen) REQUIRE(s == 1);
}

TEST_CASE("an absurd thread count is refused") { CHECK_THROWS_AS(vt::ThreadPool(5000), vt::ArgumentError); }
