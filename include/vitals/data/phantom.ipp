// Implementation of phantom.hpp: one film from an anatomy (phantom_anatomy.hpp).
#pragma once

#include <algorithm>
#include <cmath>
#include <string>

#include <vitals/core/error.hpp>
#include <vitals/core/rng.hpp>
#include <vitals/data/phantom.hpp>
#include <vitals/data/phantom_anatomy.hpp>
#include <vitals/data/phantom_drawing.hpp>

namespace vitals::inline v0::phantom {

namespace detail {

/// How the patient stands before the film, and what the machine makes of it.
struct Pose {
  double turn, scale, shift_u, shift_v, breath, gain, offset, gamma, noise, haze, tilt_exposure;
  std::array<double, 4> collimation{};  // left, right, top, bottom: black beyond
  Point marker;
  bool has_marker;

  explicit Pose(Rng& rng) {
    const auto between = [&](double low, double high) { return low + (high - low) * rng.uniform(); };
    turn = 0.03 * rng.normal();
    scale = between(1.00, 1.15);
    shift_u = 0.03 * rng.normal();
    shift_v = 0.03 * rng.normal();
    breath = between(-0.04, 0.03);
    gain = between(0.86, 1.12);
    offset = between(-0.05, 0.05);
    gamma = between(0.85, 1.55);
    noise = between(0.008, 0.024);
    haze = between(0.02, 0.12);
    tilt_exposure = between(-0.07, 0.07);
    for (double& edge : collimation) edge = rng.uniform() < 0.25 ? between(0.0, 0.09) : -1.0;
    has_marker = rng.uniform() < 0.75;
    marker = {between(-0.90, -0.78), between(-0.55, -0.30)};
    if (rng.uniform() < 0.5) marker.v = between(-0.90, -0.82);
  }
};

/// From patient to film and back.
struct View {
  const Pose& pose;
  double height, width, c, s;
  View(const Pose& p, std::size_t h, std::size_t w)
      : pose(p),
        height(static_cast<double>(h)),
        width(static_cast<double>(w)),
        c(std::cos(p.turn)),
        s(std::sin(p.turn)) {}
  double unit() const { return std::min(height, width) / 2; }  ///< pixels of a length of 1 on the film
  Point patient(double row, double column) const {
    const double x = (column + 0.5 - width / 2) / unit() - pose.shift_u,
                 y = (row + 0.5 - height / 2) / unit() - pose.shift_v;
    return {(c * x + s * y) / pose.scale, (c * y - s * x) / pose.scale};
  }
  Point film(Point p) const {  ///< u: column, v: row
    const double x = pose.scale * (c * p.u - s * p.v) + pose.shift_u,
                 y = pose.scale * (s * p.u + c * p.v) + pose.shift_v;
    return {x * unit() + width / 2 - 0.5, y * unit() + height / 2 - 0.5};
  }
};

/// Draws a tapering stroke; where strokes meet, the stronger one stands.
inline void stroke(Plane& plane, const View& view, Point from, Point to, double half_from, double half_to,
                   double depth_from, double depth_to) {
  const Point p = view.film(from), q = view.film(to);
  const double unit = view.unit() * view.pose.scale, reach = 1.5 * unit * std::max(half_from, half_to) + 1.5;
  const double du = q.u - p.u, dv = q.v - p.v, length2 = std::max(du * du + dv * dv, 1e-9);
  const auto low = [&](double a, double b) {
    return static_cast<std::size_t>(std::max(0.0, std::floor(std::min(a, b) - reach)));
  };
  const auto high = [&](double a, double b, std::size_t n) {
    return static_cast<std::size_t>(std::clamp(std::ceil(std::max(a, b) + reach), 0.0, static_cast<double>(n)));
  };
  for (std::size_t y = low(p.v, q.v); y < high(p.v, q.v, plane.height); ++y)
    for (std::size_t x = low(p.u, q.u); x < high(p.u, q.u, plane.width); ++x) {
      const double px = static_cast<double>(x) - p.u, py = static_cast<double>(y) - p.v;
      const double t = std::clamp((px * du + py * dv) / length2, 0.0, 1.0);
      const double d = std::hypot(px - t * du, py - t * dv), half = unit * (half_from + t * (half_to - half_from));
      const double value = (depth_from + t * (depth_to - depth_from)) * ramp(half + 0.6, std::max(0.0, half - 0.9), d);
      plane(y, x) = std::max(plane(y, x), static_cast<float>(value));
    }
}

/// Lung vessels: from each hilum outwards, branching and thinning.
inline void draw_vessels(Plane& plane, const View& view, const Anatomy& anatomy, Rng rng) {
  for (std::size_t s = 0; s < 2; ++s) {
    const double sign = s ? 1 : -1;
    const Point hilum{sign * (anatomy.mediastinum + 0.045), s ? -0.07 : -0.03};
    for (int trunk = 0; trunk < 16; ++trunk) {
      const double spread = (trunk + 0.5 + 0.6 * rng.normal()) / 16;
      const double angle = -1.45 + 3.0 * spread + 0.2 * rng.normal();  // from up to down, outwards
      const double half = 0.013 + 0.006 * rng.uniform(), depth = 0.09 + 0.05 * rng.uniform();
      const Point at{hilum.u + sign * 0.035 * rng.normal(), hilum.v + 0.16 * (spread - 0.5) * 2 + 0.03 * rng.normal()};
      std::vector<std::array<double, 5>> open{{at.u, at.v, angle, half, depth}};
      for (int branches = 0; !open.empty() && branches < 7; ++branches) {
        auto [u, v, direction, width, dense] = open.back();
        open.pop_back();
        for (int step = 0; step < 12 && width > 0.0016; ++step) {
          direction += 0.24 * rng.normal();
          const Point from{u, v}, to{u + sign * 0.052 * std::cos(direction), v + 0.052 * std::sin(direction)};
          if (anatomy.inside_lung(anatomy.place(to.u, to.v)) < 0.012 && step > 2) break;
          const double thinner = width * 0.84, fainter = dense * 0.86;
          stroke(plane, view, from, to, width, thinner, dense, fainter);
          u = to.u, v = to.v, width = thinner, dense = fainter;
          if (rng.uniform() < 0.32)
            open.push_back({u, v, direction + (rng.uniform() < 0.5 ? -0.6 : 0.6), 0.75 * width, 0.85 * dense});
        }
      }
    }
    for (int i = 0; i < 5; ++i) {  // vessels seen end-on
      const Point p{hilum.u + sign * (0.03 + 0.12 * rng.uniform()), hilum.v + 0.14 * rng.normal()};
      const double half = 0.008 + 0.008 * rng.uniform();
      if (anatomy.inside_lung(anatomy.place(p.u, p.v)) > 0.01) stroke(plane, view, p, p, half, half, 0.14, 0.14);
    }
  }
}

/// The letter R that a radiographer lays on the patient's right.
inline void draw_marker(Plane& plane, const View& view, Point at) {
  const std::array<std::array<double, 4>, 6> lines{{{0, 0, 0, 1},
                                                    {0, 0, 0.45, 0},
                                                    {0.45, 0, 0.6, 0.24},
                                                    {0.6, 0.24, 0.45, 0.5},
                                                    {0.45, 0.5, 0, 0.5},
                                                    {0.25, 0.5, 0.65, 1}}};
  for (const auto& [x0, y0, x1, y1] : lines)
    stroke(plane, view, {at.u + 0.085 * x0, at.v + 0.085 * y0}, {at.u + 0.085 * x1, at.v + 0.085 * y1}, 0.0075, 0.0075,
           1, 1);
}

/// A nodule in patient coordinates.
struct Nodule {
  Point at;
  double radius = 0, depth = 0, lobes = 0, phase = 0;
  double value(double u, double v) const {
    const double x = u - at.u, y = v - at.v, d = std::hypot(x, y);
    if (radius == 0 || d > 1.5 * radius) return 0;
    const double r = radius * (1 + 0.06 * std::cos(lobes * std::atan2(y, x) + phase));
    return depth * (0.55 * ramp(1.12, 0.62, d / r) + 0.45 * std::sqrt(std::max(0.0, 1 - square(d / r))));
  }
};

inline Nodule place_nodule(const Anatomy& anatomy, Rng& rng) {
  Nodule nodule;
  nodule.radius = 0.045 + 0.075 * rng.uniform();
  nodule.depth = 0.16 + 0.20 * rng.uniform();
  nodule.lobes = 2 + static_cast<double>(rng.below(4));
  nodule.phase = 6.28 * rng.uniform();
  double best = -1;
  for (int i = 0; i < 400 && best < nodule.radius; ++i) {  // the first place with room enough, or the roomiest
    const Point p{1.5 * rng.uniform() - 0.75, 1.4 * rng.uniform() - 0.75};
    const double room = anatomy.inside_lung(anatomy.place(p.u, p.v));
    if (room > best) best = room, nodule.at = p;
  }
  return nodule;
}

/// Clouds of consolidation in patient coordinates.
struct Clouds {
  struct Cloud {
    Point at;
    double radius, depth;
  };
  std::vector<Cloud> clouds;
  /// `texture` of about -1 to 1 makes them uneven.
  double value(double u, double v, double texture) const {
    double sum = 0;
    for (const Cloud& c : clouds) sum += c.depth * bell(0.8 * std::hypot(u - c.at.u, v - c.at.v) / c.radius);
    return std::min(sum, 0.6) * std::clamp(0.85 + 0.3 * texture, 0.2, 1.4);
  }
};

inline Clouds place_clouds(const Anatomy& anatomy, Rng& rng) {
  Clouds out;
  const std::size_t count = 1 + rng.below(4);
  const bool both_sides = rng.uniform() < 0.5;
  const double severity = 0.16 + 0.30 * rng.uniform();
  double side = rng.uniform() < 0.5 ? -1 : 1;
  for (std::size_t i = 0; i < count; ++i) {
    Point at;
    for (int tries = 0; tries < 60; ++tries) {
      at = {side * (0.12 + 0.55 * rng.uniform()), 1.1 * rng.uniform() - 0.6};
      if (anatomy.inside_lung(anatomy.place(at.u, at.v)) > 0.02) break;
    }
    out.clouds.push_back({at, 0.11 + 0.20 * rng.uniform(), severity * (0.7 + 0.6 * rng.uniform())});
    if (both_sides) side = -side;
  }
  std::stable_sort(out.clouds.begin(), out.clouds.end(), [](auto& a, auto& b) { return a.radius > b.radius; });
  return out;
}

}  // namespace detail

VITALS_INLINE const char* name(Finding finding) {
  constexpr const char* names[] = {"nodule", "effusion", "consolidation", "cardiomegaly"};
  return names[static_cast<std::size_t>(finding)];
}

VITALS_INLINE Film chest(const Options& options) {
  using namespace detail;
  const std::size_t height = options.height, width = options.width;
  if (std::min(height, width) < 16 || std::max(height, width) > 4096)
    throw ArgumentError("[phantom] a film of " + std::to_string(height) + " x " + std::to_string(width) + " pixels", "",
                        "sides from 16 to 4096 can be drawn");
  const auto asked = [&](Finding f) { return std::count(options.findings.begin(), options.findings.end(), f); };
  if (std::any_of(options.findings.begin(), options.findings.end(), [&](Finding f) { return asked(f) > 1; }))
    throw ArgumentError("[phantom] the same finding twice", "", "a film shows each finding at most once");

  // Three sequences: the patient, the findings (so that anatomy does not depend on them), and this film.
  Rng patient(options.seed, options.patient << 24), lesions(options.seed, (options.patient << 24) + 1);
  Rng film(options.seed, (options.patient << 24) + 2 + options.film);
  Anatomy anatomy(patient);
  const Pose pose(film);
  for (auto& side : anatomy.side) side.dome += pose.breath;
  const std::size_t wet = lesions.below(2);
  const double severity = lesions.uniform(), fluid = 0.14 + 0.62 * severity * severity;
  if (asked(Finding::effusion)) anatomy.side[wet].fluid = fluid;
  Nodule nodule = place_nodule(anatomy, lesions);
  if (!asked(Finding::nodule)) nodule.radius = 0;
  Clouds clouds = place_clouds(anatomy, lesions);
  if (!asked(Finding::consolidation)) clouds.clouds.clear();
  if (asked(Finding::cardiomegaly)) {
    const double larger = 1.25 + 0.35 * lesions.uniform();
    anatomy.heart_long *= larger, anatomy.heart_short *= larger;
  }

  const View view(pose, height, width);
  Plane vessels(height, width), letter(height, width), total(height, width);
  draw_vessels(vessels, view, anatomy, patient);
  if (pose.has_marker) draw_marker(letter, view, pose.marker);
  const Texture coarse(film, 7), middle(patient, 26), fine(patient, 70);
  Film result{io::Image{},
              {},
              Tensor<std::uint8_t, dyn, dyn>({height, width}),
              Tensor<std::uint8_t, dyn, dyn>({height, width})};
  double fluid_row = 0, fluid_column = 0, fluid_pixels = 0, fluid_top = static_cast<double>(height), fluid_bottom = 0;
  for (std::size_t y = 0; y < height; ++y)
    for (std::size_t x = 0; x < width; ++x) {
      const auto row = static_cast<double>(y), column = static_cast<double>(x);
      const auto [u, v] = view.patient(row, column);
      const Place place = anatomy.place(u, v);
      const double inside = anatomy.inside_lung(place), lung = ramp(-0.01, 0.03, inside);
      const double soft = anatomy.soft_tissue(place);
      const double texture =
          middle.at((u + 1.2) / 2.4, (v + 1.2) / 2.4) + 0.8 * fine.at((u + 1.2) / 2.4, (v + 1.2) / 2.4);
      double sum = soft + (soft > 0 ? anatomy.bones(place) : 0.0);
      sum += lung * (vessels(y, x) + 0.013 * texture) + (soft > 0 ? 0.010 * texture : 0.0);
      for (const double sign : {-1.0, 1.0})  // hila
        sum += 0.21 *
               bell(std::hypot((u - sign * (anatomy.mediastinum + 0.055)) / 0.060,
                               (v - (sign > 0 ? -0.08 : -0.03)) / 0.095)) *
               lung;
      sum += nodule.value(u, v);
      const double cloud = clouds.clouds.empty() ? 0 : lung * clouds.value(u, v, texture);
      sum += cloud;
      total(y, x) = static_cast<float>(sum);
      if (inside > 0) result.lungs(y, x) = place.side == 1 ? 1 : 2;
      Tissue tissue = soft <= 0 ? Tissue::outside : v > place.diaphragm ? Tissue::abdomen : Tissue::body;
      if (place.heart < 1 && v < place.diaphragm) tissue = Tissue::heart;
      if (inside > 0) tissue = cloud > 0.08 ? Tissue::consolidation : Tissue::lung;
      if (nodule.radius > 0 && std::hypot(u - nodule.at.u, v - nodule.at.v) < nodule.radius) tissue = Tissue::nodule;
      if (anatomy.side[place.side].fluid > 0 && v > anatomy.fluid_surface(place.a, place.side) && v < place.diaphragm &&
          place.a < place.lateral && place.a > place.medial && place.heart > 1) {
        tissue = Tissue::effusion;
        fluid_row += row, fluid_column += column, fluid_pixels += 1;
        fluid_top = std::min(fluid_top, row), fluid_bottom = std::max(fluid_bottom, row);
      }
      result.tissue(y, x) = static_cast<std::uint8_t>(tissue);
    }
  for (const Finding finding : options.findings) {
    if (finding == Finding::nodule) {
      const Point p = view.film(nodule.at);
      result.findings.push_back({finding, p.v, p.u, nodule.radius * pose.scale * view.unit()});
    } else if (finding == Finding::consolidation) {
      const auto& largest = clouds.clouds.front();
      const Point p = view.film(largest.at);
      result.findings.push_back({finding, p.v, p.u, largest.radius * pose.scale * view.unit()});
    } else if (finding == Finding::cardiomegaly) {
      const Point p = view.film({anatomy.heart_u, anatomy.heart_v});
      result.findings.push_back({finding, p.v, p.u, anatomy.heart_long * pose.scale * view.unit()});
    } else {
      const double n = std::max(fluid_pixels, 1.0);
      result.findings.push_back(
          {finding, fluid_row / n, fluid_column / n, std::max(0.0, (fluid_bottom - fluid_top) / 2)});
    }
  }

  Plane haze = total;  // scattered radiation: a wide blur that lifts the dark parts
  haze.blur(0.06 * view.unit());
  total.blur(std::max(0.45, 0.006 * view.unit()));
  Plane grain(height, width);
  for (float& g : grain.values) g = static_cast<float>(film.normal());
  Plane soft_grain = grain;
  soft_grain.blur(0.8);
  Tensor<std::uint8_t, dyn, dyn, dyn> pixels({height, width, 1});
  for (std::size_t y = 0; y < height; ++y)
    for (std::size_t x = 0; x < width; ++x) {
      const double across = (static_cast<double>(x) + 0.5) / static_cast<double>(width),
                   down = (static_cast<double>(y) + 0.5) / static_cast<double>(height);
      const double seen = (1 - pose.haze) * total(y, x) + pose.haze * haze(y, x);
      double tone = pose.gain * (1 - std::exp(-0.95 * seen)) / (1 - std::exp(-0.95 * 1.55)) + pose.offset;
      tone += pose.tilt_exposure * (across - 0.5) + 0.012 * coarse.at(across, down);
      tone = std::pow(std::clamp(tone, 0.0, 1.0), pose.gamma);
      tone += pose.noise * (0.5 + seen) * (0.6 * grain(y, x) + 1.2 * soft_grain(y, x));  // denser: fewer photons
      if (letter(y, x) > 0) tone += (0.95 - tone) * letter(y, x);
      const auto& [left, right, top, bottom] = pose.collimation;
      if (across < left || 1 - across < right || down < top || 1 - down < bottom)
        tone = 0.02 + 0.3 * pose.noise * grain(y, x), result.tissue(y, x) = 0;
      pixels(y, x, 0) = static_cast<std::uint8_t>(std::clamp(255 * tone + 0.5, 0.0, 255.0));
    }
  result.image.pixels = std::move(pixels);
  return result;
}

}  // namespace vitals::inline v0::phantom
