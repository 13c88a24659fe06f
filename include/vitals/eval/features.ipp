// Implementation of features.hpp.
#pragma once

#include <algorithm>
#include <exception>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include <vitals/core/error.hpp>
#include <vitals/core/rng.hpp>
#include <vitals/core/sha256.hpp>
#include <vitals/eval/feature_cache.hpp>
#include <vitals/eval/feature_pieces.hpp>
#include <vitals/eval/features.hpp>
#include <vitals/io/image.hpp>

namespace vitals::inline v0::eval {

namespace detail {

// What the model gives for noise of the size in use: names the weights where no file does, and the processor's kernels.
inline std::string fingerprint(const Backbone& backbone, transforms::Size size, std::size_t blocks,
                               Executor& executor) {
  Tensor<float, dyn, 3, dyn, dyn> noise({1, 3, size.height, size.width});
  const Rng rng(0x70726F6265);  // "probe"
  for (std::size_t i = 0; i < noise.size(); ++i) noise.data()[i] = static_cast<float>(rng.normal_at(i));
  const Features out = backbone.features(noise, {.blocks = blocks, .block_patches = false, .executor = &executor});
  Sha256 sum;
  for (const auto& cls : out.block_cls) sum.update(std::as_bytes(cls.span()));
  return sum.update(std::as_bytes(out.patches.span())).hex();
}

// Everything that the numbers depend on, but the image.
inline std::string feature_key(const BackboneInfo& info, const std::string& outputs,
                               const transforms::Transform& transform, const FeatureOptions& options) {
  const auto n = [](std::size_t v) { return std::to_string(v); };
  return Sha256()
      .update("vitals features 1\nweights " + options.weights_sha256 + "\noutputs " + outputs + "\npreset " +
              info.preset + "\nshape " + n(info.dim) + " " + n(info.depth) + " " + n(info.heads) + " " + n(info.patch) +
              " " + n(info.registers) + "\npositions " + name(info.positions) + "\ntransform " + transform.name() +
              "\nsize " + n(transform.size().height) + " " + n(transform.size().width) + "\ndtype " + options.dtype +
              "\nblocks " + n(options.blocks) + "\n")
      .hex();
}

}  // namespace detail

VITALS_INLINE FeatureSet features(const Backbone& backbone, const data::Dataset& dataset,
                                  const transforms::Transform& transform, const FeatureOptions& options) {
  const BackboneInfo& info = backbone.info();
  const std::size_t n = dataset.items.size(), dim = info.dim, blocks = options.blocks;
  if (blocks == 0 || blocks > info.depth)
    throw ArgumentError("[features] " + std::to_string(blocks) + " blocks asked for", info.preset,
                        "the model has " + std::to_string(info.depth));
  if (options.batch == 0) throw ArgumentError("[features] a batch of 0 images");

  Executor& executor = options.executor ? *options.executor : default_pool();
  FeatureSet set;
  set.dataset = dataset;
  set.cls = Tensor<float, dyn, dyn, dyn>({n, blocks, dim});
  set.avgpool = Tensor<float, dyn, dyn>({n, dim});
  const auto cls_of = [&](std::size_t i) { return std::span(set.cls.data() + i * blocks * dim, blocks * dim); };
  const auto avgpool_of = [&](std::size_t i) { return std::span(set.avgpool.data() + i * dim, dim); };

  std::mutex lock;  // progress, cache
  std::size_t done = 0;
  const auto advance = [&](const char* stage, std::size_t by) {
    done += by;
    if (options.progress) options.progress(stage, done, n);
  };

  std::optional<FeatureCache> cache;
  std::vector<std::string> hashes(n);
  std::vector<char> known(n, 0);
  if (!options.cache.empty()) {
    const auto outputs = detail::fingerprint(backbone, transform.size(), blocks, executor);
    cache.emplace(options.cache, detail::feature_key(info, outputs, transform, options), (blocks + 1) * dim);
    executor.run(n, [&](std::size_t i) {
      hashes[i] = vitals::detail::naming(dataset.where(i), [&] { return sha256_of_file(dataset.file(i)); });
      const std::lock_guard guard(lock);
      advance("reading cache", 1);
    });
    std::unordered_map<std::string, std::vector<std::size_t>> wanted;
    for (std::size_t i = 0; i < n; ++i) wanted[hashes[i]].push_back(i);
    set.unreadable = cache->read([&](const std::string& image, std::span<const float> numbers) {
      const auto at = wanted.find(image);
      if (at == wanted.end()) return;
      for (std::size_t i : at->second) {
        std::copy_n(numbers.begin(), blocks * dim, cls_of(i).begin());
        std::copy_n(numbers.begin() + static_cast<std::ptrdiff_t>(blocks * dim), dim, avgpool_of(i).begin());
        known[i] = 1;
      }
    });
  }

  std::vector<std::size_t> todo;
  for (std::size_t i = 0; i < n; ++i)
    if (!known[i]) todo.push_back(i);
  set.computed = todo.size();
  done = 0;
  if (n > todo.size()) advance("features", n - todo.size());
  if (todo.empty()) return set;

  try {
    detail::features_in_pieces(
        backbone, transform.size(), executor, blocks, options.batch, todo.size(),
        [&](std::size_t t, auto pixels) {
          vitals::detail::naming(dataset.where(todo[t]),
                               [&] { transform(io::read_image(dataset.file(todo[t])), pixels); });
        },
        [&](std::size_t t, const Features& out, std::size_t b) {
          const std::size_t i = todo[t];
          detail::take_record(out, b, cls_of(i), avgpool_of(i));
          std::vector<float> record(cls_of(i).begin(), cls_of(i).end());
          record.insert(record.end(), avgpool_of(i).begin(), avgpool_of(i).end());
          detail::check_finite(record, dataset.where(i));
          const std::lock_guard guard(lock);
          if (cache) cache->add(hashes[i], record);
        },
        [&](std::size_t count) {
          const std::lock_guard guard(lock);
          advance("features", count);
        });
  } catch (...) {
    try {
      if (cache) cache->flush();
    } catch (const IoError&) {  // the error under way is the one to report
    }
    throw;
  }
  if (cache) cache->flush();
  return set;
}

}  // namespace vitals::inline v0::eval
