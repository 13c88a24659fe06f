// Implementation of volumes.hpp.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

#include <vitals/core/error.hpp>
#include <vitals/data/slices.hpp>
#include <vitals/eval/masks.hpp>
#include <vitals/eval/volumes.hpp>

namespace vitals::inline v0::eval {

namespace detail {

// The number of the largest of K logits, the first of equals.
inline std::uint8_t largest_class(const float* logits, std::size_t classes) {
  return static_cast<std::uint8_t>(std::max_element(logits, logits + classes) - logits);
}

// The largest class of each pixel of scores (h, w, K), brought to another size.
inline Tensor<std::uint8_t, dyn, dyn> largest_classes(const float* scores, transforms::Size from, std::size_t classes,
                                                      transforms::Size to) {
  Tensor<std::uint8_t, dyn, dyn> mask({from.height, from.width});
  for (std::size_t i = 0; i < mask.size(); ++i) mask.data()[i] = largest_class(scores + i * classes, classes);
  return resize_mask(mask, to);
}

inline void check_logits(const Tensor<float, dyn, dyn, dyn, dyn>& logits, std::size_t batch, transforms::Size size) {
  if (logits.extent(0) != batch || logits.extent(1) != size.height || logits.extent(2) != size.width ||
      logits.extent(3) == 0 || logits.extent(3) > 255)
    throw ShapeError("[volumes] logits " + to_string(logits.shape()) + " for " + std::to_string(batch) + " x " +
                     std::to_string(size.height) + " x " + std::to_string(size.width) + " pixels");
}

// Where windows of `side` begin along `length`, the last one flush with the end.
inline std::vector<std::size_t> window_starts(std::size_t length, std::size_t side, double overlap) {
  const auto step = std::max<std::size_t>(1, static_cast<std::size_t>(static_cast<double>(side) * (1 - overlap)));
  std::vector<std::size_t> starts;
  for (std::size_t at = 0; at + side < length; at += step) starts.push_back(at);
  starts.push_back(length - side);
  return starts;
}

inline std::vector<double> window_weights(std::size_t side) {
  std::vector<double> weights(side);
  const double middle = (static_cast<double>(side) - 1) / 2, sigma = static_cast<double>(side) / 8;
  for (std::size_t i = 0; i < side; ++i) {
    const double d = (static_cast<double>(i) - middle) / sigma;
    weights[i] = std::exp(-d * d / 2);
  }
  return weights;
}

// The same rule straight to a size of its own.
inline transforms::Transform without_crop(const transforms::Transform& transform, transforms::Size size) {
  const bool study = transform.rule() == transforms::Rule::paper || transform.rule() == transforms::Rule::paper256;
  return study ? transforms::paper(size) : transforms::dinov2(size, false);
}

}  // namespace detail

VITALS_INLINE Tensor<std::uint8_t, dyn, dyn> sliding_windows(const LogitsOf& logits, const io::Image& image,
                                                             const transforms::Transform& transform,
                                                             const WindowOptions& options) {
  if (!(options.overlap >= 0 && options.overlap < 1) || options.batch == 0)
    throw ArgumentError("[sliding_windows] an overlap of " + std::to_string(options.overlap) + " and " +
                            std::to_string(options.batch) + " windows at once",
                        "", "the overlap is 0 to below 1, the batch at least 1");
  const auto side = transform.size();
  const double enlarge = std::max({1.0, static_cast<double>(side.height) / static_cast<double>(image.height()),
                                   static_cast<double>(side.width) / static_cast<double>(image.width())});
  const auto scaled = [&](std::size_t length, std::size_t least) {
    return std::max(least, static_cast<std::size_t>(std::lround(static_cast<double>(length) * enlarge)));
  };
  const transforms::Size whole(scaled(image.height(), side.height), scaled(image.width(), side.width));
  const auto pixels = detail::without_crop(transform, whole)(image);  // (1, 3, H, W)

  std::vector<std::array<std::size_t, 2>> corners;
  for (std::size_t top : detail::window_starts(whole.height, side.height, options.overlap))
    for (std::size_t left : detail::window_starts(whole.width, side.width, options.overlap))
      corners.push_back({top, left});
  const auto rows = detail::window_weights(side.height), columns = detail::window_weights(side.width);
  std::vector<float> sums;  // (H, W, K)
  std::size_t classes = 0;
  std::vector<double> probabilities;
  for (std::size_t first = 0; first < corners.size(); first += options.batch) {
    const std::size_t count = std::min(options.batch, corners.size() - first);
    Tensor<float, dyn, 3, dyn, dyn> batch({count, 3, side.height, side.width});
    for (std::size_t b = 0; b < count; ++b)
      for (std::size_t c = 0; c < 3; ++c)
        for (std::size_t y = 0; y < side.height; ++y)
          std::copy_n(&pixels(0u, c, corners[first + b][0] + y, corners[first + b][1]), side.width,
                      &batch(b, c, y, 0u));
    const auto out = logits(batch);
    detail::check_logits(out, count, side);
    if (sums.empty()) {
      classes = out.extent(3);
      sums.resize(whole.height * whole.width * classes);
      probabilities.resize(classes);
    }
    for (std::size_t b = 0; b < count; ++b)
      for (std::size_t y = 0; y < side.height; ++y)
        for (std::size_t x = 0; x < side.width; ++x) {
          const float* at = &out(b, y, x, 0u);
          const float largest = *std::max_element(at, at + classes);
          double total = 0;
          for (std::size_t k = 0; k < classes; ++k) total += probabilities[k] = std::exp(at[k] - largest);
          const double weight = rows[y] * columns[x] / total;
          float* to = sums.data() + ((corners[first + b][0] + y) * whole.width + corners[first + b][1] + x) * classes;
          for (std::size_t k = 0; k < classes; ++k) to[k] += static_cast<float>(weight * probabilities[k]);
        }
  }
  return detail::largest_classes(sums.data(), whole, classes, {image.height(), image.width()});
}

VITALS_INLINE io::LabelVolume predict_volume(const LogitsOf& logits, const io::Volume& volume,
                                             const transforms::Transform& transform, const VolumeOptions& options) {
  data::slice_axes(options.axis);
  if (options.batch == 0) throw ArgumentError("[predict_volume] 0 slices at once");
  const std::size_t slices = volume.values.extent(options.axis);
  const auto size = transform.size();
  Executor& pool = options.executor ? *options.executor : default_pool();
  io::LabelVolume out{Tensor<std::uint8_t, dyn, dyn, dyn>(volume.values.shape()), volume.affine};
  const auto named = [](std::size_t slice, auto&& work) {
    try {
      work();
    } catch (const DataError& error) {
      throw DataError(error.what(), "slice " + std::to_string(slice));
    }
  };
  for (std::size_t first = 0; first < slices; first += options.batch) {
    const std::size_t count = std::min(options.batch, slices - first);
    std::vector<io::Image> images(count);
    Tensor<float, dyn, 3, dyn, dyn> pixels;
    if (!options.windows) pixels = Tensor<float, dyn, 3, dyn, dyn>({count, 3, size.height, size.width});
    parallel_for(pool, count, 1, [&](std::size_t begin, std::size_t end) {
      for (std::size_t b = begin; b < end; ++b)
        named(first + b, [&] {
          images[b] = data::slice_image(volume, options.axis, first + b, options.intensity);
          if (!options.windows)
            transform(images[b], TensorView<float, 3, dyn, dyn>(&pixels(b, 0u, 0u, 0u), {3, size.height, size.width}));
        });
    });
    std::vector<Tensor<std::uint8_t, dyn, dyn>> masks(count);
    if (options.windows) {
      for (std::size_t b = 0; b < count; ++b)
        named(first + b, [&] { masks[b] = sliding_windows(logits, images[b], transform, options.window); });
    } else {
      const auto scores = logits(pixels);
      detail::check_logits(scores, count, size);
      const std::size_t classes = scores.extent(3);
      parallel_for(pool, count, 1, [&](std::size_t begin, std::size_t end) {
        for (std::size_t b = begin; b < end; ++b)
          masks[b] =
              detail::largest_classes(&scores(b, 0u, 0u, 0u), size, classes, {images[b].height(), images[b].width()});
      });
    }
    for (std::size_t b = 0; b < count; ++b) data::put_slice(out.values, options.axis, first + b, masks[b]);
    if (options.progress) options.progress("slices", first + count, slices);
  }
  return out;
}

}  // namespace vitals::inline v0::eval
