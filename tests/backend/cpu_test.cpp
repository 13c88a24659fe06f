// Every operation of Cpu<float>, on every instruction set this machine has, against plain loops in double.
#include <vitals/backend/cpu/attention_backward.hpp>
#include <vitals/backend/cpu/cpu_double.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

#include <catch2/catch.hpp>

#include "kernels.hpp"

#include <vitals/core/rng.hpp>
#include <vitals/core/tensor.hpp>

namespace vt = vitals;
namespace cpu = vt::backend::cpu;

namespace {

using test::isas;
using test::random;

double gelu(double x) { return 0.5 * x * std::erfc(-x / std::sqrt(2.0)); }

}  // namespace

TEMPLATE_TEST_CASE("a product equals the plain sum of the (rounded) numbers for any size, tail and epilogue", "", float,
                   vt::bfloat16) {
  using T = TestType;
  vt::ThreadPool pool(2);
  vt::Rng rng(std::is_same_v<T, float> ? 7 : 8);
  const auto rounded = [](float x) { return static_cast<float>(T(x)); };
  for (auto isa : isas()) {
    cpu::ScopedIsa scoped(isa);
    for (int round = 0; round < 60; ++round) {
      const std::size_t m = 1 + rng.below(70), n = 1 + rng.below(100), k = 1 + rng.below(90);
      const std::size_t ldx = k + rng.below(5), ldy = n + rng.below(5);
      INFO(cpu::name(isa) << " m " << m << " n " << n << " k " << k);
      const auto x = random(m * ldx, 1), w = random(n * k, 2), bias = random(n, 3), gamma = random(n, 4);
      const cpu::PackedMatrix<T> packed(pool, w.data(), k, n, k);
      std::vector<float> back(n * k);
      packed.unpack(back.data());
      for (std::size_t i = 0; i < w.size(); ++i) REQUIRE(back[i] == rounded(w[i]));
      for (auto store : {cpu::Store::plain, cpu::Store::gelu, cpu::Store::scale_add}) {
        auto y = random(m * ldy, 5);
        const auto before = y;
        cpu::product<T>(pool, x.data(), ldx, m, packed, y.data(), ldy, {store, bias.data(), gamma.data()});
        for (std::size_t i = 0; i < m; ++i)
          for (std::size_t j = 0; j < ldy; ++j) {
            const float got = y[i * ldy + j];
            if (j >= n) {  // numbers between the rows belong to somebody else
              REQUIRE(got == before[i * ldy + j]);
              continue;
            }
            double want = bias[j];
            for (std::size_t p = 0; p < k; ++p) want += double(rounded(x[i * ldx + p])) * back[j * k + p];
            const double own = store == cpu::Store::gelu ? test::coarse_gelu_error<T>(want) : 0;
            if (store == cpu::Store::gelu) want = gelu(want);
            if (store == cpu::Store::scale_add) want = before[i * ldy + j] + gamma[j] * want;
            REQUIRE(std::abs(got - want) < 2e-5 * (1 + std::abs(want)) + own);
          }
      }
    }
  }
}

TEST_CASE("a product gives the same bits for 1, 2 and 3 threads") {
  const std::size_t m = 300, n = 200, k = 500;
  const auto x = random(m * k, 1), w = random(n * k, 2);
  for (auto isa : isas()) {
    cpu::ScopedIsa scoped(isa);
    std::vector<std::vector<float>> results;
    for (unsigned threads : {1u, 2u, 3u}) {
      vt::ThreadPool pool(threads);
      std::vector<float> y(m * n);
      vt::Cpu<float>::linear(pool, x.data(), m, vt::Cpu<float>::pack(pool, w.data(), n, k), nullptr, y.data());
      results.push_back(y);
    }
    CHECK(results[0] == results[1]);
    CHECK(results[0] == results[2]);
  }
}

// The precision's own numbers: what the kernels round on their way to a product.
template <class T>
std::vector<float> as(std::vector<float> x) {
  if constexpr (std::is_same_v<T, vt::bfloat16>)
    for (float& v : x) v = static_cast<float>(vt::bfloat16(v));
  return x;
}

TEMPLATE_TEST_CASE("attention equals softmax(Q K^T / sqrt(d)) V and hands out its probabilities", "", float,
                   vt::bfloat16) {
  vt::ThreadPool pool(2);
  const double tolerance =
      std::is_same_v<TestType, float> ? 4e-5 : 2e-2;  // values of size 4; bfloat16 weights have 8 bits
  for (auto isa : isas()) {
    cpu::ScopedIsa scoped(isa);
    // The last two need more than one block of keys; an odd number of tokens leaves half a bfloat16 pair.
    for (auto [batch, tokens, heads, d] : {std::array<std::size_t, 4>{2, 26, 3, 24},
                                           {1, 257, 2, 64},
                                           {1, 1, 1, 8},
                                           {1, 33, 2, 20},
                                           {1, 785, 1, 64},
                                           {1, 1370, 1, 16}}) {
      INFO(cpu::name(isa) << " tokens " << tokens << " d " << d);
      const std::size_t dim = heads * d;
      const auto qkv = as<TestType>(random(batch * tokens * 3 * dim, 1, 2.0));
      std::vector<double> wide(qkv.begin(), qkv.end()), expected(batch * tokens * dim),
          expected_p(batch * heads * tokens * tokens);
      cpu::attention<double>(pool, wide.data(), batch, tokens, heads, d, tokens, expected.data(), expected_p.data());
      std::vector<float> out(expected.size()), with(out.size()), p(expected_p.size());
      cpu::attention<TestType>(pool, qkv.data(), batch, tokens, heads, d, tokens, out.data());
      cpu::attention<TestType>(pool, qkv.data(), batch, tokens, heads, d, tokens, with.data(), p.data());
      if (tokens <= 257) REQUIRE(with == out);
      const auto apart = [](const std::vector<float>& got, const std::vector<double>& want) {
        double most = 0;
        for (std::size_t i = 0; i < got.size(); ++i)
          if (!(std::abs(got[i] - want[i]) <= most) && most == most) most = std::abs(got[i] - want[i]);  // a NaN stays
        return most;
      };
      REQUIRE(apart(out, expected) < tolerance);
      REQUIRE(apart(with, expected) < tolerance);
      REQUIRE(apart(p, expected_p) < (std::is_same_v<TestType, float> ? 1e-5 : 1e-4));
      const std::size_t few = std::min<std::size_t>(tokens, 3);  // the first tokens alone: the same bits
      std::vector<float> first(batch * few * dim);
      cpu::attention<TestType>(pool, qkv.data(), batch, tokens, heads, d, few, first.data());
      for (std::size_t b = 0; b < batch; ++b)
        for (std::size_t i = 0; i < few * dim; ++i) REQUIRE(first[b * few * dim + i] == out[b * tokens * dim + i]);
    }
  }
}

TEMPLATE_TEST_CASE("the way back through attention follows double for any number of tokens, the same bits for 1 and 2 threads", "",
                   float, vt::bfloat16) {
  vt::ThreadPool pool(2), alone(1);
  const double tolerance = std::is_same_v<TestType, float> ? 1e-5 : 2e-2;  // of the largest value
  for (auto isa : isas()) {
    cpu::ScopedIsa scoped(isa);
    // Ends of blocks, tiles and panels, half panels, half pairs; the last needs blocks of a few rows.
    for (auto [tokens, d] : {std::array<std::size_t, 2>{1, 8}, {13, 20}, {33, 64}, {48, 12}, {50, 40}, {257, 64}, {785, 16}}) {
      INFO(cpu::name(isa) << " tokens " << tokens << " d " << d);
      const std::size_t heads = 2, dim = heads * d;
      const auto qkv = as<TestType>(random(tokens * 3 * dim, 1, 2.0)), up = as<TestType>(random(tokens * dim, 2));
      std::vector<double> wide(qkv.begin(), qkv.end()), wide_up(up.begin(), up.end()), expected(wide.size());
      cpu::attention_backward<double>(pool, wide.data(), wide_up.data(), 1, tokens, heads, d, expected.data());
      std::vector<float> found(expected.size(), NAN);
      cpu::attention_backward<TestType>(pool, qkv.data(), up.data(), 1, tokens, heads, d, found.data());
      std::vector<float> by_one(expected.size());
      cpu::attention_backward<TestType>(alone, qkv.data(), up.data(), 1, tokens, heads, d, by_one.data());
      CHECK(by_one == found);
      double most = 0, largest = 0;
      for (std::size_t i = 0; i < found.size(); ++i) {
        REQUIRE(std::isfinite(found[i]));
        most = std::max(most, std::abs(found[i] - expected[i]));
        largest = std::max(largest, std::abs(expected[i]));
      }
      CHECK(most < tolerance * largest);
    }
  }
}

TEST_CASE("attention gives the same bits for 1, 2 and 3 threads and survives logits of several hundred") {
  const std::size_t tokens = 500, heads = 3, d = 16;
  auto qkv = random(tokens * 3 * heads * d, 1, 30.0);
  for (auto isa : isas()) {
    cpu::ScopedIsa scoped(isa);
    std::vector<std::vector<float>> results;
    for (unsigned threads : {1u, 2u, 3u}) {
      vt::ThreadPool pool(threads);
      results.emplace_back(tokens * heads * d);
      cpu::attention<float>(pool, qkv.data(), 1, tokens, heads, d, tokens, results.back().data());
    }
    CHECK(results[0] == results[1]);
    CHECK(results[0] == results[2]);
    CHECK(std::all_of(results[0].begin(), results[0].end(), [](float v) { return std::abs(v) <= 150.0f; }));
  }
}

TEST_CASE("a NaN does not get lost in the kernels") {
  vt::ThreadPool pool(1);
  for (auto isa : isas()) {
    cpu::ScopedIsa scoped(isa);
    INFO(cpu::name(isa));
    const float nan = std::numeric_limits<float>::quiet_NaN();
    std::vector<float> x(40, 1.0f), y(40);
    x[17] = nan;
    cpu::gelu(pool, x.data(), y.data(), x.size());
    CHECK(std::isnan(y[17]));
    CHECK_FALSE(std::isnan(y[16]));
    cpu::softmax(pool, x.data(), 1, x.size(), 1.0f);
    CHECK(std::isnan(x[17]));
    auto qkv = random(20 * 3 * 8, 1);
    qkv[7 * 24 + 3] = nan;  // a query: its row of the output
    std::vector<float> out(20 * 8);
    cpu::attention<float>(pool, qkv.data(), 1, 20, 1, 8, 20, out.data());
    for (std::size_t i = 0; i < 20; ++i) CHECK(std::isnan(out[i * 8]) == (i == 7));
  }
}

TEST_CASE("softmax survives logits of several hundred") {
  vt::ThreadPool pool(1);
  for (auto isa : isas()) {
    cpu::ScopedIsa scoped(isa);
    std::vector<float> x{800, 799, -800, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 800};
    cpu::softmax(pool, x.data(), 1, x.size(), 1.0f);
    const double e = std::exp(-1.0), total = 2 + e;
    CHECK(x[0] == Approx(1 / total));
    CHECK(x[1] == Approx(e / total));
    CHECK(x[2] < 1e-30f);
    CHECK(x[17] == x[0]);
  }
}

TEST_CASE("layer norm, GELU and the SwiGLU gate agree with double") {
  vt::ThreadPool pool(2);
  for (auto isa : isas()) {
    cpu::ScopedIsa scoped(isa);
    INFO(cpu::name(isa));
    for (std::size_t d : {1u, 7u, 16u, 72u, 384u}) {
      const std::size_t rows = 50;
      const auto x = random(rows * d, 1, 3.0), gamma = random(d, 2), beta = random(d, 3);
      std::vector<float> y(rows * d);
      vt::Cpu<float>::layer_norm(pool, x.data(), y.data(), rows, d, gamma.data(), beta.data(), 1e-6f);
      for (std::size_t r = 0; r < rows; ++r) {
        double mean = 0, var = 0;
        for (std::size_t i = 0; i < d; ++i) mean += x[r * d + i] / double(d);
        for (std::size_t i = 0; i < d; ++i) var += (x[r * d + i] - mean) * (x[r * d + i] - mean) / double(d);
        for (std::size_t i = 0; i < d; ++i) {
          const double want = (x[r * d + i] - mean) / std::sqrt(var + 1e-6) * gamma[i] + beta[i];
          REQUIRE(std::abs(y[r * d + i] - want) < 1e-5 * (1 + std::abs(want)));
        }
      }
    }
    std::vector<float> x, y;
    for (float v = -12; v <= 12; v += 0.001f) x.push_back(v);
    y.resize(x.size());
    cpu::gelu(pool, x.data(), y.data(), x.size());
    for (std::size_t i = 0; i < x.size(); ++i) REQUIRE(std::abs(y[i] - gelu(x[i])) < 3e-7 * (1 + std::abs(x[i])));
    const std::size_t rows = 9, h = 37;
    const auto gates = random(rows * 2 * h, 4, 5.0);
    std::vector<float> gated(rows * h);
    vt::Cpu<float>::silu_gate(pool, gates.data(), gated.data(), rows, h);
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t i = 0; i < h; ++i) {
        const double g = gates[r * 2 * h + i], want = g / (1 + std::exp(-g)) * gates[r * 2 * h + h + i];
        REQUIRE(std::abs(gated[r * h + i] - want) < 1e-5 * (1 + std::abs(want)));
      }
  }
}

TEST_CASE("an instruction set by a wrong name is refused") {
  CHECK_THROWS_AS(cpu::isa_by_name("sse9"), vt::ArgumentError);
  CHECK(cpu::isa_by_name("avx2") == cpu::Isa::avx2);
}
