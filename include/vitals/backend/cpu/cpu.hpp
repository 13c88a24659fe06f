// Cpu<T>: the CPU backend. float uses the vectorised kernels chosen at run time; double is for checking gradients.
#pragma once

#include <algorithm>
#include <cstddef>
#include <type_traits>

#include <vitals/backend/concept.hpp>
#include <vitals/backend/cpu/attention.hpp>
#include <vitals/backend/cpu/buffer.hpp>
#include <vitals/backend/cpu/product.hpp>
#include <vitals/backend/cpu/rowwise.hpp>

namespace vitals::inline v0 {

/// The policy; see backend/concept.hpp for what each operation means.
template <class T>
struct Cpu {
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>, "Cpu<T>: T is float or double");

  static constexpr bool on_host = true;  ///< its memory is the host's: float pixels are read where they are

  using Scalar = T;
  using Buffer = backend::cpu::Buffer<T>;
  using Weight = backend::cpu::PackedMatrix<T>;

  static void upload(const float* host, std::size_t n, T* to) { std::copy_n(host, n, to); }
  static void download(const T* from, std::size_t n, float* host) {
    std::transform(from, from + n, host, [](T x) { return static_cast<float>(x); });
  }
  static Weight pack(Executor& executor, const float* host, std::size_t out, std::size_t in) {
    if constexpr (std::is_same_v<T, float>)
      return Weight(executor, host, in, out, in);
    else {
      Buffer wide(out * in);
      upload(host, out * in, wide.data());
      return Weight(executor, wide.data(), in, out, in);
    }
  }
  static void unpack(const Weight& w, float* host) {
    if constexpr (std::is_same_v<T, float>)
      w.unpack(host);
    else {
      Buffer wide(w.rows() * w.cols());
      w.unpack(wide.data());
      download(wide.data(), wide.size(), host);
    }
  }

  static void linear(Executor& e, const T* x, std::size_t m, const Weight& w, const T* bias, T* y) {
    backend::cpu::product<T>(e, x, w.cols(), m, w, y, w.rows(), {backend::cpu::Store::plain, bias, nullptr});
  }
  static void linear_gelu(Executor& e, const T* x, std::size_t m, const Weight& w, const T* bias, T* y) {
    backend::cpu::product<T>(e, x, w.cols(), m, w, y, w.rows(), {backend::cpu::Store::gelu, bias, nullptr});
  }
  static void linear_scale_add(Executor& e, const T* x, std::size_t m, const Weight& w, const T* bias, const T* gamma,
                               T* y) {
    backend::cpu::product<T>(e, x, w.cols(), m, w, y, w.rows(), {backend::cpu::Store::scale_add, bias, gamma});
  }
  static void layer_norm(Executor& e, const T* x, T* y, std::size_t rows, std::size_t d, const T* gamma, const T* beta,
                         T eps) {
    backend::cpu::layer_norm(e, x, y, rows, d, gamma, beta, eps);
  }
  static void attention(Executor& e, const T* qkv, std::size_t batch, std::size_t tokens, std::size_t heads,
                        std::size_t head_dim, T* out, T* probabilities) {
    backend::cpu::attention(e, qkv, batch, tokens, heads, head_dim, out, probabilities);
  }
  static void silu_gate(Executor& e, const T* x, T* y, std::size_t rows, std::size_t hidden) {
    backend::cpu::silu_gate(e, x, y, rows, hidden);
  }
  static void patches(Executor& e, const T* pixels, std::size_t batch, std::size_t height, std::size_t width,
                      std::size_t patch, T* rows) {
    backend::cpu::patches(e, pixels, batch, height, width, patch, rows);
  }
  static void assemble_tokens(Executor& e, const T* cls, const T* registers, const T* patches, const T* positions,
                              std::size_t batch, std::size_t n_registers, std::size_t n_patches, std::size_t d,
                              T* tokens) {
    e.run(batch, [&](std::size_t b) {
      T* to = tokens + b * (1 + n_registers + n_patches) * d;
      std::transform(cls, cls + d, positions, to, [](T a, T p) { return a + p; });
      std::copy_n(registers, n_registers * d, to + d);  // registers have no position
      const T* from = patches + b * n_patches * d;
      std::transform(from, from + n_patches * d, positions + d, to + (1 + n_registers) * d,
                     [](T a, T p) { return a + p; });
    });
  }
};

static_assert(backend::Backend<Cpu<float>> && backend::Backend<Cpu<double>>);

}  // namespace vitals::inline v0
