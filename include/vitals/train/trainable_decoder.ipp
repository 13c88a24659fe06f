// Implementation of trainable_decoder.hpp: every decoder in both precisions.
#pragma once

#include <algorithm>
#include <charconv>
#include <span>
#include <string_view>
#include <utility>

#include <vitals/core/error.hpp>
#include <vitals/heads/linear_segmenter.hpp>
#include <vitals/heads/unet_decoder.hpp>
#include <vitals/io/safetensors.hpp>
#include <vitals/io/tensor_file.hpp>
#include <vitals/train/decoder_of.hpp>
#include <vitals/train/trainable_decoder.hpp>

namespace vitals::inline v0::train {

namespace detail {

template <class B>
std::unique_ptr<TrainableDecoder> decoder_in(const heads::DecoderShape& shape, std::uint64_t seed, Executor& executor) {
  if (shape.kind == heads::DecoderKind::linear)
    return std::make_unique<DecoderOf<heads::LinearSegmenter<B>, B>>(shape, seed, executor);
  return std::make_unique<DecoderOf<heads::UnetDecoder<B>, B>>(shape, seed, executor);
}

}  // namespace detail

VITALS_INLINE std::unique_ptr<TrainableDecoder> make_decoder(const heads::DecoderShape& shape, std::uint64_t seed,
                                                             const std::string& dtype, Executor& executor) {
  const bool narrow = shape.kind == heads::DecoderKind::unet && shape.dim < 8;
  if (shape.dim == 0 || narrow || shape.classes < 2 || shape.classes > 255 || shape.size[0] == 0 || shape.size[1] == 0)
    throw ArgumentError("[make_decoder] width " + std::to_string(shape.dim) + ", " + std::to_string(shape.classes) +
                            " classes, size " + to_string(shape.size),
                        name(shape.kind), "2 to 255 classes, a width from 1 on (U-Net: 8) and a size above 0");
  if (dtype == "float32") return detail::decoder_in<Cpu<float>>(shape, seed, executor);
  if (dtype == "bfloat16") return detail::decoder_in<Cpu<bfloat16>>(shape, seed, executor);
  throw ArgumentError("a decoder cannot compute in '" + dtype + "'", "", "use float32 or bfloat16");
}

VITALS_INLINE void save_decoder(const std::filesystem::path& file, TrainableDecoder& decoder,
                                const std::map<std::string, std::string>& metadata) {
  const auto& shape = decoder.shape();
  auto all = metadata;
  all["decoder"] = name(shape.kind);
  all["dim"] = std::to_string(shape.dim);
  all["classes"] = std::to_string(shape.classes);
  all["height"] = std::to_string(shape.size[0]);
  all["width"] = std::to_string(shape.size[1]);
  const auto rows = decoder.rows();
  std::vector<std::vector<float>> values(rows.size());
  std::vector<io::NamedTensor> tensors;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    values[i].resize(rows[i].size());
    rows[i].read(values[i]);
    tensors.emplace_back(rows[i].name, rows[i].shape, std::span<const float>(values[i]));
  }
  io::write_safetensors(file, tensors, all);
}

VITALS_INLINE std::unique_ptr<TrainableDecoder> load_decoder(const std::filesystem::path& path,
                                                             const std::string& dtype, Executor& executor) {
  const auto file = io::TensorFile::open(path);
  const auto text = [&](const char* key) -> const std::string& {
    const auto found = file.metadata().find(key);
    if (found == file.metadata().end())
      throw FormatError("no decoder: its metadata has no '" + std::string(key) + "'", path.string());
    return found->second;
  };
  const auto number = [&](const char* key, std::size_t most) {
    std::size_t value = 0;
    const std::string& digits = text(key);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || end != digits.data() + digits.size() || value == 0 || value > most)
      throw FormatError("no decoder: '" + std::string(key) + "' is '" + digits + "'", path.string());
    return value;
  };
  heads::DecoderShape shape;
  try {
    shape.kind = heads::decoder_by_name(text("decoder"));
  } catch (const ArgumentError& e) {
    throw FormatError(e.what(), path.string());
  }
  shape.dim = number("dim", 1 << 14);
  shape.classes = number("classes", 255);
  shape.size = {number("height", 1 << 14), number("width", 1 << 14)};
  auto decoder = make_decoder(shape, 0, dtype, executor);
  const auto rows = decoder->rows();
  for (const auto& entry : file.entries())
    if (std::none_of(rows.begin(), rows.end(), [&](const auto& row) { return row.name == entry.name; }))
      throw FormatError("the tensor '" + entry.name + "' belongs to no " + name(shape.kind) + " decoder",
                        path.string());
  for (const auto& row : rows) {
    const auto* entry = file.find(row.name);
    if (!entry || entry->shape != row.shape)
      throw FormatError(entry ? "the tensor '" + row.name + "' has shape " + to_string(entry->shape) + ", expected " +
                                    to_string(row.shape)
                              : "the tensor '" + row.name + "' is missing",
                        path.string());
    std::vector<float> values(row.size());
    file.read(*entry, std::span<float>(values));
    row.write(values);
  }
  return decoder;
}

}  // namespace vitals::inline v0::train
