// int8 products: the whole-number sums are exact on every instruction set, against plain loops over quantize_row, which
// is the definition; and what is defined for zeros, extremes, NaN and infinities.
#include <vitals/backend/cpu/cpu_double.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include <catch2/catch.hpp>

#include "kernels.hpp"

#include <vitals/core/error.hpp>
#include <vitals/core/rng.hpp>

namespace vt = vitals;
namespace cpu = vt::backend::cpu;
using Cpu = vt::Cpu<std::int8_t>;

namespace {

using test::isas;
using test::random;

struct Quantized {
  std::vector<std::int8_t> q;
  std::vector<float> scale;
};
Quantized quantize(const float* x, std::size_t ld, std::size_t rows, std::size_t k) {
  Quantized out{std::vector<std::int8_t>(rows * k), std::vector<float>(rows)};
  for (std::size_t i = 0; i < rows; ++i) out.scale[i] = cpu::quantize_row(x + i * ld, k, out.q.data() + i * k);
  return out;
}

std::int32_t sum(const std::int8_t* a, const std::int8_t* b, std::size_t k) {
  std::int32_t total = 0;
  for (std::size_t p = 0; p < k; ++p) total += std::int32_t{a[p]} * b[p];
  return total;
}

double gelu(double x) { return 0.5 * x * std::erfc(-x / std::sqrt(2.0)); }

// Y of a product without epilogue, X and W dense.
std::vector<float> multiply(const std::vector<float>& x, std::size_t m, const std::vector<float>& w, std::size_t n,
                            std::size_t k) {
  vt::ThreadPool pool(1);
  std::vector<float> y(m * n);
  Cpu::linear(pool, x.data(), m, Cpu::pack(pool, w.data(), n, k), nullptr, y.data());
  return y;
}

}  // namespace

TEST_CASE("int8 sums equal plain int32 sums to the last bit for any size, tail and stride, and epilogues follow") {
  vt::ThreadPool pool(2);
  for (auto isa : isas()) {
    cpu::ScopedIsa scoped(isa);
    vt::Rng rng(7);
    for (int round = 0; round < 250; ++round) {
      const std::size_t m = 1 + rng.below(70), n = 1 + rng.below(100), k = 1 + rng.below(150);
      const std::size_t ldx = k + rng.below(5), ldw = k + rng.below(5), ldy = n + rng.below(5);
      INFO(cpu::name(isa) << " m " << m << " n " << n << " k " << k);
      auto x = random(m * ldx, 10 + round, 3), w = random(n * ldw, 1000 + round);
      for (std::size_t i = 0; i < m; ++i) x[i * ldx + rng.below(k)] *= 20;  // outliers
      const auto bias = random(n, 3), gamma = random(n, 4);
      const auto qx = quantize(x.data(), ldx, m, k), qw = quantize(w.data(), ldw, n, k);
      const cpu::PackedMatrix<std::int8_t> packed(pool, w.data(), ldw, n, k);
      std::vector<float> back(n * k);
      packed.unpack(back.data());
      for (std::size_t i = 0; i < back.size(); ++i) REQUIRE(back[i] == qw.scale[i / k] * qw.q[i]);
      for (int store = -1; store < 3; ++store) {
        auto y = random(m * ldy, 5);
        const auto before = y;
        cpu::Epilogue<float> epilogue;
        if (store >= 0) epilogue = {static_cast<cpu::Store>(store), bias.data(), gamma.data()};
        cpu::product<std::int8_t>(pool, x.data(), ldx, m, packed, y.data(), ldy, epilogue);
        for (std::size_t i = 0; i < m; ++i)
          for (std::size_t j = 0; j < ldy; ++j) {
            const float got = y[i * ldy + j];
            if (j >= n) {
              REQUIRE(got == before[i * ldy + j]);
              continue;
            }
            const std::int32_t whole = sum(qx.q.data() + i * k, qw.q.data() + j * k, k);
            const float plain = static_cast<float>(whole) * (qx.scale[i] * qw.scale[j]);
            if (store < 0) {
              REQUIRE(got == plain);
              continue;
            }
            double want = double(plain) + bias[j];
            const double own = epilogue.store == cpu::Store::gelu ? test::coarse_gelu_error<std::int8_t>(want) : 0;
            if (epilogue.store == cpu::Store::gelu) want = gelu(want);
            if (epilogue.store == cpu::Store::scale_add) want = before[i * ldy + j] + gamma[j] * want;
            REQUIRE(std::abs(got - want) < 1e-5 * (1 + std::abs(plain)) + own);
          }
      }
    }
  }
}

TEST_CASE("quantising errs by half a step at most, and a product accordingly") {
  const std::size_t m = 40, n = 50, k = 384;
  const auto x = random(m * k, 1), w = random(n * k, 2, 0.02);
  const auto qx = quantize(x.data(), k, m, k), qw = quantize(w.data(), k, n, k);
  for (std::size_t i = 0; i < m * k; ++i) {
    const double step = qx.scale[i / k];
    REQUIRE(std::abs(step * qx.q[i] - x[i]) <= step * 0.50001);
    REQUIRE(std::abs(int{qx.q[i]}) <= 127);
  }
  const auto y = multiply(x, m, w, n, k);
  for (std::size_t i = 0; i < m; ++i)
    for (std::size_t j = 0; j < n; ++j) {
      double want = 0, bound = 1e-6;
      for (std::size_t p = 0; p < k; ++p) {
        want += double(x[i * k + p]) * w[j * k + p];
        bound += 0.51 * (qx.scale[i] * std::abs(w[j * k + p]) + qw.scale[j] * std::abs(x[i * k + p])) +
                 0.26 * double(qx.scale[i]) * qw.scale[j];
      }
      REQUIRE(std::abs(y[i * n + j] - want) <= bound);
    }
}

TEST_CASE("extremes neither overflow nor saturate") {
  for (auto isa : isas()) {
    cpu::ScopedIsa scoped(isa);
    INFO(cpu::name(isa));
    for (std::size_t k : {4u, 4096u, 65536u}) {
      std::vector<float> same(k, 127.0f), opposite(k, -127.0f), alternating(k);
      for (std::size_t p = 0; p < k; ++p) alternating[p] = p % 2 ? 127.0f : -127.0f;
      const std::vector<float>* rows[] = {&same, &opposite, &alternating};
      std::vector<float> x, w;
      for (const auto* row : rows) x.insert(x.end(), row->begin(), row->end());
      w = x;
      const auto y = multiply(x, 3, w, 3, k);
      const float full = static_cast<float>(127 * 127 * static_cast<std::int64_t>(k));
      CHECK(y == std::vector<float>{full, -full, 0, -full, full, 0, 0, 0, full});
    }
  }
  vt::ThreadPool pool(1);
  const std::vector<float> w(cpu::max_int8_row + 1, 1.0f);
  CHECK_THROWS_AS(Cpu::pack(pool, w.data(), 1, w.size()), vt::ArgumentError);
}

TEST_CASE("halves are rounded to even, rows of zeros and of the tiniest numbers are zeros") {
  for (auto isa : isas()) {
    cpu::ScopedIsa scoped(isa);
    INFO(cpu::name(isa));
    const std::vector<float> x{127, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f, 126.5f};
    std::vector<float> identity(64);
    for (std::size_t i = 0; i < 8; ++i) identity[i * 9] = 127;
    auto y = multiply(x, 1, identity, 8, 8);
    CHECK(y == std::vector<float>{127 * 127, 0, 2 * 127, 2 * 127, 0, -2 * 127, -2 * 127, 126 * 127});
    y = multiply(std::vector<float>(16, 0.0f), 2, identity, 8, 8);
    CHECK(y == std::vector<float>(16, 0.0f));
    y = multiply(std::vector<float>(8, 1e-38f), 1, identity, 8, 8);
    CHECK(y == std::vector<float>(8, 0.0f));
    y = multiply(x, 1, std::vector<float>(8, 0.0f), 1, 8);
    CHECK(y == std::vector<float>{0});
    y = multiply(std::vector<float>(8, std::numeric_limits<float>::max()), 1, identity, 8, 8);
    for (float v : y) CHECK(v > 1e38f);  // largest finite numbers overflow, they do not turn into something small
  }
}

TEST_CASE("a row with NaN or an infinity gives a row of NaN and leaves the others alone") {
  const std::size_t m = 14, n = 40, k = 37;
  auto x = random(m * k, 1);
  const auto w = random(n * k, 2);
  for (auto isa : isas()) {
    cpu::ScopedIsa scoped(isa);
    INFO(cpu::name(isa));
    const auto clean = multiply(x, m, w, n, k);
    for (float bad : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::quiet_NaN(),
                      std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()})
      for (std::size_t where : {0u, 5u, 36u}) {
        auto damaged = x;
        damaged[3 * k + where] = bad;
        damaged[13 * k + where] = bad;
        const auto y = multiply(damaged, m, w, n, k);
        for (std::size_t i = 0; i < m * n; ++i)
          if (i / n == 3 || i / n == 13)
            REQUIRE(std::isnan(y[i]));
          else
            REQUIRE(y[i] == clean[i]);
        auto damaged_w = w;
        damaged_w[7 * k + where] = bad;
        const auto z = multiply(x, m, damaged_w, n, k);
        for (std::size_t i = 0; i < m * n; ++i)
          if (i % n == 7)
            REQUIRE(std::isnan(z[i]));
          else
            REQUIRE(z[i] == clean[i]);
      }
  }
}

TEST_CASE("int8 products give the same bits for 1, 2 and 3 threads and on every instruction set") {
  const std::size_t m = 300, n = 200, k = 500;
  const auto x = random(m * k, 1), w = random(n * k, 2);
  std::vector<std::vector<float>> results;
  for (auto isa : isas()) {
    cpu::ScopedIsa scoped(isa);
    for (unsigned threads : {1u, 2u, 3u, 16u}) {
      vt::ThreadPool pool(threads);
      std::vector<float> y(m * n);
      Cpu::linear(pool, x.data(), m, Cpu::pack(pool, w.data(), n, k), nullptr, y.data());
      results.push_back(y);
    }
  }
  for (const auto& result : results) CHECK(result == results[0]);
}

TEST_CASE("weights packed for one instruction set are read on another") {
  const std::size_t m = 5, n = 33, k = 70;
  const auto x = random(m * k, 1), w = random(n * k, 2);
  const auto expected = multiply(x, m, w, n, k);
  vt::ThreadPool pool(1);
  for (auto isa : isas()) {
    const auto packed = [&] {
      cpu::ScopedIsa scoped(isa);
      return Cpu::pack(pool, w.data(), n, k);
    }();
    std::vector<float> y(m * n);
    Cpu::linear(pool, x.data(), m, packed, nullptr, y.data());
    CHECK(y == expected);
  }
}

namespace {

struct Sizes {
  std::size_t batch, tokens, heads, d;
  std::size_t dim() const { return heads * d; }
};

bool has_int8_attention() {
  const auto* kernel = cpu::product_kernels<std::int8_t>(cpu::active_isa());
  return kernel && kernel->attend;
}

std::vector<float> attend(const std::vector<float>& qkv, const Sizes& s, std::size_t queries, unsigned threads = 2,
                          float* probabilities = nullptr) {
  vt::ThreadPool pool(threads);
  std::vector<float> out(s.batch * queries * s.dim());
  Cpu::attention(pool, qkv.data(), s.batch, s.tokens, s.heads, s.d, queries, out.data(), probabilities);
  return out;
}

// What attention_int8_body.inc says, in double; for up to 384 tokens, which it takes as one block.
std::vector<double> defined_attention(const std::vector<float>& qkv, const Sizes& s) {
  const std::size_t dim = s.dim(), ld = 3 * dim;
  std::vector<double> out(s.batch * s.tokens * dim);
  for (std::size_t b = 0; b < s.batch; ++b)
    for (std::size_t h = 0; h < s.heads; ++h) {
      const float* first = qkv.data() + b * s.tokens * ld + h * s.d;
      const auto q = quantize(first, ld, s.tokens, s.d), k = quantize(first + dim, ld, s.tokens, s.d);
      std::vector<float> channels(s.d * s.tokens);
      for (std::size_t c = 0; c < s.d; ++c)
        for (std::size_t j = 0; j < s.tokens; ++j) channels[c * s.tokens + j] = first[j * ld + 2 * dim + c];
      const auto v = quantize(channels.data(), s.tokens, s.d, s.tokens);
      std::vector<double> score(s.tokens);
      for (std::size_t i = 0; i < s.tokens; ++i) {
        for (std::size_t j = 0; j < s.tokens; ++j)
          score[j] = double(q.scale[i]) * k.scale[j] * sum(q.q.data() + i * s.d, k.q.data() + j * s.d, s.d) /
                     std::sqrt(double(s.d));
        const double top = *std::max_element(score.begin(), score.end());
        double total = 0;
        std::vector<double> mixed(s.d);
        for (std::size_t j = 0; j < s.tokens; ++j) {
          const double weight = 255 * std::exp(score[j] - top), offset[4] = {0.125, 0.625, 0.375, 0.875};
          total += weight;
          for (std::size_t c = 0; c < s.d; ++c)
            mixed[c] += std::floor(weight + offset[j % 4]) * v.q[c * s.tokens + j];
        }
        for (std::size_t c = 0; c < s.d; ++c)
          out[(b * s.tokens + i) * dim + h * s.d + c] = v.scale[c] * mixed[c] / total;
      }
    }
  return out;
}

template <class A, class B>
double apart(const A& a, const B& b) {
  double most = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (!(std::abs(a[i] - b[i]) <= most) && most == most) most = std::abs(a[i] - b[i]);  // a NaN stays
  return most;
}

}  // namespace

TEST_CASE("int8 attention is what its definition says, and near softmax(Q K^T / sqrt(d)) V") {
  vt::ThreadPool pool(2);
  for (auto isa : isas()) {
    cpu::ScopedIsa scoped(isa);
    // The last two need more than one block of keys; tails of tiles, lanes, panels and half panels.
    for (const Sizes& s : {Sizes{2, 26, 3, 24}, Sizes{1, 257, 2, 64}, Sizes{1, 1, 1, 8}, Sizes{1, 33, 2, 20},
                           Sizes{1, 50, 1, 70}, Sizes{1, 785, 1, 64}, Sizes{1, 1370, 1, 16}}) {
      INFO(cpu::name(isa) << " tokens " << s.tokens << " d " << s.d);
      const auto qkv = random(s.batch * s.tokens * 3 * s.dim(), 1, 1.5);
      const std::vector<double> wide(qkv.begin(), qkv.end());
      std::vector<double> exact(s.batch * s.tokens * s.dim()), exact_p(s.batch * s.heads * s.tokens * s.tokens);
      cpu::attention<double>(pool, wide.data(), s.batch, s.tokens, s.heads, s.d, s.tokens, exact.data(), exact_p.data());
      const auto out = attend(qkv, s, s.tokens);
      std::vector<float> p(exact_p.size());
      const auto with = attend(qkv, s, s.tokens, 2, p.data());
      if (!has_int8_attention()) {  // then it is float32's
        std::vector<float> plain(out.size());
        cpu::attention<float>(pool, qkv.data(), s.batch, s.tokens, s.heads, s.d, s.tokens, plain.data());
        REQUIRE(out == plain);
        continue;
      }
      if (s.tokens <= 384) {
        REQUIRE(with == out);
        REQUIRE(apart(out, defined_attention(qkv, s)) < 0.01);  // a weight may fall on the other side of a step
      }
      REQUIRE(apart(out, exact) < 0.2);
      REQUIRE(apart(with, exact) < 0.2);
      REQUIRE(apart(p, exact_p) < 0.02);
      const std::size_t few = std::min<std::size_t>(s.tokens, 3);  // the first tokens alone: the same bits
      const auto first = attend(qkv, s, few);
      for (std::size_t b = 0; b < s.batch; ++b)
        for (std::size_t i = 0; i < few * s.dim(); ++i)
          REQUIRE(first[b * few * s.dim() + i] == out[b * s.tokens * s.dim() + i]);
    }
  }
}

TEST_CASE("weights far below a step of 1/255 keep their sum in int8 attention") {
  // One token with the weight 1 and 1,023 with 1/1000 of it: together half of the result.
  const Sizes s{1, 1024, 1, 16};
  std::vector<float> qkv(s.tokens * 3 * s.dim());
  for (std::size_t j = 0; j < s.tokens; ++j) {
    float* const token = qkv.data() + j * 3 * s.dim();
    std::fill_n(token, s.d, 1.0f);
    std::fill_n(token + s.dim(), s.d, j ? 0.0f : std::log(1000.0f) / 4);
    std::fill_n(token + 2 * s.dim(), s.d, j ? 1.0f : -1.0f);
  }
  const auto out = attend(qkv, s, 1);
  for (float y : out) CHECK(std::abs(y - 0.0114f) < 0.15f);
}

TEST_CASE("int8 attention gives the same bits for 1, 2 and 3 threads and survives logits of several hundred") {
  const Sizes s{1, 500, 3, 16};
  const auto qkv = random(s.tokens * 3 * s.dim(), 1, 30.0);
  for (auto isa : isas()) {
    cpu::ScopedIsa scoped(isa);
    const auto one = attend(qkv, s, s.tokens, 1);
    CHECK(one == attend(qkv, s, s.tokens, 2));
    CHECK(one == attend(qkv, s, s.tokens, 3));
    CHECK(std::all_of(one.begin(), one.end(), [](float v) { return std::abs(v) <= 150.0f; }));
  }
}

TEST_CASE("NaN and infinities are not lost in int8 attention") {
  const Sizes s{1, 20, 1, 8};
  for (auto isa : isas()) {
    cpu::ScopedIsa scoped(isa);
    INFO(cpu::name(isa));
    for (float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      auto qkv = random(s.tokens * 24, 1);
      qkv[7 * 24 + 3] = bad;  // a query: its row of the output
      auto out = attend(qkv, s, s.tokens);
      for (std::size_t i = 0; i < s.tokens * s.d; ++i) CHECK(std::isnan(out[i]) == (i / s.d == 7));
      if (!has_int8_attention()) continue;
      qkv = random(s.tokens * 24, 1);
      qkv[7 * 24 + 8 + 3] = bad;  // a key: everything
      out = attend(qkv, s, s.tokens);
      for (float y : out) CHECK(std::isnan(y));
      qkv = random(s.tokens * 24, 1);
      qkv[7 * 24 + 16 + 3] = bad;  // a value: its channel
      out = attend(qkv, s, s.tokens);
      for (std::size_t i = 0; i < out.size(); ++i) CHECK(std::isnan(out[i]) == (i % s.d == 3));
    }
  }
}
