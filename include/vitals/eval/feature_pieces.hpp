// Features in pieces: how the work on many images is shared out over threads. Internal to the room.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include <vitals/core/error.hpp>
#include <vitals/core/parallel.hpp>
#include <vitals/core/tensor.hpp>
#include <vitals/data/transforms.hpp>
#include <vitals/models/backbone.hpp>

namespace vitals::inline v0::eval::detail {

// Writes the record (blocks * D of cls, then D of avgpool) of image `b` of a batch to cls and avgpool.
inline void take_record(const Features& features, std::size_t b, std::span<float> cls, std::span<float> avgpool) {
  const std::size_t dim = features.cls.extent(1), patches = features.patches.extent(1);
  for (std::size_t k = 0; k < features.block_cls.size(); ++k)
    std::copy_n(features.block_cls[k].data() + b * dim, dim, cls.data() + k * dim);
  std::vector<double> sum(dim, 0.0);
  const float* token = features.patches.data() + b * patches * dim;
  for (std::size_t p = 0; p < patches; ++p)
    for (std::size_t d = 0; d < dim; ++d) sum[d] += *token++;
  for (std::size_t d = 0; d < dim; ++d) avgpool[d] = static_cast<float>(sum[d] / static_cast<double>(patches));
}

inline void check_finite(std::span<const float> record, const std::string& where) {
  if (!std::all_of(record.begin(), record.end(), [](float v) { return std::isfinite(v); }))
    throw DataError("the features are NaN or infinite", where, "check the image and the weights");
}

// load(i, pixels (3, H, W)) for each of `count` images, then the model on as many as one thread holds of a batch, then
// take(i, features, b) for each, b being its place among them, and done(how many). Threads work on pieces of their own: no
// one waits for another one's decoding. Where there are too few pieces to share out, each uses all threads.
template <class Load, class Take, class Done>
void features_in_pieces(const Backbone& backbone, transforms::Size size, Executor& executor, std::size_t blocks,
                        std::size_t batch, std::size_t count, Load&& load, Take&& take, Done&& done) {
  const std::size_t images = std::max<std::size_t>(1, batch / std::max(1u, executor.threads()));
  const std::size_t pieces = (count + images - 1) / images;
  const auto piece = [&](std::size_t p, Executor& inner) {
    const std::size_t begin = p * images, n = std::min(images, count - begin);
    Tensor<float, dyn, 3, dyn, dyn> pixels({n, 3, size.height, size.width});
    for (std::size_t b = 0; b < n; ++b) load(begin + b, pixels[b]);
    const Features out = backbone.features(pixels, {.blocks = blocks, .block_patches = false, .executor = &inner});
    for (std::size_t b = 0; b < n; ++b) take(begin + b, out, b);
    done(n);
  };
  if (pieces < executor.threads()) {
    for (std::size_t p = 0; p < pieces; ++p) piece(p, executor);
    return;
  }
  executor.run(pieces, [&](std::size_t p) {
    SerialExecutor inner;
    piece(p, inner);
  });
}

}  // namespace vitals::inline v0::eval::detail
