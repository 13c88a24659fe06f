// The feed-forward part of a block as one operation must give what its two layers give, which other tests hold against PyTorch and
// finite differences.
#include <vitals/autograd/feed_forward.hpp>

#include <vector>

#include <catch2/catch.hpp>

#include "kernels.hpp"
#include "operations.hpp"
#include "training.hpp"

#include <vitals/nn/mlp.hpp>

namespace vt = vitals;
using vt::dyn;

namespace {

template <class B>
struct Result {
  std::vector<typename B::Scalar> y, dx, db1, db2, dw1, dw2, dgamma;
  bool operator==(const Result&) const = default;
};

struct Case {
  bool layers = false;  // recorded one by one
  bool w1 = true, w2 = true, gamma = true, biases = true, checkpoint = false;
};

// Two passes: gradients of parameters add up, that of x is added to what it has.
template <std::size_t D, std::size_t Hidden, class B>
Result<B> run(const Case& c, std::size_t tokens, vt::Executor& executor) {
  using Scalar = typename B::Scalar;
  vt::nn::Mlp<D, Hidden, B> mlp;
  vt::nn::LayerScale<D, B> scale;
  auto table = vt::nn::parameters<B>(mlp);
  table.push_back({"gamma", &scale.gamma});
  test::randomize(table, 3);
  mlp.fc1.weight.set_trainable(c.w1), mlp.fc2.weight.set_trainable(c.w2), scale.gamma.set_trainable(c.gamma);
  mlp.fc1.bias.set_trainable(c.biases), mlp.fc2.bias.set_trainable(c.biases);
  const auto numbers = [&](std::uint64_t stream) {
    vt::Rng rng(5, stream);
    std::vector<Scalar> v(2 * tokens * D);
    for (auto& n : v) n = static_cast<Scalar>(rng.normal());
    return v;
  };
  Result<B> out;
  vt::Tape<B> tape(executor, {.checkpoint = c.checkpoint});
  for (int pass = 0; pass < 2; ++pass) {
    const auto x = test::variable<dyn, dyn, D>(tape, {2, tokens, D}, numbers(1));
    auto residual = test::variable<dyn, dyn, D>(tape, {2, tokens, D}, numbers(2));
    const auto to_residual = residual.slot();
    const auto y = c.layers
                       ? vt::ops::linear_scale_add(
                             tape, std::move(residual),
                             vt::ops::linear_gelu<Hidden>(tape, x, mlp.fc1.weight, mlp.fc1.bias), mlp.fc2.weight,
                             mlp.fc2.bias, scale.gamma)
                       : mlp.add_to(tape, std::move(residual), x, scale);
    const bool joined = !c.layers && std::is_same_v<B, vt::Cpu<vt::bfloat16>> && D < 3000;
    CHECK(tape.recorded() == (joined ? 1 : 3));
    const auto before = numbers(3), dy = numbers(4);
    x.slot()->add([&](Scalar* to, bool) { std::copy(before.begin(), before.end(), to); });
    test::backward(y, dy);
    CHECK(std::equal(dy.begin(), dy.end(), to_residual->data()));
    out.y.assign(y.data(), y.data() + y.size());
    out.dx.assign(x.slot()->data(), x.slot()->data() + x.size());
  }
  out.db1 = test::gradient(mlp.fc1.bias), out.db2 = test::gradient(mlp.fc2.bias);
  out.dw1 = test::gradient(mlp.fc1.weight), out.dw2 = test::gradient(mlp.fc2.weight), out.dgamma = test::gradient(scale.gamma);
  CHECK((out.dw1.empty() != c.w1 && out.dw2.empty() != c.w2 && out.dgamma.empty() != c.gamma));
  CHECK((out.db1.empty() != c.biases && out.db2.empty() != c.biases));
  return out;
}

template <std::size_t D, std::size_t Hidden, class B>
void check(std::size_t tokens, double tolerance) {
  INFO(tokens << " tokens of " << D << ", inner " << Hidden);
  vt::ThreadPool two(2);
  const auto layers = run<D, Hidden, B>({.layers = true}, tokens, two), one = run<D, Hidden, B>({}, tokens, two);
  CHECK(test::distance(one.y, layers.y) < tolerance);
  CHECK(test::distance(one.dx, layers.dx) < tolerance);
  CHECK(test::distance(one.db1, layers.db1) < tolerance);
  CHECK(test::distance(one.db2, layers.db2) < tolerance);
  CHECK(test::distance(one.dw1, layers.dw1) < tolerance);
  CHECK(test::distance(one.dw2, layers.dw2) < tolerance);
  CHECK(test::distance(one.dgamma, layers.dgamma) < tolerance);
  CHECK(run<D, Hidden, B>({.checkpoint = true}, tokens, two) == one);
  for (unsigned threads : {1u, 3u}) {
    vt::ThreadPool pool(threads);
    CHECK(run<D, Hidden, B>({}, tokens, pool) == one);
  }
  // Whatever trains, its gradient is the same.
  const auto frozen = run<D, Hidden, B>({.w1 = false, .w2 = false, .gamma = false}, tokens, two);
  CHECK((frozen.y == one.y && frozen.dx == one.dx && frozen.db1 == one.db1 && frozen.db2 == one.db2));
  CHECK(run<D, Hidden, B>({.w1 = false, .w2 = false, .gamma = false, .biases = false}, tokens, two).dx == one.dx);
  const auto first = run<D, Hidden, B>({.w2 = false, .gamma = false, .biases = false}, tokens, two);
  CHECK((first.dx == one.dx && first.dw1 == one.dw1));
  const auto second = run<D, Hidden, B>({.w1 = false, .gamma = false, .biases = false}, tokens, two);
  CHECK((second.dx == one.dx && second.dw2 == one.dw2));
  CHECK(run<D, Hidden, B>({.w1 = false, .w2 = false, .biases = false}, tokens, two).dgamma == one.dgamma);
}

}  // namespace

TEMPLATE_TEST_CASE("a feed-forward part gives what its two layers give, whatever trains", "", vt::Cpu<double>,
                   vt::Cpu<float>, vt::Cpu<vt::bfloat16>) {
  const double tolerance = std::is_same_v<TestType, vt::Cpu<double>>  ? 1e-14
                           : std::is_same_v<TestType, vt::Cpu<float>> ? 2e-6
                                                                      : 8e-3;
  for (const auto isa : test::isas()) {
    vt::backend::cpu::ScopedIsa scoped(isa);
    INFO(vt::backend::cpu::name(isa));
    check<24, 96, TestType>(17, tolerance);
    check<13, 41, TestType>(1, tolerance);     // tails of tiles, panels and pairs
    check<24, 1024, TestType>(33, tolerance);  // inner rows that may not stand 4 KiB apart
    check<40, 65, TestType>(140, tolerance);
    check<3100, 32, TestType>(3, tolerance);  // sums too long for one go
    check<8, 40, TestType>(1150, tolerance);  // more rows than a weight's gradient sums in one go
  }
}
