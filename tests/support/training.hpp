// What the tests of training share: parameters in the precision of their backend, a small classifier, gradients as vectors.
#pragma once

#include <map>
#include <random>
#include <span>
#include <string>
#include <vector>

#include <vitals/backend/cpu/cpu_double.hpp>
#include <vitals/losses/cross_entropy.hpp>
#include <vitals/models/vit.hpp>
#include <vitals/training.hpp>

namespace test {

/// Gives a parameter its values without rounding them to float.
template <class B, class T>
void set(vitals::nn::ParameterStorage<B>& parameter, const std::vector<T>& values) {
  const std::vector<float> rounded(values.begin(), values.end());
  parameter.assign(vitals::default_pool(), rounded);
  if constexpr (std::is_same_v<typename B::Scalar, double>)
    parameter.update(vitals::default_pool(), [&](double* to, std::size_t begin, std::size_t n) {
      for (std::size_t i = 0; i < n; ++i) to[i] = static_cast<double>(values[begin + i]);
    });
}

/// The values of a parameter, as they are computed with.
template <class B>
std::vector<typename B::Scalar> values(vitals::nn::ParameterStorage<B>& parameter) {
  std::vector<typename B::Scalar> out(parameter.size());
  parameter.update(vitals::default_pool(),
                   [&](auto* from, std::size_t begin, std::size_t n) { std::copy_n(from, n, out.data() + begin); });
  return out;
}

template <class B>
std::vector<typename B::Scalar> gradient(const vitals::nn::ParameterStorage<B>& parameter) {
  auto& slot = parameter.gradient();
  if (!slot.filled) return {};
  return {slot.data(), slot.data() + slot.size};
}

/// A variable with these numbers that wants a gradient.
template <std::size_t... E, class B, class T>
auto variable(vitals::Tape<B>& tape, const std::array<std::size_t, sizeof...(E)>& shape, const std::vector<T>& values) {
  auto x = tape.template make<E...>(shape);
  std::copy(values.begin(), values.end(), x.data());
  x.set_slot(tape.slot(x.size()));
  return x;
}

/// Goes back from y with dy.
template <class V, class T>
void backward(const V& y, const std::vector<T>& dy) {
  y.slot()->add([&](auto* to, bool) { std::copy(dy.begin(), dy.end(), to); });
  y.tape().run_down_to(0);
}

/// Reproducible pixels (B, 3, H, W).
inline vitals::Tensor<float, vitals::dyn, 3, vitals::dyn, vitals::dyn> pixels(std::size_t batch, std::size_t h,
                                                                              std::size_t w, std::uint64_t seed) {
  vitals::Tensor<float, vitals::dyn, 3, vitals::dyn, vitals::dyn> out({batch, 3, h, w});
  vitals::Rng rng(seed, 77);
  for (float& v : out) v = static_cast<float>(rng.normal());
  return out;
}

/// Random values with which every mistake shows: no parameter is zero or one.
template <class B>
void randomize(const std::vector<vitals::nn::NamedParameter<B>>& table, std::uint64_t seed) {
  std::uint64_t stream = 0;
  for (const auto& [name, parameter] : table) {
    vitals::Rng rng(seed, stream++);
    std::vector<float> v(parameter->size());
    const bool norm = name.find("norm") != name.npos && name.ends_with("weight");
    const double fan_in = static_cast<double>(parameter->size()) / static_cast<double>(parameter->shape()[0]);
    for (float& x : v) {
      const double r = rng.normal();
      x = static_cast<float>(norm                             ? 1 + 0.2 * r
                             : name.ends_with("gamma")        ? 0.3 + 0.1 * r
                             : name.ends_with("bias")         ? 0.2 * r
                             : parameter->shape().size() == 3 ? 0.5 * r
                                                              : r / std::sqrt(fan_in));
    }
    parameter->assign(vitals::default_pool(), v);
  }
}

}  // namespace test
