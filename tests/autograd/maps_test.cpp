// Operations on maps and their gradients: against float64 references of PyTorch, finite differences in double, and the same bits for
// any number of threads.
#include <vitals/autograd/relu.hpp>
#include <vitals/autograd/resize.hpp>
#include <vitals/nn/batch_norm.hpp>
#include <vitals/nn/convolution.hpp>

#include <catch2/catch.hpp>

#include "operations.hpp"
#include "training.hpp"

namespace vt = vitals;
using vt::dyn;
using vt::backend::Resize;

namespace {

using test::flat;
using test::golden;
using test::tolerance;

/// (B, C, h, w) as PyTorch has it -> (B, h, w, C), and back.
template <class T>
std::vector<T> channels_last(const std::vector<T>& x, std::size_t b, std::size_t c, std::size_t h, std::size_t w) {
  std::vector<T> out(x.size());
  for (std::size_t i = 0; i < b; ++i)
    for (std::size_t k = 0; k < c; ++k)
      for (std::size_t p = 0; p < h * w; ++p) out[(i * h * w + p) * c + k] = x[(i * c + k) * h * w + p];
  return out;
}

template <class T>
struct Reference {
  vt::io::TensorFile file;
  explicit Reference(const std::string& name) : file(golden(name)) {}
  std::array<std::size_t, 4> shape(const std::string& name) const {
    const auto& s = file.find(name)->shape;
    return {s[0], s[2], s[3], s[1]};
  }
  std::vector<T> map(const std::string& name) const {
    const auto s = shape(name);
    return channels_last(flat<T>(file, name), s[0], s[3], s[1], s[2]);
  }
};

template <class B>
auto input(vt::Tape<B>& tape, const Reference<typename B::Scalar>& r) {
  return test::variable<dyn, dyn, dyn, dyn>(tape, r.shape("x"), r.map("x"));
}

template <class V>
auto slot_of(const V& x) {
  REQUIRE(x.slot()->filled);
  return std::vector(x.slot()->data(), x.slot()->data() + x.size());
}

template <class T>
void check(const Reference<T>& r, const vt::Map<vt::Cpu<T>>& x, const vt::Map<vt::Cpu<T>>& y) {
  CHECK(y.shape() == r.shape("y"));
  CHECK(test::distance(y, r.map("y")) < tolerance<T>);
  test::backward(y, r.map("dy"));
  CHECK(test::distance(slot_of(x), r.map("dx")) < tolerance<T>);
}

}  // namespace

TEMPLATE_TEST_CASE("operations on maps and their gradients equal PyTorch's", "", float, double) {
  NEEDS_SHARED("goldens/ops");
  using T = TestType;
  using B = vt::Cpu<T>;
  vt::Tape<B> tape;

  const auto convolution = [&](const std::string& name, std::size_t kernel, std::size_t padding, std::size_t stride) {
    INFO(name);
    const Reference<T> r(name);
    vt::nn::Convolution<B> layer(r.shape("x")[3], r.shape("y")[3], kernel, padding, stride);
    test::set(layer.weight, flat<T>(r.file, "weight"));
    const bool with_bias = r.file.find("bias");
    test::set(layer.bias, with_bias ? flat<T>(r.file, "bias") : std::vector<T>(layer.bias.size()));
    const auto x = input<B>(tape, r);
    check<T>(r, x, layer(tape, {x}));
    CHECK(test::distance(test::gradient(layer.weight), flat<T>(r.file, "dweight")) < tolerance<T>);
    if (with_bias) CHECK(test::distance(test::gradient(layer.bias), flat<T>(r.file, "dbias")) < tolerance<T>);
  };
  SECTION("convolution") { convolution("conv2d", 3, 1, 1); }
  SECTION("convolution 1 x 1") { convolution("conv2d_1x1", 1, 0, 1); }
  SECTION("convolution with stride 2") { convolution("conv2d_stride2", 3, 1, 2); }
  SECTION("transposed convolution") {
    const Reference<T> r("conv_transpose2d");
    vt::nn::TransposedConvolution<B> layer(r.shape("x")[3], r.shape("y")[3], 2);
    test::set(layer.weight, flat<T>(r.file, "weight"));
    test::set(layer.bias, flat<T>(r.file, "bias"));
    const auto x = input<B>(tape, r);
    check<T>(r, x, layer(tape, x));
    CHECK(test::distance(test::gradient(layer.weight), flat<T>(r.file, "dweight")) < tolerance<T>);
    CHECK(test::distance(test::gradient(layer.bias), flat<T>(r.file, "dbias")) < tolerance<T>);
  }
  SECTION("batch norm") {
    for (const bool of_batch : {true, false}) {
      const Reference<T> r(of_batch ? "batch_norm_train" : "batch_norm_eval");
      vt::nn::BatchNorm<B> layer(r.shape("x")[3]);
      const std::string before = of_batch ? "_before" : "";
      test::set(layer.weight, flat<T>(r.file, "weight"));
      test::set(layer.bias, flat<T>(r.file, "bias"));
      test::set(layer.running_mean, flat<T>(r.file, "running_mean" + before));
      test::set(layer.running_var, flat<T>(r.file, "running_var" + before));
      const auto x = input<B>(tape, r);
      check<T>(r, x, layer(tape, x, of_batch ? vt::nn::NormMode::train : vt::nn::NormMode::running));
      CHECK(test::distance(test::gradient(layer.weight), flat<T>(r.file, "dweight")) < tolerance<T>);
      CHECK(test::distance(test::gradient(layer.bias), flat<T>(r.file, "dbias")) < tolerance<T>);
      const std::string after = of_batch ? "_after" : "";
      CHECK(test::distance(test::values(layer.running_mean), flat<T>(r.file, "running_mean" + after)) < tolerance<T>);
      CHECK(test::distance(test::values(layer.running_var), flat<T>(r.file, "running_var" + after)) < tolerance<T>);
    }
  }
  SECTION("ReLU") {
    const auto file = golden("relu");
    const auto x = test::variable<dyn, dyn, dyn, dyn>(tape, {1, 1, 22, 1}, flat<T>(file, "x"));
    const auto y = vt::ops::relu(tape, x);
    CHECK(test::distance(y, flat<T>(file, "y")) < tolerance<T>);
    test::backward(y, flat<T>(file, "dy"));
    CHECK(test::distance(slot_of(x), flat<T>(file, "dx")) < tolerance<T>);
  }
  SECTION("max pooling") {
    const Reference<T> r("max_pool2d");
    const auto x = input<B>(tape, r);
    check<T>(r, x, vt::ops::max_pool(tape, x, 2));
  }
  SECTION("resizing") {
    for (const auto& [name, rule] : {std::pair{"bilinear", Resize::bilinear},
                                     {"bilinear_align", Resize::bilinear_aligned},
                                     {"bicubic", Resize::bicubic}})
      for (const char* size : {"double", "up", "down"}) {
        INFO(name << " " << size);
        const Reference<T> r(std::string("upsample_") + name + "_" + size);
        const auto x = input<B>(tape, r);
        check<T>(r, x, vt::ops::resize(tape, x, r.shape("y")[1], r.shape("y")[2], rule));
      }
  }
}

namespace {

using D = vt::Cpu<double>;

/// A small decoder-like piece with every operation in it: two maps joined, convolution with batch norm and ReLU, resizing ...
struct Piece {
  vt::nn::Convolution<D> joined{5, 3, 3, 1}, strided{3, 2, 3, 1, 2};
  vt::nn::TransposedConvolution<D> up{3, 3, 2};
  vt::nn::BatchNorm<D> norm{3, true};

  template <class Self, class Visit>
  static void members(Self& self, Visit&& visit) {
    visit("joined", self.joined);
    visit("strided", self.strided);
    visit("up", self.up);
    visit("norm", self.norm);
  }
  vt::Map<D> operator()(vt::Tape<D>& tape, const vt::Map<D>& a, const vt::Map<D>& b, vt::nn::NormMode mode) {
    auto x = vt::ops::max_pool(tape, up(tape, norm(tape, joined(tape, {a, b}), mode)), 2);
    x = vt::ops::resize(tape, x, 5, 9, Resize::bicubic);
    return vt::ops::relu(tape, strided(tape, {vt::ops::resize(tape, x, 7, 4, Resize::bilinear_aligned)}));
  }
};

}  // namespace

TEST_CASE("gradients through joined maps, norms and resizings equal finite differences") {
  for (const auto mode : {vt::nn::NormMode::train, vt::nn::NormMode::running}) {
    Piece piece;
    auto table = vt::nn::parameters<D>(piece);
    test::randomize(table, 5);
    std::vector<double> a(2 * 4 * 5 * 2), b(2 * 4 * 5 * 3), weights(2 * 4 * 2 * 2);
    vt::Rng rng(3);
    for (auto* v : {&a, &b, &weights})
      for (double& x : *v) x = rng.normal();
    const std::vector<float> some{0.3f, -0.2f, 0.1f}, variances{0.7f, 1.3f, 0.9f};
    const auto reset = [&] {
      piece.norm.running_mean.assign(vt::default_pool(), some);
      piece.norm.running_var.assign(vt::default_pool(), variances);
    };
    vt::Tape<D> tape;
    const auto value = [&] {
      reset();
      const auto x = test::variable<dyn, dyn, dyn, dyn>(tape, {2, 4, 5, 2}, a),
                 z = test::variable<dyn, dyn, dyn, dyn>(tape, {2, 4, 5, 3}, b);
      const auto y = tape.without_recording([&] { return piece(tape, x, z, mode); });
      double sum = 0;
      for (std::size_t i = 0; i < y.size(); ++i) sum += y.data()[i] * weights[i];
      return sum;
    };
    reset();
    const auto x = test::variable<dyn, dyn, dyn, dyn>(tape, {2, 4, 5, 2}, a),
               z = test::variable<dyn, dyn, dyn, dyn>(tape, {2, 4, 5, 3}, b);
    const auto y = piece(tape, x, z, mode);
    REQUIRE(y.shape() == std::array<std::size_t, 4>{2, 4, 2, 2});
    test::backward(y, weights);
    const auto differ = [&](double& number, double found) {
      const double before = number, h = 1e-6;
      number = before + h;
      const double more = value();
      number = before - h;
      const double less = value();
      number = before;
      CHECK(found == Approx((more - less) / (2 * h)).epsilon(1e-5).margin(1e-7));
    };
    const auto da = slot_of(x), db = slot_of(z);
    for (std::size_t i = 0; i < a.size(); ++i) differ(a[i], da[i]);
    for (std::size_t i = 0; i < b.size(); ++i) differ(b[i], db[i]);
    for (const auto& row : table) {
      if (!row.parameter->trainable()) continue;
      INFO(row.name);
      const auto gradient = test::gradient(*row.parameter);
      auto values = test::values(*row.parameter);
      const auto set = [&] {
        row.parameter->update(vt::default_pool(), [&](double* to, std::size_t begin, std::size_t n) {
          std::copy_n(values.data() + begin, n, to);
        });
      };
      for (std::size_t i = 0; i < values.size(); i += 1 + values.size() / 20) {
        const double before = values[i], h = 1e-6;
        values[i] = before + h;
        set();
        const double more = value();
        values[i] = before - h;
        set();
        const double less = value();
        values[i] = before;
        set();
        CHECK(gradient[i] == Approx((more - less) / (2 * h)).epsilon(1e-5).margin(1e-7));
      }
    }
  }
}

namespace {

/// A convolution as its definition says, for any border and stride, and its gradients where dy = y: y, dx, dw.
std::array<std::vector<double>, 3> plain_convolution(const std::vector<float>& x, std::size_t batch, std::size_t h,
                                                     std::size_t w, std::size_t in, const std::vector<float>& weight,
                                                     std::size_t out, std::size_t k, std::size_t padding,
                                                     std::size_t stride) {
  const std::size_t high = (h + 2 * padding - k) / stride + 1, wide = (w + 2 * padding - k) / stride + 1;
  std::vector<double> y(batch * high * wide * out), dx(x.size()), dw(weight.size());
  for (const bool back : {false, true})
    for (std::size_t b = 0; b < batch; ++b)
      for (std::size_t r = 0; r < high; ++r)
        for (std::size_t c = 0; c < wide; ++c)
          for (std::size_t o = 0; o < out; ++o)
            for (std::size_t ky = 0; ky < k; ++ky)
              for (std::size_t kx = 0; kx < k; ++kx) {
                const std::size_t yy = r * stride + ky, xx = c * stride + kx;
                if (yy < padding || xx < padding || yy - padding >= h || xx - padding >= w) continue;
                for (std::size_t i = 0; i < in; ++i) {
                  const std::size_t from = ((b * h + yy - padding) * w + xx - padding) * in + i;
                  const std::size_t tap = ((o * in + i) * k + ky) * k + kx;
                  double& result = y[((b * high + r) * wide + c) * out + o];
                  if (!back) result += static_cast<double>(x[from]) * static_cast<double>(weight[tap]);
                  if (back) dx[from] += result * static_cast<double>(weight[tap]);
                  if (back) dw[tap] += result * static_cast<double>(x[from]);
                }
              }
  return {y, dx, dw};
}

/// One convolution forward and backward, the input's channels in two maps, `split` of them in the first (0: one map): y, dx, dw.
template <class B>
std::array<std::vector<float>, 3> run(vt::Executor& executor, const std::array<std::size_t, 4>& shape,
                                      const std::vector<float>& x, const std::vector<float>& weight, std::size_t out,
                                      std::size_t k, std::size_t padding, std::size_t stride, std::size_t split) {
  vt::Tape<B> tape(executor);
  vt::nn::Convolution<B> layer(shape[3], out, k, padding, stride);
  layer.weight.assign(executor, weight);
  layer.bias.assign(executor, std::vector<float>(out));
  // Channels [from, to) of x, or back.
  const std::size_t pixels = x.size() / shape[3];
  const auto move = [&](auto& narrow, auto& whole, std::size_t from, std::size_t to, bool back) {
    for (std::size_t i = 0; i < pixels; ++i)
      for (std::size_t c = from; c < to; ++c) {
        auto& one = narrow[i * (to - from) + c - from];
        auto& other = whole[i * shape[3] + c];
        if (back)
          other = one;
        else
          one = other;
      }
  };
  std::vector<vt::Map<B>> maps;
  const std::array<std::size_t, 3> bounds{0, split, shape[3]};
  for (std::size_t part = 0; part < 2; ++part)
    if (const std::size_t from = bounds[part], to = bounds[part + 1]; from < to) {
      std::vector<float> narrow(pixels * (to - from)), whole = x;
      move(narrow, whole, from, to, false);
      maps.push_back(test::variable<dyn, dyn, dyn, dyn>(tape, {shape[0], shape[1], shape[2], to - from}, narrow));
    }
  const auto y = layer(tape, maps);
  std::array<std::vector<float>, 3> results;
  results[0].assign(y.data(), y.data() + y.size());
  test::backward(y, results[0]);
  results[1].resize(x.size());
  for (std::size_t i = 0, from = 0; i < maps.size(); from += maps[i++].extent(3)) {
    auto gradient = slot_of(maps[i]);
    move(gradient, results[1], from, from + maps[i].extent(3), true);
  }
  results[2] = test::gradient(layer.weight);
  return results;
}

}  // namespace

TEST_CASE("convolutions of any size, stride and border, in both precisions, the same bits for any number of threads") {
  vt::ThreadPool one(1), three(3);
  const auto next = [rng = vt::Rng(11)](std::size_t from, std::size_t to) mutable {
    return from + rng.below(to - from);
  };
  auto pick = next;
  for (int trial = 0; trial < 60; ++trial) {
    const bool wide = trial >= 40;  // 3 x 3 between many channels: winograd.hpp
    const std::size_t k = wide ? 3 : pick(1, 5), padding = pick(0, k), stride = wide ? 1 : pick(1, 4);
    const bool large = trial >= 57;  // more squares than one sum takes
    const std::size_t most = large ? 80 : 30, channels = large ? 24 : 70;
    const std::size_t in = wide ? pick(16, channels) : pick(1, 20), out = wide ? pick(16, channels) : pick(1, 40);
    const std::array<std::size_t, 4> shape{pick(1, 4), pick(large ? 40 : k, most), pick(k, most), in};
    const std::size_t split = pick(0, in);
    INFO("trial " << trial << ": map " << vt::to_string(shape) << ", split " << split << ", kernel " << k
                  << ", padding " << padding << ", stride " << stride << ", out " << out);
    std::vector<float> x(shape[0] * shape[1] * shape[2] * shape[3]), weight(out * shape[3] * k * k);
    vt::Rng rng(100 + static_cast<unsigned>(trial));
    for (auto* v : {&x, &weight})
      for (float& number : *v) number = static_cast<float>(rng.normal());
    const auto reference =
        plain_convolution(x, shape[0], shape[1], shape[2], shape[3], weight, out, k, padding, stride);
    const auto single = run<vt::Cpu<float>>(one, shape, x, weight, out, k, padding, stride, split);
    const auto half = run<vt::Cpu<vt::bfloat16>>(one, shape, x, weight, out, k, padding, stride, split);
    for (std::size_t i = 0; i < 3; ++i) {  // y, dx, dw
      CHECK(test::distance(single[i], reference[i]) < 1e-5);
      CHECK(test::distance(half[i], reference[i]) < (i ? 3e-2 : 2e-2));
    }
    CHECK(single == run<vt::Cpu<float>>(three, shape, x, weight, out, k, padding, stride, split));
    CHECK(half == run<vt::Cpu<vt::bfloat16>>(three, shape, x, weight, out, k, padding, stride, split));
  }
}

TEST_CASE("a map that an operation cannot take is an error that says its shape") {
  vt::Tape<D> tape;
  const auto map = test::variable<dyn, dyn, dyn, dyn>(tape, {1, 2, 3, 4}, std::vector<double>(24));
  vt::nn::Convolution<D> layer(5, 2, 1);
  layer.weight.assign(vt::default_pool(), std::vector<float>(10));
  layer.bias.assign(vt::default_pool(), std::vector<float>(2));
  CHECK_THROWS_WITH(layer(tape, {map}), Catch::Contains("(1, 2, 3, 4)") && Catch::Contains("(2, 5, 1, 1)"));
  vt::nn::Convolution<D> large(4, 2, 5);
  large.weight.assign(vt::default_pool(), std::vector<float>(200));
  large.bias.assign(vt::default_pool(), std::vector<float>(2));
  CHECK_THROWS_AS(large(tape, {map}), vt::ShapeError);
  vt::nn::BatchNorm<D> norm(3);
  CHECK_THROWS_AS(norm(tape, map, vt::nn::NormMode::train), vt::ShapeError);
  CHECK_THROWS_AS(vt::ops::max_pool(tape, map, 3), vt::ShapeError);
  CHECK_THROWS_AS(vt::ops::resize(tape, map, 0, 4, Resize::bilinear), vt::ShapeError);
}
