#include <vitals/eval/neighbours.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include <catch2/catch.hpp>

#include <vitals/backend/cpu/isa.hpp>
#include <vitals/core/error.hpp>
#include <vitals/core/rng.hpp>

#include "evaluation.hpp"

namespace vt = vitals;
using vt::eval::neighbours;
using Matrix = vt::Tensor<float, vt::dyn, vt::dyn>;

namespace {

// Rows around a common direction, as features are.
Matrix random_rows(std::size_t n, std::size_t dim, std::uint64_t seed) {
  Matrix x({n, dim});
  const vt::Rng rng(seed);
  for (std::size_t i = 0; i < x.size(); ++i) x.data()[i] = static_cast<float>(rng.normal_at(i) + 1.5);
  return x;
}

// All similarities in long double, sorted.
std::vector<std::size_t> plain_search(const Matrix& train, const Matrix& queries, std::size_t q, std::size_t k) {
  std::vector<long double> cosine(train.extent(0));
  const auto product = [&](const float* a, const float* b) {
    long double sum = 0;
    for (std::size_t d = 0; d < train.extent(1); ++d) sum += static_cast<long double>(a[d]) * b[d];
    return sum;
  };
  const float* query = queries.data() + q * train.extent(1);
  for (std::size_t i = 0; i < cosine.size(); ++i) {
    const float* item = train.data() + i * train.extent(1);
    const long double norms = std::sqrt(product(query, query) * product(item, item));
    cosine[i] = norms > 0 ? product(query, item) / norms : 0;
  }
  std::vector<std::size_t> order(cosine.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return cosine[a] > cosine[b]; });
  order.resize(k);
  return order;
}

bool same(const vt::eval::Neighbours& a, const vt::eval::Neighbours& b) {
  return std::equal(a.index.begin(), a.index.end(), b.index.begin(), b.index.end()) &&
         std::equal(a.cosine.begin(), a.cosine.end(), b.cosine.begin(), b.cosine.end());
}

}  // namespace

TEST_CASE("neighbours by hand") {
  const std::vector<float> items{1, 0, 0, 2, 3, 3, -1, 0}, query{10, 0};
  const auto found = neighbours(Matrix({4, 2}, items), Matrix({1, 2}, query), 4);
  CHECK(std::vector<std::uint32_t>(found.index.begin(), found.index.end()) == std::vector<std::uint32_t>{0, 2, 1, 3});
  CHECK(found.cosine(0, 0) == 1);
  CHECK(found.cosine(0, 1) == Approx(std::sqrt(0.5)).epsilon(1e-15));
  CHECK(found.cosine(0, 2) == 0);
  CHECK(found.cosine(0, 3) == -1);
}

TEST_CASE("neighbours equal a plain search, for odd sizes and several blocks") {
  for (auto [n, m, dim, k] : {std::array<std::size_t, 4>{1, 1, 1, 1},
                              {37, 5, 7, 37},
                              {2500, 40, 33, 60},
                              {1024, 3, 384, 200},
                              {3001, 700, 64, 20}}) {
    CAPTURE(n, m, dim, k);
    const auto train = random_rows(n, dim, 1), queries = random_rows(m, dim, 2);
    const auto found = neighbours(train, queries, k);
    for (std::size_t q = 0; q < m; ++q) {
      const auto expected = plain_search(train, queries, q, k);
      REQUIRE(std::equal(expected.begin(), expected.end(), &found.index(q, 0)));
    }
  }
}

TEST_CASE("equal items come in ascending order, wherever the cut falls") {
  auto train = random_rows(3000, 24, 3);
  for (std::size_t i = 0; i < 3000; i += 3) std::copy_n(train.data(), 24, train.data() + i * 24);  // 1000 copies
  const auto found = neighbours(train, Matrix({1, 24}, {train.data(), 24}), 150);
  for (std::size_t j = 0; j < 150; ++j) REQUIRE(found.index(0, j) == 3 * j);
  CHECK(found.cosine(0, 149) == found.cosine(0, 0));
}

TEST_CASE("items that float32 cannot tell apart are ordered in double") {
  const std::size_t n = 600, dim = 64;
  const auto base = random_rows(1, dim, 4);
  Matrix train({n, dim});
  for (std::size_t i = 0; i < n; ++i) {
    std::copy_n(base.data(), dim, train.data() + i * dim);
    float& one = train(i, i % dim);
    for (std::size_t s = 0; s <= i / dim; ++s)
      one = std::nextafter(one, 100.0f);  // one unit in the last place and more
  }
  const auto query = random_rows(1, dim, 5);
  const auto found = neighbours(train, query, 20);
  const auto expected = plain_search(train, query, 0, 20);
  for (std::size_t j = 0; j < 20; ++j) {
    const auto exact = neighbours(Matrix({1, dim}, {train.data() + expected[j] * dim, dim}), query, 1).cosine(0, 0);
    CHECK(std::abs(found.cosine(0, j) - exact) < 4e-16);
  }
}

TEST_CASE("the same bits for any number of threads and any instruction set") {
  const auto train = random_rows(2100, 48, 6), queries = random_rows(333, 48, 7);
  vt::ThreadPool one(1);
  const auto expected = neighbours(train, queries, 50, {{}, &one});
  for (unsigned threads : {2u, 3u}) {
    vt::ThreadPool pool(threads);
    CHECK(same(expected, neighbours(train, queries, 50, {{}, &pool})));
    CHECK(same(expected, neighbours(train, queries, 50, {[](auto&&...) {}, &pool})));
  }
  namespace cpu = vt::backend::cpu;
  for (auto isa : cpu::all_isas)
    if (cpu::supported(isa)) {
      cpu::ScopedIsa scoped(isa);
      CHECK(same(expected, neighbours(train, queries, 50)));
    }
}

TEST_CASE("every instruction set finds the same where bfloat16 is of little or of no use") {
  namespace cpu = vt::backend::cpu;
  const auto check = [](const Matrix& train, const Matrix& queries, std::size_t k) {
    cpu::ScopedIsa plain(cpu::Isa::portable);
    const auto expected = neighbours(train, queries, k);
    for (std::size_t q = 0; q < queries.extent(0); q += 7) {
      const auto order = plain_search(train, queries, q, k);
      CHECK(std::equal(order.begin(), order.end(), &expected.index(q, 0)));
    }
    for (auto isa : cpu::all_isas)
      if (cpu::supported(isa)) {
        cpu::ScopedIsa scoped(isa);
        INFO(cpu::name(isa));
        CHECK(same(expected, neighbours(train, queries, k)));
      }
  };
  // Two opposite clusters so small that rounding to bfloat16 hides the differences; rows of very different sizes.
  auto ball = random_rows(4000, 16, 8);
  for (std::size_t i = 0; i < 4000; ++i)
    for (std::size_t d = 0; d < 16; ++d) ball(i, d) = (1.0f + 1e-4f * ball(i, d)) * (i % 2 ? -1e-20f : 1e15f);
  SECTION("nearly equal items") { check(ball, random_rows(30, 16, 9), 5); }
  SECTION("nearly equal queries") { check(random_rows(3000, 16, 8), ball, 20); }
  SECTION("one item far from all others, and items without direction") {
    auto train = random_rows(3000, 40, 10);
    for (std::size_t d = 0; d < 40; ++d) train(17, d) *= -1, train(1500, d) = train(2999, d) = 0;
    check(train, random_rows(40, 40, 11), 3000);
    check(train, random_rows(40, 40, 11), 100);
  }
  SECTION("both signs, one number a row large") {
    auto train = random_rows(3000, 100, 12), queries = random_rows(40, 100, 13);
    for (std::size_t i = 0; i < 3000; ++i)
      for (std::size_t d = 0; d < 100; ++d) train(i, d) = (train(i, d) - 1.5f) * (d == i % 100 ? 30.0f : 1.0f);
    check(train, queries, 10);
  }
}

TEST_CASE("progress counts the queries") {
  const auto train = random_rows(50, 8, 1), queries = random_rows(700, 8, 2);
  std::vector<std::size_t> done;
  neighbours(train, queries, 3,
             {[&](const std::string& stage, std::size_t d, std::size_t total) {
                CHECK(stage == "neighbours");
                CHECK(total == 700);
                done.push_back(d);
              },
              nullptr});
  CHECK(std::is_sorted(done.begin(), done.end()));
  REQUIRE(!done.empty());
  CHECK(done.back() == 700);
}

TEST_CASE("what cannot be searched is refused, a row of zeros is not") {
  auto train = random_rows(10, 4, 1);
  const auto queries = random_rows(2, 4, 2);
  CHECK_THROWS_AS(neighbours(train, queries, 0), vt::ArgumentError);
  CHECK_THROWS_WITH(neighbours(train, queries, 11), Catch::Contains("k = 11 of 10"));
  CHECK_THROWS_AS(neighbours(train, random_rows(2, 5, 2), 1), vt::ShapeError);
  std::fill_n(train.data() + 12, 4, 0.0f);
  const auto found = neighbours(train, queries, 10);
  CHECK(found.index(0, 9) == 3);  // all others point the queries' way
  CHECK(found.cosine(0, 9) == 0);
  train(7, 2) = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_WITH(neighbours(train, queries, 1), Catch::Contains("items row 7"));
  CHECK(neighbours(queries, Matrix({0, 4}), 1).index.empty());
}

TEST_CASE("goldens: neighbours of real features") {
  for (const char* set : {"kermany", "brain"}) {
    const std::string file = std::string("goldens/evaluation/knn_") + set + ".safetensors";
    NEEDS_SHARED(file);
    const auto features = test::golden_features(set, "labels");
    const auto golden = test::read_tensors(file);
    const auto train = test::rows(features, 0, 200), queries = test::rows(features, 200, 300);
    const auto found = neighbours(train, queries, 20);
    const auto& index = golden.at("neighbours");
    const auto& cosine = golden.at("cosine");
    for (std::size_t q = 0; q < 100; ++q)
      for (std::size_t j = 0; j < 20; ++j) {
        CAPTURE(set, q, j);
        CHECK(std::abs(found.cosine(q, j) - cosine[q * 20 + j]) < 1e-6);
        if (found.index(q, j) == static_cast<std::uint32_t>(index[q * 20 + j])) continue;
        // Another item is right only where it is as near.
        const auto* at =
            std::find(&found.index(q, 0), &found.index(q, 0) + 20, static_cast<std::uint32_t>(index[q * 20 + j]));
        if (at != &found.index(q, 0) + 20)
          CHECK(std::abs(found.cosine(q, static_cast<std::size_t>(at - &found.index(q, 0))) - found.cosine(q, j)) <
                1e-6);
        else
          CHECK(found.cosine(q, j) - found.cosine(q, 19) < 1e-6);
      }
  }
}
