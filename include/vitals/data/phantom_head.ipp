// Implementation of phantom_head.hpp.
//
// Head coordinates (u, v): u right, v down, the head about -1 to 1. `r` is 1 on the surface of the skin and 0 in the middle.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>

#include <vitals/core/error.hpp>
#include <vitals/core/rng.hpp>
#include <vitals/data/phantom_drawing.hpp>
#include <vitals/data/phantom_head.hpp>

namespace vitals::inline v0::phantom {

namespace detail {

/// The shape of one patient's head in one plane.
struct HeadShape {
  HeadPlane plane;
  double wide, high, power, egg, skull, scalp, ventricle, ventricle_wide, base, folds, face_tilt;
  std::array<double, 4> wave{}, phase{};

  HeadShape(HeadPlane p, Rng& rng) : plane(p) {
    const auto between = [&](double low, double high_) { return low + (high_ - low) * rng.uniform(); };
    wide = p == HeadPlane::sagittal ? between(0.84, 0.95) : between(0.66, 0.78);
    high = p == HeadPlane::axial ? between(0.80, 0.93) : between(0.72, 0.84);
    power = between(1.9, 2.5);
    egg = between(-0.10, 0.06);
    scalp = between(0.035, 0.075);
    skull = between(0.05, 0.085);
    ventricle = between(0.10, 0.24);
    ventricle_wide = between(0.035, 0.085);
    base = between(0.42, 0.58);  // v of the skull base beside the middle
    folds = between(14, 22);
    face_tilt = between(-0.15, 0.15);
    for (std::size_t i = 0; i < wave.size(); ++i) wave[i] = 0.008 * rng.normal(), phase[i] = between(0, 6.28);
  }
  double radius(double u, double v) const {
    const double x = std::abs(u / (wide * (1 + egg * v))), y = std::abs(v / high);
    const double r = std::pow(std::pow(x, power) + std::pow(y, power), 1 / power);
    const double angle = std::atan2(v, u);
    double bumps = 1;
    for (std::size_t i = 0; i < wave.size(); ++i)
      bumps += wave[i] * std::cos(static_cast<double>(i + 2) * angle + phase[i]);
    return r / bumps;
  }
  /// Below this line lie skull base and face; nothing does in an axial slice.
  double floor(double u) const {
    if (plane == HeadPlane::axial) return 2;
    if (plane == HeadPlane::coronal) return base + 0.10 * std::cos(5 * u);
    return base + 0.22 * ramp(0.0, 0.6, u) - 0.16 * ramp(0.0, -0.7, u);  // forehead left, back of the head right
  }
};

/// One mass and the swelling around it.
struct Mass {
  Tumour kind = Tumour::none;
  Point at;
  double radius = 0, stretch = 1, turn = 0, lobes = 3, phase = 0, rough = 0, rim = 0.2, brightness = 1, middle = 0.3,
         swelling = 0;
  /// 1 on its surface, 0 in its middle.
  double distance(double u, double v) const {
    const double c = std::cos(turn), s = std::sin(turn), x = c * (u - at.u) + s * (v - at.v),
                 y = (c * (v - at.v) - s * (u - at.u)) * stretch;
    const double d = std::hypot(x, y) / radius;
    if (d > 4) return d;
    const double angle = std::atan2(y, x);
    return d / (1 + rough * std::cos(lobes * angle + phase) + 0.6 * rough * std::cos((2 * lobes + 1) * angle - phase));
  }
};

inline Mass place_mass(const HeadShape& shape, Tumour kind, Rng& rng) {
  const auto between = [&](double low, double high) { return low + (high - low) * rng.uniform(); };
  Mass m;
  m.kind = kind;
  m.radius = kind == Tumour::ring       ? between(0.13, 0.30)
             : kind == Tumour::attached ? between(0.10, 0.24)
                                        : between(0.07, 0.17);
  m.stretch = between(0.8, 1.3);
  m.turn = between(0, 3.14);
  m.lobes = 2 + static_cast<double>(rng.below(4));
  m.phase = between(0, 6.28);
  m.rough = kind == Tumour::ring ? between(0.03, 0.10) : between(0.0, 0.06);
  m.rim = between(0.14, 0.40);
  m.brightness = between(0.75, 1.0);
  m.middle = between(0.15, 0.5);
  m.swelling = kind == Tumour::ring ? between(0.2, 0.9) : kind == Tumour::attached ? between(-0.3, 0.5) : 0;
  const double inner = 1 - shape.scalp - shape.skull;
  const double back =
      shape.plane == HeadPlane::axial ? between(0, 6.28) : between(3.14 + 0.2, 6.28 - 0.2);  // above the base
  if (kind == Tumour::basal) {
    m.at = shape.plane == HeadPlane::axial     ? Point{0.03 * rng.normal(), between(-0.20, 0.02)}
           : shape.plane == HeadPlane::coronal ? Point{0.03 * rng.normal(), shape.floor(0) - 0.5 * m.radius}
                                               : Point{between(-0.22, -0.05), shape.floor(-0.12) - 0.5 * m.radius};
  } else {
    const double far = kind == Tumour::attached ? 1 : between(0.25, 0.62);
    const double du = std::cos(back), dv = std::sin(back);
    const double reach = inner * far / std::max(shape.radius(du, dv), 1e-3);
    const double pull = kind == Tumour::attached ? 0.75 * m.radius : 0;
    m.at = {du * (reach - pull), dv * (reach - pull)};
    if (kind == Tumour::attached && rng.uniform() < 0.2)
      m.at = {0.05 + m.radius * 0.6, between(-0.5, 0.2)};  // on the fissure
  }
  return m;
}

}  // namespace detail

VITALS_INLINE HeadSlice head(const HeadOptions& options) {
  using namespace detail;
  const std::size_t height = options.height, width = options.width;
  if (std::min(height, width) < 16 || std::max(height, width) > 4096)
    throw ArgumentError("[phantom] a slice of " + std::to_string(height) + " x " + std::to_string(width) + " pixels",
                        "", "sides from 16 to 4096 can be drawn");
  const auto plane_stream = static_cast<std::uint64_t>(options.plane) << 20;
  const std::uint64_t stream = (std::uint64_t{1} << 62) + (options.patient << 24) + plane_stream;
  Rng patient(options.seed, stream), lesion(options.seed, stream + 1),
      picture(options.seed, stream + 2 + options.slice);
  const HeadShape shape(options.plane, patient);
  const Texture folds(patient, 24), fine(patient, 64), face(patient, 13), coarse(picture, 4);
  Mass mass;
  if (options.tumour != Tumour::none) mass = place_mass(shape, options.tumour, lesion);

  const auto between = [&](double low, double high) { return low + (high - low) * picture.uniform(); };
  const double turn = 0.07 * picture.normal(), scale = between(0.92, 1.12), shift_u = 0.03 * picture.normal(),
               shift_v = 0.03 * picture.normal(), grey = between(0.34, 0.46), white = grey + between(0.04, 0.14),
               fluid = between(0.08, 0.20), skin = between(0.6, 1.0), bone = between(0.05, 0.16),
               shading = between(0, 0.25), noise = between(0.008, 0.03), blur = between(0.5, 1.1),
               gamma = between(0.8, 1.25),
               depth = between(0, 1);  // how deep the slice lies: ventricles and fissure show more or less
  const double c = std::cos(turn), s = std::sin(turn), unit = static_cast<double>(std::min(height, width)) / 2;
  const bool sagittal = options.plane == HeadPlane::sagittal;

  Plane plane(height, width);
  HeadSlice result{io::Image{}, Tensor<std::uint8_t, dyn, dyn>({height, width})};
  for (std::size_t y = 0; y < height; ++y)
    for (std::size_t x = 0; x < width; ++x) {
      const double px = (static_cast<double>(x) + 0.5 - static_cast<double>(width) / 2) / unit - shift_u,
                   py = (static_cast<double>(y) + 0.5 - static_cast<double>(height) / 2) / unit - shift_v;
      const double u = (c * px + s * py) / scale, v = (c * py - s * px) / scale;
      const double ts = (u + 1.1) / 2.2, tt = (v + 1.1) / 2.2;
      HeadTissue tissue = HeadTissue::outside;
      double value = 0.01;
      const double r = shape.radius(u, v), below = v - shape.floor(u);
      if (below > 0 && std::abs(u) < shape.wide * (sagittal ? 0.95 : 0.8) * (1.1 - 0.35 * below) && v < 1.05) {
        const double f =
            face.at(ts, tt) + 0.4 * fine.at(ts, tt) + shape.face_tilt;  // muscle, fat, and sinuses full of air
        value = f > 0.9 ? skin : f < -0.6 ? 0.05 : 0.30 + 0.12 * f;
        tissue = HeadTissue::face;
      } else if (r < 1) {
        const double in_skull = 1 - shape.scalp, inner = in_skull - shape.skull;
        if (r > in_skull) {
          value = skin * ramp(1.0, 0.985, r), tissue = HeadTissue::scalp;
        } else if (r > inner) {
          value = bone, tissue = HeadTissue::skull;
        } else {
          const double f = folds.at(ts, tt), g = fine.at(ts, tt);
          const double edge = (inner - r) / inner;  // 0 at the skull
          const double sulcus = ramp(0.10, 0.0, std::abs(f)) * ramp(0.42, 0.08, edge);
          const double cortex = ramp(0.30, 0.12, edge + 0.09 * f);
          value = grey * cortex + white * (1 - cortex) + 0.012 * g;
          tissue = cortex > 0.5 ? HeadTissue::grey_matter : HeadTissue::white_matter;
          value += (fluid - value) * 0.8 * sulcus;
          value += (fluid - value) * ramp(0.025, 0.008, edge);  // fluid under the skull
          double hollow = 0;
          if (!sagittal) {  // two horns beside the middle, and the fissure
            const double a = std::abs(u), bow = 0.10 + 0.28 * (v + 0.05) * (v + 0.05);
            hollow = ramp(1.15, 0.8,
                          std::hypot((a - bow) / shape.ventricle_wide, (v + 0.03) / (shape.ventricle * (0.6 + depth))));
            value += (fluid - value) * 0.85 * ramp(0.016, 0.006, a) * ramp(0.18, 0.32, std::abs(v + 0.03));
          } else {  // an arc under the corpus callosum, brain stem and cerebellum behind it
            const double arc = std::hypot(u, 1.25 * (v - 0.05));
            hollow = ramp(0.045, 0.02, std::abs(arc - 0.27)) * ramp(0.05, -0.05, v) * ramp(1.0, 0.3, depth);
            const double callosum = ramp(0.055, 0.03, std::abs(arc - 0.34)) * ramp(0.05, -0.05, v);
            value += (white + 0.12 - value) * callosum;
            const double leaves = std::hypot((u - 0.42) / 0.26, (v - 0.36) / 0.20);
            if (leaves < 1) value = grey + 0.06 * std::sin(70 * (v - 0.3 * u));
          }
          if (hollow > 0.5) tissue = HeadTissue::ventricle;
          value += (fluid - value) * hollow;
        }
      }
      if (mass.kind != Tumour::none && r < 1 - shape.scalp - 0.5 * shape.skull) {
        const double d = mass.distance(u, v) + (mass.kind == Tumour::ring ? 0.13 : 0.03) * folds.at(ts, tt);
        if (d < 1 + std::max(0.0, mass.swelling) && d >= 1 && tissue != HeadTissue::skull && mass.swelling > 0.05) {
          value += (0.62 * grey - value) * 0.8 * ramp(1 + mass.swelling, 1 + 0.6 * mass.swelling, d);
          tissue = HeadTissue::swelling;
        }
        if (d < 1.06) {
          double inside = mass.brightness * (1 + 0.05 * folds.at(ts, tt));
          if (mass.kind == Tumour::ring) {
            const double core = ramp(1 - mass.rim, 1 - 1.6 * mass.rim, d + 0.12 * folds.at(ts, tt));
            inside = inside * (1 - core) + (mass.middle * mass.brightness) * core;
          }
          value += (inside - value) * ramp(1.06, 0.96, d);
          if (d < 1) tissue = HeadTissue::tumour;
        }
      }
      plane(y, x) = static_cast<float>(value);
      result.tissue(y, x) = static_cast<std::uint8_t>(tissue);
    }
  plane.blur(blur);
  Tensor<std::uint8_t, dyn, dyn, dyn> pixels({height, width, 1});
  for (std::size_t y = 0; y < height; ++y)
    for (std::size_t x = 0; x < width; ++x) {
      const double coil = 1 + shading * 0.5 *
                                  coarse.at((static_cast<double>(x) + 0.5) / static_cast<double>(width),
                                            (static_cast<double>(y) + 0.5) / static_cast<double>(height));
      const double signal = std::pow(std::clamp(coil * static_cast<double>(plane(y, x)), 0.0, 1.2), gamma);
      const double seen =
          std::hypot(signal + noise * picture.normal(), noise * picture.normal());  // Rician, as of a magnitude
      pixels(y, x, 0) = static_cast<std::uint8_t>(std::clamp(235 * seen + 0.5, 0.0, 255.0));
    }
  result.image.pixels = std::move(pixels);
  return result;
}

}  // namespace vitals::inline v0::phantom
