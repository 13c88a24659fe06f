#include "pixels.hpp"

#include <algorithm>
#include <cmath>
#include <memory>

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <vitals/core/error.hpp>
#include <vitals/core/parallel.hpp>
#include <vitals/io/image.hpp>
#include <vitals/io/tensor_file.hpp>
#include <vitals/report/text.hpp>

#include "model.hpp"

namespace vt = vitals;
using Pixels = vt::Tensor<float, vt::dyn, 3, vt::dyn, vt::dyn>;

namespace support {

PixelSource pixels_of_images(const std::vector<std::filesystem::path>& images,
                             const vt::transforms::Transform& transform, const SliceChoice& choice) {
  PixelSource source;
  source.count = images.size();
  source.transform = transform.name();
  source.size = size_text(transform.size());
  for (const auto& image : images) {
    source.files.push_back(image.string());
    if (!std::filesystem::exists(image)) throw vt::IoError("the picture does not exist", image.string());
  }
  source.read = [images, transform, choice](std::size_t first, std::size_t n) {
    Pixels pixels({n, 3, transform.size().height, transform.size().width});
    vt::parallel_for(vt::default_pool(), n, 1, [&](std::size_t begin, std::size_t end) {
      for (std::size_t b = begin; b < end; ++b) transform(read_picture(images[first + b], choice), pixels[b]);
    });
    return pixels;
  };
  return source;
}

PixelSource pixels_of_file(const std::filesystem::path& file) {
  const auto tensors = vt::io::TensorFile::open(file);
  const auto* entry = tensors.find("pixels");
  if (!entry) throw vt::DataError("no tensor `pixels`", file.string());
  if (entry->shape.size() != 4 || entry->shape[1] != 3 || entry->size() == 0)
    throw vt::ShapeError("`pixels` " + vt::to_string(entry->shape) + ", expected (B, 3, H, W)", file.string());
  if (entry->dtype != vt::io::DType::f32)
    throw vt::DataError(std::string("`pixels` are ") + vt::io::name(entry->dtype) + ", expected float32",
                        file.string());
  PixelSource source;
  source.count = entry->shape[0];
  source.files = {file.string()};
  source.transform = "none: pixels as given";
  const std::size_t height = entry->shape[2], width = entry->shape[3];
  source.size = size_text({height, width});
  auto all = std::make_shared<Pixels>(Pixels::shape_type{source.count, 3, height, width});
  tensors.read(*entry, all->span());
  for (std::size_t i = 0; i < source.count; ++i)
    if (!std::all_of((*all)[i].begin(), (*all)[i].end(), [](float v) { return std::isfinite(v); }))
      throw vt::DataError("NaN or infinite pixels, image " + std::to_string(i), file.string());
  source.read = [all, height, width](std::size_t first, std::size_t n) {
    return Pixels({n, 3, height, width}, std::span<const float>((*all)[first].data(), n * 3 * height * width));
  };
  return source;
}

std::string json_list(const std::vector<std::string>& texts) {
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> json(buffer);
  json.StartArray();
  for (const auto& text : texts) {
    const auto valid = vt::report::valid_utf8(text);
    json.String(valid.data(), static_cast<rapidjson::SizeType>(valid.size()));
  }
  json.EndArray();
  return buffer.GetString();
}

}  // namespace support
