// Implementation of token_store.hpp.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>
#include <variant>

#include <vitals/core/error.hpp>
#include <vitals/core/sha256.hpp>
#include <vitals/data/resize.hpp>
#include <vitals/eval/feature_cache.hpp>
#include <vitals/eval/feature_pieces.hpp>
#include <vitals/eval/token_store.hpp>

namespace vitals::inline v0::eval::detail {

VITALS_INLINE train::DecoderInput TokenBatch::input() const {
  train::DecoderInput out;
  for (const auto& block : blocks) out.blocks.push_back(block);
  out.height = height;
  out.width = width;
  return out;
}

VITALS_INLINE TokenStore::TokenStore(const Backbone& backbone, const data::SegmentationDataset& dataset,
                                     const transforms::Transform& transform, TokenOptions options, Executor& executor)
    : backbone_(backbone), dataset_(dataset), transform_(transform), options_(std::move(options)), executor_(executor) {
  const auto& info = backbone.info();
  const auto size = transform.size();
  if (size.height % info.patch != 0 || size.width % info.patch != 0 || size.height == 0 || size.width == 0)
    throw ShapeError("[segment] a size of " + std::to_string(size.height) + " x " + std::to_string(size.width), "",
                     "both sides must be multiples of the patch, " + std::to_string(info.patch));
  if (transform.rule() == transforms::Rule::dinov2 || transform.rule() == transforms::Rule::paper256)
    throw ArgumentError("[segment] the transform " + transform.name() + " crops: what it cuts off would have no mask",
                        "", "use paper, or dinov2 without its crop");
  if (options_.blocks > info.depth)
    throw ArgumentError("[segment] the decoder reads the last " + std::to_string(options_.blocks) + " blocks",
                        info.preset, "the model has " + std::to_string(info.depth));
  height_ = size.height / info.patch;
  width_ = size.width / info.patch;
  numbers_ = options_.blocks * height_ * width_ * info.dim;
}

// An image at the model's size and its mask. Under `paper` augmentation comes after the resizing, as in the study.
VITALS_INLINE Tensor<std::uint8_t, dyn, dyn> TokenStore::load(std::size_t slice, Rng* draw,
                                                              TensorView<float, 3, dyn, dyn> pixels,
                                                              transforms::Size& size) const {
  data::MaskedImage pair = dataset_.read(slice);
  size = {pair.mask.extent(0), pair.mask.extent(1)};
  const auto to = transform_.size();
  if (draw && options_.augment) {
    if (transform_.rule() == transforms::Rule::paper) {
      const std::size_t stored = pair.image.channels(), channels = stored == 2 ? 1 : stored == 4 ? 3 : stored;
      pair.image = std::visit(
          [&](const auto& picture) {
            const auto planes = transforms::resize_tensor(picture.view(), channels, to);
            Tensor<float, dyn, dyn, dyn> out({to.height, to.width, channels});
            for (std::size_t c = 0; c < channels; ++c)
              for (std::size_t p = 0; p < to.height * to.width; ++p)
                out.data()[p * channels + c] = planes.data()[c * to.height * to.width + p];
            return io::Image{std::move(out)};
          },
          pair.image.pixels);
      pair.mask = resize_mask(pair.mask, to);
    }
    pair = options_.augment(pair, *draw);
  }
  transform_(pair.image, pixels);
  return resize_mask(pair.mask, to);
}

VITALS_INLINE void TokenStore::compute(std::span<const std::size_t> slices, const std::vector<Rng>* draw,
                                       std::span<float* const> tokens,
                                       std::span<Tensor<std::uint8_t, dyn, dyn>> masks) {
  const std::size_t images = std::max<std::size_t>(1, options_.feature_batch / std::max(1u, executor_.threads()));
  const std::size_t pieces = (slices.size() + images - 1) / images;
  const std::size_t block = numbers_ / options_.blocks;
  std::vector<transforms::Size> sizes(slices.size());
  const auto piece = [&](std::size_t p, Executor& inner) {
    const std::size_t begin = p * images, n = std::min(images, slices.size() - begin);
    Tensor<float, dyn, 3, dyn, dyn> pixels({n, 3, transform_.size().height, transform_.size().width});
    for (std::size_t b = 0; b < n; ++b) {
      Rng own = draw ? (*draw)[begin + b] : Rng();
      masks[begin + b] = vitals::detail::naming(dataset_.where(slices[begin + b]), [&] {
        return load(slices[begin + b], draw ? &own : nullptr, pixels[b], sizes[begin + b]);
      });
    }
    const Features out = backbone_.features(pixels, {.blocks = options_.blocks, .executor = &inner});
    for (std::size_t b = 0; b < n; ++b) {
      for (std::size_t k = 0; k < options_.blocks; ++k)
        std::copy_n(out.block_patches[k].data() + b * block, block, tokens[begin + b] + k * block);
      check_finite({tokens[begin + b], numbers_}, dataset_.where(slices[begin + b]));
    }
  };
  if (pieces < executor_.threads()) {
    for (std::size_t p = 0; p < pieces; ++p) piece(p, executor_);
  } else {
    executor_.run(pieces, [&](std::size_t p) {
      SerialExecutor inner;
      piece(p, inner);
    });
  }
  for (std::size_t i = 0; i < slices.size(); ++i) {
    if (sizes_.emplace(slices[i], sizes[i]).second) ++computed_;
  }
}

// Everything that tokens depend on, but the slice.
VITALS_INLINE std::string TokenStore::key() const {
  const auto& info = backbone_.info();
  Tensor<float, dyn, 3, dyn, dyn> noise({1, 3, transform_.size().height, transform_.size().width});
  const Rng rng(0x70726F6265);  // "probe"
  for (std::size_t i = 0; i < noise.size(); ++i) noise.data()[i] = static_cast<float>(rng.normal_at(i));
  Sha256 outputs;
  for (const auto& block : backbone_.features(noise, {.blocks = options_.blocks, .executor = &executor_}).block_patches)
    outputs.update(std::as_bytes(block.span()));
  const auto n = [](std::size_t v) { return std::to_string(v); };
  return Sha256()
      .update("vitals tokens 1\nweights " + options_.weights_sha256 + "\noutputs " + outputs.hex() + "\npreset " +
              info.preset + "\npositions " + name(info.positions) + "\ntransform " + transform_.name() + "\nsize " +
              n(transform_.size().height) + " " + n(transform_.size().width) + "\ndtype " + options_.backbone_dtype +
              "\nblocks " + n(options_.blocks) + "\nkept " + (options_.half ? "bfloat16" : "float32") + "\n")
      .hex();
}

VITALS_INLINE bool TokenStore::keep(const std::vector<std::size_t>& slices) {
  std::vector<std::size_t> wanted;
  bool all = true;
  const std::size_t bytes = numbers_ * (options_.half ? sizeof(bfloat16) : sizeof(float));
  for (std::size_t slice : slices) {
    if (kept_.contains(slice)) continue;
    if (used_ + bytes > options_.kept_bytes) {
      all = false;
      break;
    }
    used_ += bytes;
    wanted.push_back(slice);
  }
  // Records of the cache are numbers of four bytes; pairs of bfloat16 travel in them bit by bit.
  const std::size_t record = (bytes + 3) / 4;
  std::optional<FeatureCache> cache;
  std::vector<std::string> names(wanted.size());
  std::vector<char> known(wanted.size(), 0);
  const auto mask_alone = [&](std::size_t i) {
    const auto pair = vitals::detail::naming(dataset_.where(wanted[i]), [&] { return dataset_.read(wanted[i]); });
    return std::pair{transforms::Size{pair.mask.extent(0), pair.mask.extent(1)},
                     resize_mask(pair.mask, transform_.size())};
  };
  if (!options_.cache.empty() && !wanted.empty()) {
    if (key_.empty()) key_ = key();
    cache.emplace(options_.cache, key_, record);
    std::unordered_map<std::string, std::size_t> place;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      const auto& slice = dataset_.slices[wanted[i]];
      auto& sum = file_sums_[slice.item];
      if (sum.empty())
        sum = vitals::detail::naming(dataset_.where(wanted[i]), [&] { return sha256_of_file(dataset_.file(slice.item)); });
      const auto& rule = dataset_.intensity;
      names[i] = Sha256()
                     .update(sum + " " + std::to_string(slice.index) + " " + std::to_string(dataset_.axis) + " " +
                             std::to_string(static_cast<int>(rule.rule)) + " " + std::to_string(rule.low) + " " +
                             std::to_string(rule.high))
                     .hex();
      place[names[i]] = i;
    }
    unreadable_ += cache->read([&](const std::string& image, std::span<const float> numbers) {
      const auto found = place.find(image);
      if (found == place.end() || known[found->second]) return;
      auto& kept = kept_[wanted[found->second]];
      if (options_.half) {
        kept.half.resize(numbers_);
        std::memcpy(static_cast<void*>(kept.half.data()), numbers.data(), bytes);
      } else {
        kept.wide.assign(numbers.begin(), numbers.end());
      }
      known[found->second] = 1;
    });
    for (std::size_t i = 0; i < wanted.size(); ++i)
      for (std::size_t j = 0; j < i && !known[i]; ++j)  // the same picture twice in a data set
        if (names[j] == names[i] && known[j]) {
          kept_[wanted[i]].wide = kept_[wanted[j]].wide;
          kept_[wanted[i]].half = kept_[wanted[j]].half;
          known[i] = 1;
        }
  }
  std::vector<std::size_t> missing;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (!known[i]) {
      missing.push_back(i);
      continue;
    }
    auto [size, mask] = mask_alone(i);
    sizes_[wanted[i]] = size;
    kept_[wanted[i]].mask = std::move(mask);
  }
  const std::size_t total = wanted.size();
  std::size_t done = total - missing.size();
  const auto report = [&] {
    if (options_.progress && total) options_.progress("features", done, total);
  };
  report();
  const std::size_t step = std::max<std::size_t>(1, options_.feature_batch);
  const std::size_t records_a_flush = std::max<std::size_t>(1, (std::size_t{64} << 20) / (record * sizeof(float)));
  std::size_t unwritten = 0;
  std::vector<float> wide(std::min(step, std::max<std::size_t>(1, missing.size())) * numbers_), packed(record, 0.0f);
  for (std::size_t first = 0; first < missing.size(); first += step) {
    const std::size_t n = std::min(step, missing.size() - first);
    std::vector<std::size_t> some(n);
    std::vector<float*> tokens(n);
    std::vector<Tensor<std::uint8_t, dyn, dyn>> masks(n);
    for (std::size_t i = 0; i < n; ++i) {
      some[i] = wanted[missing[first + i]];
      tokens[i] = wide.data() + i * numbers_;
    }
    compute(some, nullptr, tokens, masks);
    for (std::size_t i = 0; i < n; ++i) {
      auto& kept = kept_[some[i]];
      kept.mask = std::move(masks[i]);
      if (options_.half) {
        kept.half.resize(numbers_);
        for (std::size_t k = 0; k < numbers_; ++k) kept.half[k] = bfloat16(tokens[i][k]);
        std::memcpy(packed.data(), kept.half.data(), bytes);
      } else {
        kept.wide.assign(tokens[i], tokens[i] + numbers_);
      }
      if (!cache) continue;
      cache->add(names[missing[first + i]],
                 options_.half ? std::span<const float>(packed) : std::span<const float>(kept.wide));
      if (++unwritten % records_a_flush == 0) cache->flush();
    }
    done += n;
    report();
  }
  if (cache) cache->flush();
  return all;
}

VITALS_INLINE TokenBatch TokenStore::batch(std::span<const std::size_t> slices, const std::vector<Rng>* draw) {
  const std::size_t dim = backbone_.info().dim, tokens = height_ * width_, block = tokens * dim, n = slices.size();
  TokenBatch out;
  out.height = height_;
  out.width = width_;
  for (std::size_t k = 0; k < options_.blocks; ++k) out.blocks.emplace_back(std::array<std::size_t, 3>{n, tokens, dim});
  out.masks = Tensor<std::uint8_t, dyn, dyn, dyn>({n, transform_.size().height, transform_.size().width});
  const std::size_t pixels = transform_.size().height * transform_.size().width;
  std::vector<std::size_t> missing, places;
  std::vector<Rng> own;
  for (std::size_t i = 0; i < n; ++i)
    if (draw || !kept_.contains(slices[i])) {
      missing.push_back(slices[i]);
      places.push_back(i);
      if (draw) own.push_back((*draw)[i]);
    }
  parallel_for(executor_, n * options_.blocks, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t task = begin; task < end; ++task) {
      const std::size_t i = task / options_.blocks, k = task % options_.blocks;
      const auto found = draw ? kept_.end() : kept_.find(slices[i]);
      if (found == kept_.end()) continue;
      float* to = out.blocks[k].data() + i * block;
      if (options_.half)
        std::transform(found->second.half.begin() + static_cast<std::ptrdiff_t>(k * block),
                       found->second.half.begin() + static_cast<std::ptrdiff_t>((k + 1) * block), to,
                       [](bfloat16 v) { return static_cast<float>(v); });
      else
        std::copy_n(found->second.wide.data() + k * block, block, to);
      if (k == 0) std::copy_n(found->second.mask.data(), pixels, out.masks.data() + i * pixels);
    }
  });
  if (missing.empty()) return out;
  std::vector<float> wide(missing.size() * numbers_);
  std::vector<float*> where(missing.size());
  std::vector<Tensor<std::uint8_t, dyn, dyn>> masks(missing.size());
  for (std::size_t i = 0; i < missing.size(); ++i) where[i] = wide.data() + i * numbers_;
  compute(missing, draw ? &own : nullptr, where, masks);
  for (std::size_t m = 0; m < missing.size(); ++m) {
    for (std::size_t k = 0; k < options_.blocks; ++k)
      std::copy_n(where[m] + k * block, block, out.blocks[k].data() + places[m] * block);
    std::copy_n(masks[m].data(), pixels, out.masks.data() + places[m] * pixels);
  }
  return out;
}

}  // namespace vitals::inline v0::eval::detail
