// Every operation of the CPU backend at the sizes that DINOv2's ViT-S and ViT-B give it: 257 tokens (one image of 224),
// 1370 (one of 518), 2056 (eight of 224). Names: operation/precision/what/size/threads.
#include <algorithm>
#include <cstddef>
#include <string>
#include <type_traits>
#include <vector>

#include <vitals/backend/cpu/cpu.hpp>

#include "bench.hpp"

namespace {

namespace cpu = vitals::backend::cpu;
using bench::add, bench::threads_label;
using Cpu = vitals::Cpu<float>;

template <class T>
constexpr bench::Precision precision_of =
    std::is_same_v<T, float> ? bench::Precision::float32 : bench::Precision::bfloat16;
template <class T>
const std::string precision = bench::name(precision_of<T>);

struct Model {
  std::string name;
  std::size_t dim, heads;
};
const std::vector<Model> models{{"S", 384, 6}, {"B", 768, 12}};

// The four products of a block, as the model calls them.
template <class T>
void add_product(const Model& model, const std::string& layer, std::size_t in, std::size_t out, std::size_t rows,
                 unsigned threads) {
  add("product/" + precision<T> + "/" + model.name + "_" + layer + "/" + std::to_string(rows) + threads_label(threads),
      [=](benchmark::State& state) {
        auto& pool = bench::pool(threads);
        const auto w = bench::random_numbers(out * in, 1), x = bench::random_numbers(rows * in, 2),
                   bias = bench::random_numbers(out, 3);
        const std::vector<float> gamma(out, 1e-3f);  // small: y is added to again and again
        const auto packed = vitals::Cpu<T>::pack(pool, w.data(), out, in);
        typename vitals::Cpu<T>::Buffer y(rows * out);
        std::fill_n(y.data(), y.size(), 0.0f);
        bench::Runs runs(state, [&] {
          if (layer == "fc1")
            vitals::Cpu<T>::linear_gelu(pool, x.data(), rows, packed, bias.data(), y.data());
          else if (layer == "qkv")
            vitals::Cpu<T>::linear(pool, x.data(), rows, packed, bias.data(), y.data());
          else
            vitals::Cpu<T>::linear_scale_add(pool, x.data(), rows, packed, bias.data(), gamma.data(), y.data());
        });
        runs.flop(2.0 * static_cast<double>(rows * in * out), threads, precision_of<T>);
      });
}

template <class T>
void add_attention(const Model& model, std::size_t tokens, unsigned threads) {
  add("attention/" + precision<T> + "/" + model.name + "/" + std::to_string(tokens) + threads_label(threads),
      [=](benchmark::State& state) {
        auto& pool = bench::pool(threads);
        const auto qkv = bench::random_numbers(tokens * 3 * model.dim, 4);
        std::vector<float> out(tokens * model.dim);
        bench::Runs runs(state, [&] {
          vitals::Cpu<T>::attention(pool, qkv.data(), 1, tokens, model.heads, model.dim / model.heads, tokens,
                                    out.data(), nullptr);
        });
        runs.flop(4.0 * static_cast<double>(tokens * tokens * model.dim), threads, precision_of<T>);
      });
}

template <class T>
void add_products(unsigned threads) {
  for (const Model& model : models) {
    for (std::size_t rows : {257, 1370, 2056}) {
      add_product<T>(model, "qkv", model.dim, 3 * model.dim, rows, threads);
      add_product<T>(model, "proj", model.dim, model.dim, rows, threads);
      add_product<T>(model, "fc1", model.dim, 4 * model.dim, rows, threads);
      add_product<T>(model, "fc2", 4 * model.dim, model.dim, rows, threads);
    }
    for (std::size_t tokens : {257, 1370}) add_attention<T>(model, tokens, threads);
  }
}

// Operations bound by memory: bytes in and out.
void add_rowwise(const Model& model, std::size_t tokens, unsigned threads) {
  const std::string size = "/" + model.name + "/" + std::to_string(tokens) + threads_label(threads);
  add("layer_norm" + size, [=](benchmark::State& state) {
    const auto x = bench::random_numbers(tokens * model.dim, 5), gamma = bench::random_numbers(model.dim, 6);
    std::vector<float> y(x.size());
    bench::Runs runs(state, [&] {
      Cpu::layer_norm(bench::pool(threads), x.data(), y.data(), tokens, model.dim, gamma.data(), gamma.data(), 1e-6f);
    });
    runs.bytes(8.0 * static_cast<double>(x.size()));
  });
  add("gelu" + size, [=](benchmark::State& state) {
    const auto x = bench::random_numbers(tokens * 4 * model.dim, 7);
    std::vector<float> y(x.size());
    bench::Runs runs(state, [&] { cpu::gelu(bench::pool(threads), x.data(), y.data(), x.size()); });
    runs.bytes(8.0 * static_cast<double>(x.size()));
  });
  add("silu_gate" + size, [=](benchmark::State& state) {
    const std::size_t hidden = model.dim * 8 / 3;
    const auto x = bench::random_numbers(tokens * 2 * hidden, 8);
    std::vector<float> y(tokens * hidden);
    bench::Runs runs(state, [&] { Cpu::silu_gate(bench::pool(threads), x.data(), y.data(), tokens, hidden); });
    runs.bytes(12.0 * static_cast<double>(y.size()));
  });
}

void add_others(unsigned threads) {
  for (std::size_t tokens : {257, 1370})
    add("softmax/" + std::to_string(tokens) + threads_label(threads), [=](benchmark::State& state) {
      auto x = bench::random_numbers(tokens * tokens, 9);  // one head; a softmax of a softmax costs the same
      bench::Runs runs(state, [&] { cpu::softmax(bench::pool(threads), x.data(), tokens, tokens, 0.125f); });
      runs.bytes(8.0 * static_cast<double>(x.size()));
    });
  for (const Model& model : models)
    add("pack/" + model.name + "_fc1" + threads_label(threads), [=](benchmark::State& state) {
      const auto w = bench::random_numbers(4 * model.dim * model.dim, 10);
      bench::Runs runs(state, [&] {
        benchmark::DoNotOptimize(Cpu::pack(bench::pool(threads), w.data(), 4 * model.dim, model.dim));
      });
      runs.bytes(8.0 * static_cast<double>(w.size()));
    });
  for (std::size_t side : {224, 518})
    add("patches/" + std::to_string(side) + threads_label(threads), [=](benchmark::State& state) {
      const auto pixels = bench::random_numbers(3 * side * side, 11);
      std::vector<float> rows(pixels.size());
      bench::Runs runs(state,
                       [&] { Cpu::patches(bench::pool(threads), pixels.data(), 1, side, side, 14, rows.data()); });
      runs.bytes(8.0 * static_cast<double>(pixels.size()));
    });
}

}  // namespace

void bench::add_benchmarks() {
  for (unsigned threads : bench::thread_counts()) {
    add_products<float>(threads);
    add_products<vitals::bfloat16>(threads);
    for (const Model& model : models)
      for (std::size_t tokens : {257, 1370}) add_rowwise(model, tokens, threads);
    add_others(threads);
  }
}
