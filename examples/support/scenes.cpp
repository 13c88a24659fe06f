#include "scenes.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <variant>

#include <vitals/core/rng.hpp>
#include <vitals/data/transforms.hpp>

namespace vt = vitals;
namespace phantom = vitals::phantom;

namespace support {

namespace {

constexpr std::uint64_t which_stream = std::uint64_t{1} << 50, view_stream = std::uint64_t{1} << 51;

std::vector<std::uint8_t> bytes_of(const vt::io::Image& image) {
  const auto& pixels = std::get<vt::Tensor<std::uint8_t, vt::dyn, vt::dyn, vt::dyn>>(image.pixels);
  return {pixels.begin(), pixels.end()};
}

// How one look at a drawing differs from another.
struct Look {
  std::array<float, 6> to_drawing{};  // from a place in [-1, 1]^2 of the view to one of the drawing
  float gamma, low, high, noise;
  bool inverted, blurred;

  explicit Look(vt::Rng& rng) {
    const auto between = [&](double low_, double high_) { return low_ + (high_ - low_) * rng.uniform(); };
    const double zoom = std::exp(between(std::log(0.62), std::log(1.12))), stretch = std::exp(between(-0.2, 0.2));
    const double turn = 0.14 * rng.normal(), room = std::max(0.08, 1 - zoom);
    const double zx = zoom * std::sqrt(stretch) * (rng.uniform() < 0.5 ? -1 : 1), zy = zoom / std::sqrt(stretch);
    const double c = std::cos(turn), s = std::sin(turn), dx = between(-room, room), dy = between(-room, room);
    to_drawing = {static_cast<float>(c * zx), static_cast<float>(-s * zy), static_cast<float>(dx),
                  static_cast<float>(s * zx), static_cast<float>(c * zy),  static_cast<float>(dy)};
    gamma = static_cast<float>(std::exp(between(-0.5, 0.5)));
    low = static_cast<float>(between(0, 0.12));
    high = static_cast<float>(between(0.8, 1));
    noise = rng.uniform() < 0.6 ? static_cast<float>(between(0, 0.05)) : 0.0f;
    inverted = rng.uniform() < 0.06;
    blurred = rng.uniform() < 0.25;
  }
};

// Means over 3 x 3 pixels, the border as it is.
void blur(std::vector<float>& plane, std::size_t size) {
  std::vector<float> out = plane;
  for (std::size_t y = 1; y + 1 < size; ++y)
    for (std::size_t x = 1; x + 1 < size; ++x) {
      const float* p = &plane[y * size + x];
      const auto row = [](const float* q) { return q[-1] + q[0] + q[1]; };
      out[y * size + x] = (row(p - size) + row(p) + row(p + size)) / 9;
    }
  plane.swap(out);
}

}  // namespace

float scene_finding(const float* targets, std::size_t i) {
  if (i < scene_facts) return targets[scene_kinds + i];
  constexpr std::size_t head = phantom::tissues - 1;
  constexpr std::array<std::size_t, 5> tissue{static_cast<std::size_t>(phantom::Tissue::nodule),
                                              static_cast<std::size_t>(phantom::Tissue::effusion),
                                              static_cast<std::size_t>(phantom::Tissue::consolidation),
                                              head + static_cast<std::size_t>(phantom::HeadTissue::tumour),
                                              head + static_cast<std::size_t>(phantom::HeadTissue::swelling)};
  const float share = targets[scene_kinds + scene_facts + 4 * (tissue[i - scene_facts] - 1) + 1];
  return share * share > 0.0006f ? 1.0f : 0.0f;
}

Scenes::Scenes(std::uint64_t seed, std::size_t size, std::size_t side, vt::Executor& executor)
    : seed_(seed), side_(side), executor_(executor), pool_(size) {
  renew(size);
}

void Scenes::renew(std::size_t count) {
  executor_.run(count, [&](std::size_t i) { pool_[(drawn_ + i) % pool_.size()] = draw(drawn_ + i); });
  drawn_ += count;
}

Scenes::Drawing Scenes::draw(std::uint64_t number) const {
  vt::Rng rng(seed_, which_stream + number);
  Drawing out;
  if (number % 2 == 0) {
    phantom::Options film{.height = side_, .width = side_, .seed = seed_, .patient = number};
    for (auto finding : {phantom::Finding::nodule, phantom::Finding::effusion, phantom::Finding::consolidation,
                         phantom::Finding::cardiomegaly})
      if (rng.uniform() < (finding == phantom::Finding::consolidation ? 0.45 : 0.25)) film.findings.push_back(finding);
    auto drawn = phantom::chest(film);
    out.pixels = bytes_of(drawn.image);
    out.tissue.assign(drawn.tissue.begin(), drawn.tissue.end());
    out.facts[0] = std::count(film.findings.begin(), film.findings.end(), phantom::Finding::cardiomegaly) ? 1.0f : 0.0f;
  } else {
    phantom::HeadOptions slice{.height = side_, .width = side_, .seed = seed_, .patient = number};
    slice.plane = static_cast<phantom::HeadPlane>(rng.below(3));
    slice.tumour = static_cast<phantom::Tumour>(rng.below(4));
    auto drawn = phantom::head(slice);
    out.pixels = bytes_of(drawn.image);
    out.tissue.assign(drawn.tissue.begin(), drawn.tissue.end());
    for (auto& t : out.tissue)
      if (t) t = static_cast<std::uint8_t>(t + phantom::tissues - 1);
    out.kind = 1 + static_cast<std::size_t>(slice.plane);
    if (slice.tumour != phantom::Tumour::none) out.facts[static_cast<std::size_t>(slice.tumour)] = 1;
  }
  return out;
}

void Scenes::sample(std::uint64_t index, std::size_t size, std::size_t patch, float* pixels, float* picture,
                    float* patches) const {
  vt::Rng rng(seed_, view_stream + index);
  const Drawing& from = pool_[rng.below(pool_.size())];
  const Look look(rng);
  const std::size_t grid = size / patch;
  std::vector<float> plane(size * size);
  std::array<double, scene_tissues> area{}, row{}, column{};
  const float step = 2.0f / static_cast<float>(size), half = static_cast<float>(side_) / 2;
  const auto last = static_cast<std::ptrdiff_t>(side_) - 1;
  for (std::size_t y = 0; y < size; ++y)
    for (std::size_t x = 0; x < size; ++x) {
      const float v = (static_cast<float>(y) + 0.5f) * step - 1, u = (static_cast<float>(x) + 0.5f) * step - 1;
      const auto& m = look.to_drawing;
      const float sx = (m[0] * u + m[1] * v + m[2] + 1) * half - 0.5f,
                  sy = (m[3] * u + m[4] * v + m[5] + 1) * half - 0.5f;
      const float fx = std::floor(sx), fy = std::floor(sy), ax = sx - fx, ay = sy - fy;
      const auto ix = static_cast<std::ptrdiff_t>(fx), iy = static_cast<std::ptrdiff_t>(fy);
      std::size_t tissue = 0;
      float value = 0;
      if (ix >= 0 && iy >= 0 && ix < last && iy < last) {
        const std::size_t at = static_cast<std::size_t>(iy) * side_ + static_cast<std::size_t>(ix);
        const auto p = [&](std::size_t offset) { return static_cast<float>(from.pixels[at + offset]); };
        value = (1 - ay) * ((1 - ax) * p(0) + ax * p(1)) + ay * ((1 - ax) * p(side_) + ax * p(side_ + 1));
        tissue = from.tissue[at + (ax > 0.5f) + (ay > 0.5f ? side_ : 0)];
      }
      plane[y * size + x] = value;
      area[tissue] += 1, row[tissue] += static_cast<double>(y), column[tissue] += static_cast<double>(x);
      if (y / patch < grid && x / patch < grid)
        patches[(y / patch * grid + x / patch) * scene_tissues + tissue] += 1.0f / static_cast<float>(patch * patch);
    }

  // Tone: what min-max scaling lets through, bent, cut and made noisy.
  if (look.blurred) blur(plane, size);
  const auto scale = [&] {
    const auto [low, high] = std::minmax_element(plane.begin(), plane.end());
    const float from_ = *low, range = std::max(*high - from_, 1e-6f);
    for (float& p : plane) p = (p - from_) / range;
  };
  scale();
  for (std::size_t i = 0; i < plane.size(); ++i) {
    float p = std::pow(std::clamp((plane[i] - look.low) / (look.high - look.low), 0.0f, 1.0f), look.gamma);
    if (look.noise > 0) {
      const std::uint32_t bits = rng.bits_at(1000 + i);  // four bytes: near enough to a bell, deviation 148
      const auto sum = static_cast<float>((bits & 255) + (bits >> 8 & 255) + (bits >> 16 & 255) + (bits >> 24));
      p += look.noise * (sum - 510) / 148;
    }
    plane[i] = look.inverted ? 1 - p : p;
  }
  scale();
  for (std::size_t channel = 0; channel < 3; ++channel)
    for (std::size_t i = 0; i < plane.size(); ++i)
      pixels[channel * plane.size() + i] =
          (plane[i] - vt::transforms::mean[channel]) / vt::transforms::std_dev[channel];

  const double all = static_cast<double>(size * size), edge = static_cast<double>(size);
  picture[from.kind] = 1;
  std::copy_n(from.facts, scene_facts, picture + scene_kinds);
  if (area[phantom::tissues - 1 + static_cast<std::size_t>(phantom::HeadTissue::tumour)] < 0.001 * all)
    std::fill_n(picture + scene_kinds + 1, scene_facts - 1, 0.0f);  // the tumour is outside the view
  for (std::size_t t = 1; t < scene_tissues; ++t) {
    float* to = picture + scene_kinds + scene_facts + 4 * (t - 1);
    const bool there = area[t] >= 0.0015 * all;
    to[0] = there ? 1.0f : 0.0f;
    to[1] = static_cast<float>(std::sqrt(area[t] / all));
    to[2] = there ? static_cast<float>((row[t] / area[t] + 0.5) / edge) : 0.5f;
    to[3] = there ? static_cast<float>((column[t] / area[t] + 0.5) / edge) : 0.5f;
  }
}

SceneBatch Scenes::batch(std::uint64_t step, std::size_t count, std::size_t size, std::size_t patch) const {
  const std::size_t tokens = (size / patch) * (size / patch);
  SceneBatch out{vt::Tensor<float, vt::dyn, 3, vt::dyn, vt::dyn>({count, 3, size, size}),
                 std::vector<float>(count * scene_targets), std::vector<float>(count * tokens * scene_tissues)};
  executor_.run(count, [&](std::size_t i) {
    sample(step * count + i, size, patch, out.pixels.data() + i * 3 * size * size,
           out.picture.data() + i * scene_targets, out.patches.data() + i * tokens * scene_tissues);
  });
  return out;
}

}  // namespace support
