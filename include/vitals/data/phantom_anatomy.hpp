// The anatomy behind phantom.hpp: shapes of one patient as functions of a place, for phantom.ipp.
//
// Patient coordinates (u, v): u to the right of the film (the patient's left), v down, the film about -1 to 1 in both.
// `a` is |u|, the distance from the midline. Attenuation is in units of the whole chest without air.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include <vitals/core/rng.hpp>

namespace vitals::inline v0::phantom::detail {

/// 0 below `from`, 1 above `to`, smooth between.
inline double ramp(double from, double to, double x) {
  const double t = std::clamp((x - from) / (to - from), 0.0, 1.0);
  return t * t * (3 - 2 * t);
}
inline double square(double x) { return x * x; }
/// A bell of height 1 at 0 and half-width about 1.
inline double bell(double x) { return x * x > 9 ? 0.0 : std::exp(-x * x); }

struct Point {
  double u = 0, v = 0;
};

/// A place in the chest and the borders at its height, worked out once for all that asks for them.
struct Place {
  double u = 0, v = 0, a = 0;
  std::size_t side = 0;
  double lateral = 0, medial = 0, diaphragm = 0, heart = 0, half_width = 0;
};

/// One side of the chest.
struct Side {
  double dome = 0.42;         ///< v of the diaphragm's highest place
  double dome_at = 0.33;      ///< its distance from the midline
  double angle_depth = 0.19;  ///< how much lower the costophrenic angle is
  double fluid = 0;           ///< height of an effusion above the angle; 0: none
};

/// Numbers that make one patient, drawn from the patient's own random sequence.
struct Anatomy {
  double lung_width, apex, wall, mediastinum;
  double heart_u, heart_v, heart_long, heart_short, heart_tilt;
  double knob, trachea_u, spine_curve, rib_first, rib_spacing, rib_slope, rib_half, rib_density, clavicle_v,
      clavicle_tilt;
  double breast, nipples, fat, bubble, scapula, shoulder;
  std::array<Side, 2> side;  ///< 0: the patient's right (left of the film), 1: left

  explicit Anatomy(Rng& rng) {
    const auto between = [&](double low, double high) { return low + (high - low) * rng.uniform(); };
    lung_width = between(0.31, 0.39);
    apex = between(-0.80, -0.70);
    wall = between(0.03, 0.11);
    mediastinum = between(0.115, 0.15);
    heart_u = between(0.09, 0.15);
    heart_v = between(0.25, 0.31);
    heart_long = between(0.30, 0.40);
    heart_short = between(0.22, 0.29);
    heart_tilt = between(0.45, 0.75);
    knob = between(0.075, 0.115);
    trachea_u = between(-0.035, 0.005);
    spine_curve = between(-0.03, 0.03);
    rib_first = between(-0.76, -0.70);
    rib_spacing = between(0.118, 0.138);
    rib_slope = between(0.07, 0.16);
    rib_half = between(0.021, 0.027);
    rib_density = between(0.75, 1.2);
    clavicle_v = between(-0.62, -0.54);
    clavicle_tilt = between(0.12, 0.34);
    breast = rng.uniform() < 0.45 ? between(0.05, 0.13) : 0.0;
    nipples = rng.uniform() < 0.35 ? between(0.05, 0.10) : 0.0;
    fat = between(0, 0.10);
    bubble = rng.uniform() < 0.7 ? between(0.15, 0.4) : 0.0;
    scapula = between(0.58, 0.70);
    shoulder = between(-0.86, -0.74);
    const double height = between(0.38, 0.50);
    for (auto& s : side) {
      s.dome = height + between(-0.02, 0.02);
      s.dome_at = between(0.28, 0.38);
      s.angle_depth = between(0.13, 0.23);
    }
    side[0].dome -= 0.03;
  }

  /// Distance of the lung's outer border from the midline; nothing above the apex.
  double lateral(double v) const {
    const double q = (0.22 - v) / (0.22 - apex);
    if (q >= 1) return 0;
    const double bow = q > 0 ? std::sqrt(1 - std::pow(q, 2.3)) : 1 - 0.18 * q * q;
    return 0.34 + lung_width * bow;
  }
  /// Distance of the lung's inner border from the midline (the mediastinum without the heart).
  double medial(double v, std::size_t s) const {
    const double q = std::clamp((-0.42 - v) / (-0.42 - apex), 0.0, 1.0);
    double m = 0.34 - (0.34 - mediastinum) * std::sqrt(1 - std::pow(q, 2.6));
    m += 0.02 * ramp(-0.4, 0.1, v);
    if (s == 0)
      m += 0.075 * bell((v - heart_v - 0.02) / 0.20);  // right atrium
    else {
      m = std::max(m, 0.055 + (knob + 0.02) * bell((v + 0.35) / (1.15 * knob)));  // aortic knob
      m += 0.055 * ramp(-0.24, -0.08, v) * ramp(0.35, 0.0, v);                    // pulmonary trunk
    }
    return m;
  }
  /// v of the diaphragm.
  double diaphragm(double a, std::size_t s) const {
    const Side& d = side[s];
    const double outer = 0.34 + lung_width;  // where the angle is
    const double t = a - d.dome_at;
    return d.dome + (t > 0 ? d.angle_depth * std::pow(t / (outer - d.dome_at), 2.4) : 0.55 * t * t);
  }
  /// v of the surface of an effusion: a meniscus that climbs along the chest wall.
  double fluid_surface(double a, std::size_t s) const {
    const Side& d = side[s];
    const double outer = 0.34 + lung_width, t = std::clamp(a / outer, 0.0, 1.1);
    return d.dome + d.angle_depth + 0.02 - d.fluid * (0.55 + 0.45 * t * t * t * t);
  }
  /// Inside the heart where below 1.
  double heart(double u, double v) const {
    const double c = std::cos(heart_tilt), s = std::sin(heart_tilt), x = u - heart_u;
    const double y = (v - heart_v) * (v > heart_v ? 0.72 : 1.0);  // it rests broadly on the diaphragm
    return square((c * x + s * y) / heart_long) + square((c * y - s * x) / heart_short);
  }
  Place place(double u, double v) const {
    const std::size_t s = u > 0;
    const double a = std::abs(u);
    return {u, v, a, s, lateral(v), medial(v, s), diaphragm(a, s), heart(u, v), body_half_width(v)};
  }
  /// How far inside the aerated lung a place is: about the distance to its nearest border, negative outside.
  double inside_lung(const Place& p) const {
    double inside = std::min({p.lateral - p.a, p.a - p.medial, p.diaphragm - p.v, 0.8 * (p.v - apex)});
    inside = std::min(inside, (std::sqrt(p.heart) - 1) * heart_short);
    if (side[p.side].fluid > 0) inside = std::min(inside, fluid_surface(p.a, p.side) - p.v);
    return inside;
  }

  double body_half_width(double v) const {
    const double neck = 0.25 + 0.05 * ramp(-0.95, -0.75, v);
    const double torso = 0.36 + lung_width + wall + 0.10 + 0.03 * std::cos(2.5 * (v - 0.1));
    return neck + (torso + 0.35 * bell((v - shoulder - 0.22) / 0.25) - neck) * ramp(shoulder - 0.16, shoulder + 0.2, v);
  }

  /// Soft tissue without bones: the whole chest, less the air of lungs, trachea and stomach.
  double soft_tissue(const Place& p) const {
    const auto& [u, v, a, s, lat, med, dia, h, half] = p;
    const double t = 1 - square(a / half);
    if (t <= 0) return 0;
    const double thick = std::pow(t, 0.3);
    double body = thick * std::sqrt(std::sqrt(std::sqrt(t)));
    body *= 0.80 + 0.20 * ramp(-1.0, -0.3, v) + 0.18 * fat;
    // Air: full inside, thinning towards the borders as the rounded lung does; sharpest at heart and diaphragm.
    const double wall_edge = 0.62 * ramp(0, 0.035, lat - a) + 0.38 * ramp(0, 0.30, lat - a);
    const double inner_edge = ramp(-0.012, 0.05, a - med);
    const double below = dia - v;
    const double floor_edge = 0.86 * ramp(-0.006, 0.016, below) + 0.14 * ramp(-0.09, 0.03, below);
    const double heart_edge = 0.10 + 0.90 * ramp(0.94, 1.10, h);
    double air = wall_edge * inner_edge * floor_edge * heart_edge * ramp(0, 0.16, v - apex);
    air *= 0.90 + 0.10 * ramp(0.3, -0.5, v);
    if (side[s].fluid > 0) air *= 1 - 0.93 * ramp(-0.035, 0.045, v - fluid_surface(a, s));
    double sum = body * (1 - 0.74 * air);
    sum += 0.20 * (1 - floor_edge) * ramp(0.0, 0.3, v) * thick;                      // liver, spleen
    if (h < 1) sum += 0.13 * std::sqrt(1 - h);                                       // heart
    sum += 0.10 * bell(a / (med + 0.02)) * ramp(-0.9, -0.5, v) * ramp(0.9, 0.4, v);  // mediastinum
    sum += 0.10 * bell((u - 0.10) / 0.035) * ramp(-0.30, -0.15, v);                  // descending aorta
    sum -= trachea(u, v);
    if (s == 1 && bubble > 0) {  // stomach bubble
      const double r = square((u - side[1].dome_at + 0.04) / 0.13) + square((v - dia - 0.07) / 0.05);
      sum -= bubble * ramp(1.15, 0.75, r) * thick;
    }
    if (breast > 0) {
      const double r = square((a - 0.43) / 0.29) + square((v - 0.30) / (v > 0.30 ? 0.23 : 0.46));
      sum += breast * ramp(1.06, 0.80, r) * (0.6 + 0.4 * std::sqrt(std::min(r, 1.0)));
    }
    if (nipples > 0) sum += nipples * ramp(1.2, 0.7, std::hypot(a - 0.44, v - 0.36) / 0.026);
    return std::max(sum, 0.0);
  }

  double trachea(double u, double v) const {
    const double at = trachea_u + 0.03 * ramp(-0.6, -0.2, v);
    double air = 0.20 * ramp(0.042, 0.026, std::abs(u - at)) * ramp(-0.20, -0.25, v) * ramp(-1.1, -0.9, v);
    for (const double s : {-1.0, 1.0}) {  // main bronchi
      const double along = (v + 0.235) / (s < 0 ? 0.20 : 0.17);
      if (along > 0 && along < 1.2)
        air = std::max(air, 0.12 * ramp(0.034, 0.016, std::abs(u - at - s * (s < 0 ? 0.12 : 0.16) * along)) *
                                ramp(1.2, 0.7, along));
    }
    return air;
  }

  /// Cross-section of a bone: dense at its two edges. `d` in half-widths.
  static double cortical(double d) {
    d = std::abs(d);
    return d > 1.3 ? 0.0 : 0.62 * ramp(1.15, 0.75, d) + 0.38 * bell((d - 0.80) / 0.24);
  }

  double bones(const Place& p) const {
    const double u = p.u, v = p.v, a = p.a;
    if (a > p.half_width) return 0;
    double sum = 0;
    // Spine: vertebral bodies, discs between, spinous processes.
    const double middle = spine_curve * std::sin(2.2 * v), x = std::abs(u - middle);
    const double beat = std::cos((v - 0.02 * v * v) * 6.283185307179586 / 0.108);
    const double half = 0.074 + 0.02 * ramp(-0.5, 0.7, v) + 0.006 * beat;
    sum += ramp(half + 0.012, half - 0.022, x) * (0.15 + 0.045 * ramp(-0.5, 0.4, beat));
    sum += 0.06 * bell((x - 0.55 * half) / 0.018) * bell((beat - 0.9) / 0.5);
    sum += 0.05 * bell(x / 0.014) * bell((beat + 0.7) / 0.4);
    sum += ribs(a, v, v > apex + 0.02 ? p.lateral : lateral(apex + 0.02));
    // Clavicle: an S from the breastbone to the shoulder.
    const double along = (a - 0.055) / 0.80;
    if (along > -0.04 && along < 1.1) {
      const double line =
          clavicle_v - clavicle_tilt * (a - 0.055) * (0.35 + 0.65 * along) + 0.035 * std::sin(7.0 * along);
      const double width = 0.027 + 0.016 * bell(along / 0.10) + 0.008 * bell((along - 1) / 0.2);
      sum += 0.21 * cortical((v - line) / width) * ramp(-0.04, 0.01, along);
    }
    // Shoulder blade: a faint plate with a denser border; head of the upper arm.
    const double edge = scapula + 0.10 * (v + 0.55), plate = a - edge;
    sum += (0.055 * ramp(0, 0.02, plate) + 0.055 * bell((plate - 0.02) / 0.018)) * ramp(-0.74, -0.62, v) *
           ramp(0.02, -0.10, v);
    // Upper arm: head and shaft.
    const double head = std::hypot(a - 1.0, v - shoulder - 0.13) / 0.13;
    const double shaft = std::abs(a - 1.03 - 0.25 * (v - shoulder - 0.13)) / 0.06;
    sum += 0.14 * std::max(ramp(1.12, 0.78, head) + 0.3 * bell((head - 0.92) / 0.10),
                           (ramp(1.1, 0.85, shaft) + 0.3 * bell((shaft - 0.85) / 0.2)) *
                               ramp(shoulder + 0.1, shoulder + 0.2, v));
    return sum;
  }

  double ribs(double a, double v, double lung) const {
    double sum = 0;
    const double outer = lung + 0.030;
    const double end_on = 1 + 0.7 * ramp(outer - 0.11, outer - 0.02, a);  // along the wall a rib is seen on end
    const double within = ramp(outer + 0.012, outer - 0.006, a);
    if (within == 0) return 0;
    for (int i = 0; i < 10; ++i) {
      const double first = rib_first + rib_spacing * i, t = a / (0.34 + lung_width);
      const double slope = rib_slope + 0.016 * i;
      const double line =
          first - 0.035 * std::sin(std::min(3.0 * t, 1.5708)) + slope * t * t + 0.07 * ramp(0.82, 1.05, t);
      const double width = rib_half * (0.85 + 0.25 * t);
      const double d = (v - line) / width;
      if (d > -1.4 && d < 1.4)
        sum += 0.125 * rib_density * cortical(d) * end_on * within * ramp(0.05, 0.10, a) * (i > 8 ? 0.7 : 1.0);
      if (i > 6) continue;
      // The front part of the same rib: from the wall down and inwards, fading into its cartilage.
      const double from = first + slope + 0.065, back = (outer - a) / 0.55;
      const double front = from + (0.20 + 0.012 * i) * std::pow(std::max(back, 0.0), 0.85);
      const double e = (v - front) / (1.15 * rib_half);
      if (e > -1.4 && e < 1.4 && back >= -0.05)
        sum += 0.082 * rib_density * cortical(e) * within * ramp(0.86, 0.55, back);
    }
    return sum;
  }
};

}  // namespace vitals::inline v0::phantom::detail
