// Implementation of loader.hpp.
#pragma once

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include <vitals/core/error.hpp>
#include <vitals/core/rng.hpp>
#include <vitals/io/image.hpp>
#include <vitals/train/loader.hpp>

namespace vitals::inline v0::train {

VITALS_INLINE Loader::Loader(const data::Dataset& dataset, std::vector<std::size_t> items,
                             const transforms::Transform& transform, const LoaderOptions& options)
    : dataset_(dataset),
      items_(std::move(items)),
      transform_(transform),
      options_(options),
      epoch_(std::numeric_limits<std::uint64_t>::max()) {
  if (options_.batch == 0) throw ArgumentError("[Loader] a batch of 0 images");
  if (!(options_.degrees >= 0 && options_.degrees <= 180))
    throw ArgumentError("[Loader] a rotation by up to " + std::to_string(options_.degrees) + " degrees", "",
                        "use 0 to 180");
  if (items_.empty()) throw DataError("[Loader] no image to train on", dataset.source.string());
  options_.batch = std::min(options_.batch, items_.size());
}

VITALS_INLINE std::vector<std::size_t> Loader::items(std::uint64_t index) {
  std::vector<std::size_t> out;
  for (std::uint64_t i = 0; i < options_.batch; ++i) {
    const std::uint64_t at = index * options_.batch + i, epoch = at / items_.size();
    if (epoch != epoch_) {
      Rng rng(options_.seed ^ (std::uint64_t{0x6F726465} << 32), epoch);  // "orde"
      order_ = rng.permutation(items_.size());
      epoch_ = epoch;
    }
    out.push_back(items_[order_[at % items_.size()]]);
  }
  return out;
}

VITALS_INLINE Batch Loader::batch(std::uint64_t index) {
  Batch out;
  out.items = items(index);
  const auto size = transform_.size();
  out.pixels = Tensor<float, dyn, 3, dyn, dyn>({out.items.size(), 3, size.height, size.width});
  Executor& executor = options_.executor ? *options_.executor : default_pool();
  executor.run(out.items.size(), [&](std::size_t i) {
    vitals::detail::naming(dataset_.where(out.items[i]), [&] {
      const auto image = io::read_image(dataset_.file(out.items[i]));
      if (!options_.augment) return transform_(image, out.pixels[i]);
      Rng rng(options_.seed ^ (std::uint64_t{0x63726F70} << 32), index * options_.batch + i);  // "crop"
      const auto crop = data::random_crop(image.height(), image.width(), rng, options_.crop);
      if (options_.degrees == 0) return transform_(data::cropped(image, crop), out.pixels[i]);
      const double angle = options_.degrees * (2 * rng.uniform() - 1);
      transform_(data::cropped(data::rotated(image, angle), crop), out.pixels[i]);
    });
  });
  return out;
}

VITALS_INLINE Tensor<float, dyn, 3, dyn, dyn> pixels_of(const data::Dataset& dataset,
                                                        const std::vector<std::size_t>& items,
                                                        const transforms::Transform& transform, Executor& executor) {
  const auto size = transform.size();
  Tensor<float, dyn, 3, dyn, dyn> pixels({items.size(), 3, size.height, size.width});
  executor.run(items.size(), [&](std::size_t i) {
    vitals::detail::naming(dataset.where(items[i]), [&] { transform(io::read_image(dataset.file(items[i])), pixels[i]); });
  });
  return pixels;
}

}  // namespace vitals::inline v0::train
