// Single operations against float64 references: Cpu<float> to 1e-5 of the largest value, Cpu<double> to 1e-12.
#include <vitals/backend/cpu/cpu_double.hpp>
#include <vitals/nn/position_embedding.hpp>

#include <catch2/catch.hpp>

#include "operations.hpp"

namespace vt = vitals;

namespace {

using test::flat;
using test::golden;
using test::tolerance;

// A weight of the file, packed for the backend of T in T's own precision.
template <class T>
typename vt::Cpu<T>::Weight weight(const vt::io::TensorFile& file, const std::string& name, std::size_t out) {
  const auto values = flat<T>(file, name);
  const std::size_t in = values.size() / out;
  return {vt::default_pool(), values.data(), in, out, in};
}

template <class T>
void check_attention(const std::string& name) {
  const auto file = golden(name);
  const auto q = test::tensor<4, T>(file, "q"), k = test::tensor<4, T>(file, "k"), v = test::tensor<4, T>(file, "v");
  const auto y = test::tensor<4, T>(file, "y");
  const auto [batch, heads, tokens, d] = q.shape();
  vt::Tensor<T, vt::dyn, vt::dyn, vt::dyn, vt::dyn, vt::dyn> qkv({batch, tokens, 3, heads, d});
  for (std::size_t b = 0; b < batch; ++b)
    for (std::size_t h = 0; h < heads; ++h)
      for (std::size_t n = 0; n < tokens; ++n)
        for (std::size_t c = 0; c < d; ++c) {
          qkv(b, n, 0, h, c) = q(b, h, n, c);
          qkv(b, n, 1, h, c) = k(b, h, n, c);
          qkv(b, n, 2, h, c) = v(b, h, n, c);
        }
  vt::Tensor<T, vt::dyn, vt::dyn, vt::dyn, vt::dyn> out({batch, tokens, heads, d}), ordered(y.shape());
  vt::Cpu<T>::attention(vt::default_pool(), qkv.data(), batch, tokens, heads, d, tokens, out.data(), nullptr);
  for (std::size_t b = 0; b < batch; ++b)
    for (std::size_t h = 0; h < heads; ++h)
      for (std::size_t n = 0; n < tokens; ++n)
        for (std::size_t c = 0; c < d; ++c) ordered(b, h, n, c) = out(b, n, h, c);
  INFO(name);
  CHECK(test::distance(ordered, y) < tolerance<T>);
}

}  // namespace

TEMPLATE_TEST_CASE("operations equal their references", "", float, double) {
  NEEDS_SHARED("goldens/ops");
  using T = TestType;
  using B = vt::Cpu<T>;
  auto& pool = vt::default_pool();

  SECTION("attention") {
    check_attention<T>("attention");
    check_attention<T>("attention_large_logits");
  }
  SECTION("linear") {
    const auto file = golden("linear");
    const auto x = flat<T>(file, "x"), y = flat<T>(file, "y"), bias = flat<T>(file, "bias");
    auto out = y;
    B::linear(pool, x.data(), y.size() / bias.size(), weight<T>(file, "weight", bias.size()), bias.data(), out.data());
    CHECK(test::distance(out, y) < tolerance<T>);
  }
  SECTION("layer norm") {
    const auto file = golden("layer_norm");
    const auto x = flat<T>(file, "x"), y = flat<T>(file, "y"), gamma = flat<T>(file, "weight"),
               beta = flat<T>(file, "bias");
    auto out = y;
    B::layer_norm(pool, x.data(), out.data(), x.size() / gamma.size(), gamma.size(), gamma.data(), beta.data(),
                  T(1e-6));
    CHECK(test::distance(out, y) < tolerance<T>);
  }
  SECTION("GELU") {
    const auto file = golden("gelu");
    const auto x = flat<T>(file, "x"), y = flat<T>(file, "y");
    auto out = y;
    vt::backend::cpu::gelu(pool, x.data(), out.data(), x.size());
    CHECK(test::distance(out, y) < tolerance<T>);
  }
  SECTION("the gate of SwiGLU") {
    const auto file = golden("silu_gate");
    const auto x = flat<T>(file, "x"), y = flat<T>(file, "y");
    const std::size_t width = file.find("y")->shape.back();
    auto out = y;
    B::silu_gate(pool, x.data(), out.data(), y.size() / width, width);
    CHECK(test::distance(out, y) < tolerance<T>);
  }
  SECTION("SwiGLU") {
    const auto file = golden("swiglu");
    const auto x = flat<T>(file, "x"), y = flat<T>(file, "y"), b12 = flat<T>(file, "w12_bias"),
               b3 = flat<T>(file, "w3_bias");
    const std::size_t rows = y.size() / b3.size(), hidden = b12.size() / 2;
    std::vector<T> wide(rows * 2 * hidden), gated(rows * hidden);
    B::linear(pool, x.data(), rows, weight<T>(file, "w12_weight", b12.size()), b12.data(), wide.data());
    B::silu_gate(pool, wide.data(), gated.data(), rows, hidden);
    auto out = y;
    B::linear(pool, gated.data(), rows, weight<T>(file, "w3_weight", b3.size()), b3.data(), out.data());
    CHECK(test::distance(out, y) < tolerance<T>);
  }
  SECTION("patch embedding") {
    const auto file = golden("patch_embed");
    const auto x = test::tensor<4, T>(file, "x");
    const auto y = flat<T>(file, "y"), bias = flat<T>(file, "bias");
    const std::size_t tokens = y.size() / bias.size();
    std::vector<T> rows(tokens * 3 * 14 * 14);
    B::patches(pool, x.data(), x.extent(0), x.extent(2), x.extent(3), 14, rows.data());
    auto out = y;
    B::linear(pool, rows.data(), tokens, weight<T>(file, "weight", bias.size()), bias.data(), out.data());
    CHECK(test::distance(out, y) < tolerance<T>);
  }
}

TEST_CASE("position embeddings are interpolated by the three rules") {
  NEEDS_SHARED("goldens/ops");
  struct Case {
    const char* name;
    std::size_t h, w;
  };
  std::size_t seen = 0;
  for (const auto& [size, h, w] :
       {Case{"larger", 7, 7}, Case{"smaller", 3, 3}, Case{"wide", 4, 8}, Case{"37_to_16", 16, 16}})
    for (auto rule : {vt::Positions::offset, vt::Positions::size, vt::Positions::antialias}) {
      const std::string name = std::string("pos_embed_") + vt::name(rule) + "_" + size;
      if (!std::filesystem::exists(test::shared("goldens/ops/" + name + ".safetensors"))) continue;
      ++seen;
      INFO(name);
      const auto file = golden(name);
      const auto stored = test::tensor<3>(file, "pos");
      const vt::TensorView<const float, vt::dyn, vt::dyn> view(stored.data(), {stored.extent(1), stored.extent(2)});
      CHECK(test::distance(vt::nn::interpolate_positions(view, h, w, rule), flat<float>(file, "y")) < 1e-6);
    }
  CHECK(seen == 11);  // size 37 to 16 has no reference
}

TEST_CASE("position rules: the stored grid is untouched, a non-square grid of as many tokens is not") {
  vt::Tensor<float, vt::dyn, vt::dyn> stored({17, 3});
  for (std::size_t i = 0; i < stored.size(); ++i) stored.data()[i] = static_cast<float>(i * i % 31);
  for (auto rule : {vt::Positions::offset, vt::Positions::size, vt::Positions::antialias}) {
    const auto same = vt::nn::interpolate_positions(stored, 4, 4, rule);
    CHECK(std::equal(same.begin(), same.end(), stored.begin()));
    const auto wide = vt::nn::interpolate_positions(stored, 2, 8, rule);
    REQUIRE(wide.size() == stored.size());
    CHECK(!std::equal(wide.begin(), wide.end(), stored.begin()));
    CHECK(std::equal(wide.begin(), wide.begin() + 3, stored.begin()));  // CLS
  }
  CHECK_THROWS_AS(vt::nn::interpolate_positions(vt::Tensor<float, vt::dyn, vt::dyn>({7, 3}), 2, 2, vt::Positions::size),
                  vt::ShapeError);
}

TEST_CASE("a constant grid stays constant and size-rule doubling is symmetric") {
  vt::Tensor<float, vt::dyn, vt::dyn> stored({10, 1});
  for (auto& v : stored) v = 2.5f;
  for (auto rule : {vt::Positions::offset, vt::Positions::size, vt::Positions::antialias})
    for (float v : vt::nn::interpolate_positions(stored, 5, 7, rule)) CHECK(v == Approx(2.5f).epsilon(1e-6));
  for (std::size_t i = 0; i < 9; ++i) stored(1 + i, 0) = static_cast<float>(i % 3);  // a ramp along x
  const auto doubled = vt::nn::interpolate_positions(stored, 6, 6, vt::Positions::size);
  for (std::size_t x = 0; x < 6; ++x) CHECK(doubled(1 + x, 0) + doubled(1 + 5 - x, 0) == Approx(2.0f).epsilon(1e-5));
}
