// Cpu<T>: the CPU backend. float and bfloat16 use the vectorised kernels chosen at run time; double is for checking
// gradients. With bfloat16, weights are held and products are made in bfloat16; sums and activations are float32. With
// std::int8_t weights are held and products are made in int8 (quantize.hpp), attention's too where the processor has VNNI
// (attention.hpp); sums are exact, activations float32.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <vitals/backend/concept.hpp>
#include <vitals/backend/cpu/attention.hpp>
#include <vitals/backend/cpu/buffer.hpp>
#include <vitals/backend/cpu/product.hpp>
#include <vitals/backend/cpu/product_int8.hpp>
#include <vitals/backend/cpu/rowwise.hpp>

namespace vitals::inline v0 {

/// Cpu<double> lives in a header of its own, so that nobody pays for it who does not use it.
namespace backend::cpu {
template <class T>
inline constexpr bool has_products = !std::is_same_v<T, double>;
}  // namespace backend::cpu

/// The policy; see backend/concept.hpp for what each operation means.
template <class T>
struct Cpu {
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, double> || std::is_same_v<T, bfloat16> ||
                    std::is_same_v<T, std::int8_t>,
                "Cpu<T>: T is float, bfloat16, std::int8_t or double");

  static_assert(backend::cpu::has_products<T>, "Cpu<double> needs #include <vitals/backend/cpu/cpu_double.hpp>");

  static constexpr bool on_host = true;  ///< its memory is the host's: float pixels are read where they are

  using Scalar = backend::cpu::Wide<T>;
  using Buffer = backend::cpu::Buffer<Scalar>;
  using Weight = backend::cpu::PackedMatrix<T>;

  static void upload(const float* host, std::size_t n, Scalar* to) { std::copy_n(host, n, to); }
  static void download(const Scalar* from, std::size_t n, float* host) {
    std::transform(from, from + n, host, [](Scalar x) { return static_cast<float>(x); });
  }
  static void copy(const Scalar* from, std::size_t n, Scalar* to) { std::copy_n(from, n, to); }
  static Weight pack(Executor& executor, const float* host, std::size_t out, std::size_t in) {
    if constexpr (std::is_same_v<Scalar, float>)
      return Weight(executor, host, in, out, in);
    else {
      Buffer wide(out * in);
      upload(host, out * in, wide.data());
      return Weight(executor, wide.data(), in, out, in);
    }
  }
  static void unpack(const Weight& w, float* host) {
    if constexpr (std::is_same_v<Scalar, float>)
      w.unpack(host);
    else {
      Buffer wide(w.rows() * w.cols());
      w.unpack(wide.data());
      download(wide.data(), wide.size(), host);
    }
  }

  static void linear(Executor& e, const Scalar* x, std::size_t m, const Weight& w, const Scalar* bias, Scalar* y) {
    backend::cpu::product<T>(e, x, w.cols(), m, w, y, w.rows(), {backend::cpu::Store::plain, bias, nullptr});
  }
  static void linear_gelu(Executor& e, const Scalar* x, std::size_t m, const Weight& w, const Scalar* bias, Scalar* y) {
    backend::cpu::product<T>(e, x, w.cols(), m, w, y, w.rows(), {backend::cpu::Store::gelu, bias, nullptr});
  }
  static void linear_scale_add(Executor& e, const Scalar* x, std::size_t m, const Weight& w, const Scalar* bias,
                               const Scalar* gamma, Scalar* y) {
    backend::cpu::product<T>(e, x, w.cols(), m, w, y, w.rows(), {backend::cpu::Store::scale_add, bias, gamma});
  }
  static void feed_forward(Executor& e, const Scalar* x, std::size_t m, const Weight& w1, const Scalar* bias1,
                           const Weight& w2, const Scalar* bias2, const Scalar* gamma, Scalar* y) {
    backend::cpu::feed_forward<T>(e, x, m, w1, bias1, w2, bias2, gamma, y);
  }
  static void linear_add(Executor& e, const Scalar* x, std::size_t m, const Weight& w, const Scalar* scale, Scalar* y,
                         std::size_t ldy) {
    backend::cpu::product<T>(e, x, w.cols(), m, w, y, ldy, {backend::cpu::Store::scale_add, nullptr, scale});
  }
  static void gelu(Executor& e, const Scalar* x, Scalar* y, std::size_t n) { backend::cpu::gelu(e, x, y, n); }
  static void layer_norm(Executor& e, const Scalar* x, Scalar* y, std::size_t rows, std::size_t d, const Scalar* gamma,
                         const Scalar* beta, Scalar eps) {
    backend::cpu::layer_norm(e, x, y, rows, d, gamma, beta, eps);
  }
  static void attention(Executor& e, const Scalar* qkv, std::size_t batch, std::size_t tokens, std::size_t heads,
                        std::size_t head_dim, std::size_t queries, Scalar* out, Scalar* probabilities) {
    backend::cpu::attention<T>(e, qkv, batch, tokens, heads, head_dim, queries, out, probabilities);
  }
  static void silu_gate(Executor& e, const Scalar* x, Scalar* y, std::size_t rows, std::size_t hidden) {
    backend::cpu::silu_gate(e, x, y, rows, hidden);
  }
  static void patches(Executor& e, const Scalar* pixels, std::size_t batch, std::size_t height, std::size_t width,
                      std::size_t patch, Scalar* rows) {
    backend::cpu::patches(e, pixels, batch, height, width, patch, rows);
  }
  static void assemble_tokens(Executor& e, const Scalar* cls, const Scalar* registers, const Scalar* patches,
                              const Scalar* positions, std::size_t batch, std::size_t n_registers,
                              std::size_t n_patches, std::size_t d, Scalar* tokens) {
    e.run(batch, [&](std::size_t b) {
      Scalar* to = tokens + b * (1 + n_registers + n_patches) * d;
      std::transform(cls, cls + d, positions, to, [](Scalar a, Scalar p) { return a + p; });
      std::copy_n(registers, n_registers * d, to + d);  // registers have no position
      const Scalar* from = patches + b * n_patches * d;
      std::transform(from, from + n_patches * d, positions + d, to + (1 + n_registers) * d,
                     [](Scalar a, Scalar p) { return a + p; });
    });
  }
};

static_assert(backend::Backend<Cpu<float>> && backend::Backend<Cpu<bfloat16>> && backend::Backend<Cpu<std::int8_t>>);

}  // namespace vitals::inline v0
