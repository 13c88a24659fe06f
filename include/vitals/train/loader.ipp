// Implementation of loader.hpp.
#pragma once

#include <algorithm>
#include <exception>
#include <limits>
#include <string>
#include <utility>

#include <vitals/core/error.hpp>
#include <vitals/core/rng.hpp>
#include <vitals/io/image.hpp>
#include <vitals/train/loader.hpp>

namespace vitals::inline v0::train {

namespace detail {

// Runs f and says in its errors which image they are about.
template <class F>
void about_image(const std::string& where, F&& f) {
  try {
    f();
  } catch (const IoError& e) {
    throw IoError(where + ": " + e.what());
  } catch (const FormatError& e) {
    throw FormatError(where + ": " + e.what());
  } catch (const DataError& e) {
    throw DataError(where + ": " + e.what());
  } catch (const ShapeError& e) {
    throw ShapeError(where + ": " + e.what());
  }
}

// read(i) for each of n images on several threads; of several failures the first in order is thrown.
template <class Read>
void read_images(Executor& executor, std::size_t n, Read&& read) {
  std::vector<std::exception_ptr> failures(n);
  executor.run(n, [&](std::size_t i) {
    try {
      read(i);
    } catch (...) {
      failures[i] = std::current_exception();
    }
  });
  for (const auto& failure : failures)
    if (failure) std::rethrow_exception(failure);
}

}  // namespace detail

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
  detail::read_images(options_.executor ? *options_.executor : default_pool(), out.items.size(), [&](std::size_t i) {
    detail::about_image(dataset_.where(out.items[i]), [&] {
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
  detail::read_images(executor, items.size(), [&](std::size_t i) {
    detail::about_image(dataset.where(items[i]), [&] { transform(io::read_image(dataset.file(items[i])), pixels[i]); });
  });
  return pixels;
}

}  // namespace vitals::inline v0::train
