// The gradient of every operation against float64 references of PyTorch: Cpu<float> to 1e-5 of the largest value, Cpu<double> to
// 1e-12.
#include <vitals/nn/attention.hpp>
#include <vitals/nn/layer_norm.hpp>
#include <vitals/nn/linear.hpp>
#include <vitals/nn/mlp.hpp>
#include <vitals/nn/patch_embed.hpp>
#include <vitals/nn/swiglu.hpp>

#include <catch2/catch.hpp>

#include "operations.hpp"
#include "training.hpp"

namespace vt = vitals;
using vt::dyn;

namespace {

using test::flat;
using test::golden;
using test::tolerance;

template <class V>
auto slot_of(const V& x) {
  REQUIRE(x.slot()->filled);
  return std::vector(x.slot()->data(), x.slot()->data() + x.size());
}

template <class T, std::size_t Heads, std::size_t Dim>
void check_attention(const std::string& name) {
  const auto file = golden(name);
  const auto q = test::tensor<4, T>(file, "q"), k = test::tensor<4, T>(file, "k"), v = test::tensor<4, T>(file, "v");
  const auto dy = test::tensor<4, T>(file, "dy"), dq = test::tensor<4, T>(file, "dq"),
             dk = test::tensor<4, T>(file, "dk"), dv = test::tensor<4, T>(file, "dv");
  const auto [batch, heads, tokens, d] = q.shape();
  std::vector<T> qkv(3 * q.size()), reference(3 * q.size()), up(q.size());
  for (std::size_t b = 0; b < batch; ++b)
    for (std::size_t h = 0; h < heads; ++h)
      for (std::size_t n = 0; n < tokens; ++n)
        for (std::size_t c = 0; c < d; ++c) {
          const auto at = [&, d = d, heads = heads, tokens = tokens](std::size_t part) {
            return (((b * tokens + n) * 3 + part) * heads + h) * d + c;
          };
          qkv[at(0)] = q(b, h, n, c), qkv[at(1)] = k(b, h, n, c), qkv[at(2)] = v(b, h, n, c);
          reference[at(0)] = dq(b, h, n, c), reference[at(1)] = dk(b, h, n, c), reference[at(2)] = dv(b, h, n, c);
          up[((b * tokens + n) * heads + h) * d + c] = dy(b, h, n, c);
        }
  vt::Tape<vt::Cpu<T>> tape;
  const auto x = test::variable<dyn, dyn, 3 * Dim>(tape, {batch, tokens, 3 * Dim}, qkv);
  const auto y = vt::ops::attention<Heads>(tape, x, x.extent(1));
  test::backward(y, up);
  INFO(name);
  CHECK(test::distance(slot_of(x), reference) < tolerance<T>);
}

}  // namespace

TEMPLATE_TEST_CASE("gradients of operations equal their references", "", float, double) {
  NEEDS_SHARED("goldens/ops");
  using T = TestType;
  using B = vt::Cpu<T>;
  vt::Tape<B> tape;

  SECTION("linear") {
    const auto file = golden("linear");
    vt::nn::Linear<12, 7, B> layer;
    test::set(layer.weight, flat<T>(file, "weight"));
    test::set(layer.bias, flat<T>(file, "bias"));
    const auto x = test::variable<dyn, dyn, 12>(tape, {2, 5, 12}, flat<T>(file, "x"));
    const auto y = layer(tape, x);
    CHECK(test::distance(y, flat<T>(file, "y")) < tolerance<T>);
    test::backward(y, flat<T>(file, "dy"));
    CHECK(test::distance(slot_of(x), flat<T>(file, "dx")) < tolerance<T>);
    CHECK(test::distance(test::gradient(layer.weight), flat<T>(file, "dweight")) < tolerance<T>);
    CHECK(test::distance(test::gradient(layer.bias), flat<T>(file, "dbias")) < tolerance<T>);
  }
  SECTION("linear with a low-rank term") {
    const auto file = golden("lora");
    vt::nn::Linear<12, 7, B> layer;
    test::set(layer.weight, flat<T>(file, "weight"));
    test::set(layer.bias, flat<T>(file, "bias"));
    auto term = std::make_shared<vt::nn::LowRank<B>>("", 0, 7, 12, 4);
    test::set(term->a, flat<T>(file, "A"));
    test::set(term->b, flat<T>(file, "B"));
    term->scale = 2;
    layer.weight.low_rank().push_back(term);
    const auto x = test::variable<dyn, dyn, 12>(tape, {2, 5, 12}, flat<T>(file, "x"));
    const auto y = layer(tape, x);
    CHECK(test::distance(y, flat<T>(file, "y")) < tolerance<T>);
    test::backward(y, flat<T>(file, "dy"));
    CHECK(test::distance(slot_of(x), flat<T>(file, "dx")) < tolerance<T>);
    CHECK(test::distance(test::gradient(layer.weight), flat<T>(file, "dweight")) < tolerance<T>);
    CHECK(test::distance(test::gradient(layer.bias), flat<T>(file, "dbias")) < tolerance<T>);
    CHECK(test::distance(test::gradient(term->a), flat<T>(file, "dA")) < tolerance<T>);
    CHECK(test::distance(test::gradient(term->b), flat<T>(file, "dB")) < tolerance<T>);
  }
  SECTION("layer norm") {
    const auto file = golden("layer_norm");
    vt::nn::LayerNorm<16, B> layer;
    test::set(layer.weight, flat<T>(file, "weight"));
    test::set(layer.bias, flat<T>(file, "bias"));
    const auto x = test::variable<dyn, dyn, 16>(tape, {2, 5, 16}, flat<T>(file, "x"));
    test::backward(layer(tape, x, 1e-6), flat<T>(file, "dy"));
    CHECK(test::distance(slot_of(x), flat<T>(file, "dx")) < tolerance<T>);
    CHECK(test::distance(test::gradient(layer.weight), flat<T>(file, "dweight")) < tolerance<T>);
    CHECK(test::distance(test::gradient(layer.bias), flat<T>(file, "dbias")) < tolerance<T>);
  }
  SECTION("attention") {
    check_attention<T, 3, 24>("attention");
    check_attention<T, 2, 16>("attention_large_logits");
  }
  SECTION("a whole attention") {
    const auto file = golden("attention_block");
    vt::nn::Attention<16, 2, B> layer;
    test::set(layer.qkv.weight, flat<T>(file, "qkv_weight"));
    test::set(layer.qkv.bias, flat<T>(file, "qkv_bias"));
    test::set(layer.proj.weight, flat<T>(file, "proj_weight"));
    test::set(layer.proj.bias, flat<T>(file, "proj_bias"));
    vt::nn::LayerScale<16, B> one;
    test::set(one.gamma, std::vector<T>(16, T(1)));
    const auto x = test::variable<dyn, dyn, 16>(tape, {2, 5, 16}, flat<T>(file, "x"));
    const auto y = layer.add_to(tape, test::variable<dyn, dyn, 16>(tape, {2, 5, 16}, std::vector<T>(160)), x, one);
    CHECK(test::distance(y, flat<T>(file, "y")) < tolerance<T>);
    test::backward(y, flat<T>(file, "dy"));
    CHECK(test::distance(slot_of(x), flat<T>(file, "dx")) < tolerance<T>);
    CHECK(test::distance(test::gradient(layer.qkv.weight), flat<T>(file, "dqkv_weight")) < tolerance<T>);
    CHECK(test::distance(test::gradient(layer.qkv.bias), flat<T>(file, "dqkv_bias")) < tolerance<T>);
    CHECK(test::distance(test::gradient(layer.proj.weight), flat<T>(file, "dproj_weight")) < tolerance<T>);
    CHECK(test::distance(test::gradient(layer.proj.bias), flat<T>(file, "dproj_bias")) < tolerance<T>);
  }
  SECTION("GELU") {
    const auto file = golden("gelu");
    const auto x = test::variable<dyn, dyn, 128>(tape, {1, 1, 128}, flat<T>(file, "x"));
    test::backward(vt::ops::gelu(tape, x), flat<T>(file, "dy"));
    CHECK(test::distance(slot_of(x), flat<T>(file, "dx")) < tolerance<T>);
  }
  SECTION("the gate of SwiGLU") {
    const auto file = golden("silu_gate");
    const auto x = test::variable<dyn, dyn, 24>(tape, {2, 5, 24}, flat<T>(file, "x"));
    test::backward(vt::ops::silu_gate(tape, x), flat<T>(file, "dy"));
    CHECK(test::distance(slot_of(x), flat<T>(file, "dx")) < tolerance<T>);
  }
  SECTION("SwiGLU") {
    const auto file = golden("swiglu");
    vt::nn::SwiGlu<12, 32, B> layer;
    test::set(layer.w12.weight, flat<T>(file, "w12_weight"));
    test::set(layer.w12.bias, flat<T>(file, "w12_bias"));
    test::set(layer.w3.weight, flat<T>(file, "w3_weight"));
    test::set(layer.w3.bias, flat<T>(file, "w3_bias"));
    vt::nn::LayerScale<12, B> one;
    test::set(one.gamma, std::vector<T>(12, T(1)));
    const auto x = test::variable<dyn, dyn, 12>(tape, {2, 5, 12}, flat<T>(file, "x"));
    const auto y = layer.add_to(tape, test::variable<dyn, dyn, 12>(tape, {2, 5, 12}, std::vector<T>(120)), x, one);
    CHECK(test::distance(y, flat<T>(file, "y")) < tolerance<T>);
    test::backward(y, flat<T>(file, "dy"));
    CHECK(test::distance(slot_of(x), flat<T>(file, "dx")) < tolerance<T>);
    CHECK(test::distance(test::gradient(layer.w12.weight), flat<T>(file, "dw12_weight")) < tolerance<T>);
    CHECK(test::distance(test::gradient(layer.w12.bias), flat<T>(file, "dw12_bias")) < tolerance<T>);
    CHECK(test::distance(test::gradient(layer.w3.weight), flat<T>(file, "dw3_weight")) < tolerance<T>);
    CHECK(test::distance(test::gradient(layer.w3.bias), flat<T>(file, "dw3_bias")) < tolerance<T>);
  }
  SECTION("layer scale: the identity as its Linear") {
    const auto file = golden("layer_scale");
    vt::nn::Linear<12, 12, B> identity;
    std::vector<T> one(144);
    for (std::size_t i = 0; i < 12; ++i) one[13 * i] = 1;
    test::set(identity.weight, one);
    test::set(identity.bias, std::vector<T>(12));
    vt::nn::LayerScale<12, B> scale;
    test::set(scale.gamma, flat<T>(file, "gamma"));
    const auto x = test::variable<dyn, dyn, 12>(tape, {2, 5, 12}, flat<T>(file, "x"));
    auto residual = test::variable<dyn, dyn, 12>(tape, {2, 5, 12}, std::vector<T>(120));
    const auto before = residual.slot();
    const auto y = vt::ops::linear_scale_add(tape, std::move(residual), x, identity.weight, identity.bias, scale.gamma);
    CHECK(test::distance(y, flat<T>(file, "y")) < tolerance<T>);
    const auto dy = flat<T>(file, "dy");
    test::backward(y, dy);
    CHECK(test::distance(slot_of(x), flat<T>(file, "dx")) < tolerance<T>);
    CHECK(test::distance(test::gradient(scale.gamma), flat<T>(file, "dgamma")) < tolerance<T>);
    CHECK(std::equal(dy.begin(), dy.end(), before->data()));
  }
  SECTION("patch embedding") {  // pixels are float
    const auto file = golden("patch_embed");
    vt::nn::PatchEmbed<14, 8, B> layer;
    test::set(layer.proj.weight, flat<T>(file, "weight"));
    test::set(layer.proj.bias, flat<T>(file, "bias"));
    const auto x = test::tensor<4, float>(file, "x");
    const auto y = layer(tape, vt::TensorView<const float, dyn, 3, dyn, dyn>(x.data(), x.shape()));
    CHECK(test::distance(y, flat<T>(file, "y")) < 1e-5);
    test::backward(y, flat<T>(file, "dy"));
    CHECK(test::distance(test::gradient(layer.proj.weight), flat<T>(file, "dweight")) < 1e-5);
    CHECK(test::distance(test::gradient(layer.proj.bias), flat<T>(file, "dbias")) < tolerance<T>);
  }
  SECTION("cross entropy") {
    const auto file = golden("cross_entropy");
    std::vector<std::size_t> labels;
    for (double label : flat<double>(file, "target")) labels.push_back(static_cast<std::size_t>(label));
    const auto x = test::variable<dyn, dyn, 4>(tape, {6, 1, 4}, flat<T>(file, "logits"));
    const auto loss = vt::losses::cross_entropy(x, labels);
    CHECK(test::distance(loss, flat<T>(file, "y")) < tolerance<T>);
    test::backward(loss, flat<T>(file, "dy"));
    CHECK(test::distance(slot_of(x), flat<T>(file, "dlogits")) < tolerance<T>);
  }
  SECTION("binary cross entropy") {
    const auto file = golden("bce_with_logits");
    std::vector<float> targets;
    for (double target : flat<double>(file, "target")) targets.push_back(static_cast<float>(target));
    const auto x = test::variable<dyn, dyn, 4>(tape, {6, 1, 4}, flat<T>(file, "logits"));
    const auto loss = vt::losses::binary_cross_entropy(x, targets);
    CHECK(test::distance(loss, flat<T>(file, "y")) < tolerance<T>);
    test::backward(loss, flat<T>(file, "dy"));
    CHECK(test::distance(slot_of(x), flat<T>(file, "dlogits")) < tolerance<T>);
  }
}

TEST_CASE("interpolated positions give their gradient back to the stored grid") {
  NEEDS_SHARED("goldens/ops");
  struct Case {
    const char* name;
    std::size_t h, w;
  };
  for (const char* rule : {"offset", "antialias", "size"})
    for (const Case& c : {Case{"larger", 7, 7}, {"smaller", 3, 3}, {"wide", 4, 8}, {"37_to_16", 16, 16}}) {
      if (std::string(rule) == "size" && std::string(c.name) == "37_to_16") continue;
      const auto file = golden(std::string("pos_embed_") + rule + "_" + c.name);
      const auto dy = flat<double>(file, "dy"), reference = flat<double>(file, "dpos");
      const std::size_t d = file.find("dy")->shape.back();
      std::vector<double> out(reference.size());
      vt::nn::interpolate_positions_backward(dy, c.h, c.w, d, vt::positions_by_name(rule), out);
      INFO(rule << " " << c.name);
      CHECK(test::distance(out, reference) < 1e-6);
    }
}
