// Implementation of augmented.hpp.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <vitals/core/error.hpp>
#include <vitals/eval/augmented.hpp>
#include <vitals/eval/feature_pieces.hpp>
#include <vitals/io/image.hpp>

namespace vitals::inline v0::eval {

VITALS_INLINE BatchFeatures augmented_features(const Backbone& backbone, const data::Dataset& dataset,
                                               const transforms::Transform& transform, const AugmentOptions& options) {
  return [&backbone, &dataset, transform, options](std::span<const std::size_t> items, std::size_t step,
                                                   std::span<float> x) {
    const std::size_t dim = backbone.info().dim, width = items.empty() ? 0 : x.size() / items.size();
    if (items.empty() || x.size() != items.size() * width || width % dim != 0 || width < 2 * dim)
      throw ShapeError("[augmented_features] " + std::to_string(x.size()) + " numbers for " +
                       std::to_string(items.size()) + " items of a backbone " + std::to_string(dim) + " wide");
    const std::size_t blocks = width / dim - 1;
    detail::features_in_pieces(
        backbone, transform.size(), options.executor ? *options.executor : default_pool(), blocks, options.batch,
        items.size(),
        [&](std::size_t i, auto pixels) {
          vitals::detail::naming(dataset.where(items[i]), [&] {
            const auto image = io::read_image(dataset.file(items[i]));
            Rng rng(options.seed ^ (std::uint64_t{0x63726F70} << 32),
                    (std::uint64_t{step} << 32) | items[i]);  // "crop"
            transform(data::cropped(image, data::random_crop(image.height(), image.width(), rng, options.crop)),
                      pixels);
          });
        },
        [&](std::size_t i, const Features& out, std::size_t b) {
          const auto record = x.subspan(i * width, width);
          detail::take_record(out, b, record.first(blocks * dim), record.last(dim));
          detail::check_finite(record, dataset.where(items[i]));
        },
        [](std::size_t) {});
  };
}

}  // namespace vitals::inline v0::eval
