// From where a resized axis takes its numbers, as PyTorch's interpolate does it (without antialiasing): output i is the sum of
// weight[k] times input index[k]. With s = in / out:
//
//   bilinear          place (i + 1/2) s - 1/2, not below 0; the two neighbours
//   bilinear_aligned  place i (in - 1) / (out - 1): the corners meet (align_corners = True)
//   bicubic           place (i + 1/2) s - 1/2; four neighbours, those outside are the border's; a = -0.75
//   nearest_exact     floor((i + 1/2) s)
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace vitals::inline v0::backend {

enum class Resize { bilinear, bilinear_aligned, bicubic, nearest_exact };

/// Lists of one axis: those of output (or, turned round, input) i stand at start[i] .. start[i + 1].
template <class T>
struct Taps {
  std::size_t in = 0, out = 0;
  std::vector<std::size_t> start, index;
  std::vector<T> weight;

  std::size_t count(std::size_t i) const { return start[i + 1] - start[i]; }
};

template <class T>
Taps<T> resize_taps(std::size_t in, std::size_t out, Resize rule) {
  Taps<T> taps{in, out, {0}, {}, {}};
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const auto put = [&](double index, double weight) {
    taps.index.push_back(static_cast<std::size_t>(std::clamp(index, 0.0, static_cast<double>(in - 1))));
    taps.weight.push_back(static_cast<T>(weight));
  };
  for (std::size_t i = 0; i < out; ++i) {
    double at = (static_cast<double>(i) + 0.5) * scale - 0.5;
    if (rule == Resize::nearest_exact) {
      put(std::floor(at + 0.5), 1);
    } else if (rule == Resize::bicubic) {
      const double a = -0.75, first = std::floor(at), t = at - first;
      const auto near = [&](double x) { return ((a + 2) * x - (a + 3)) * x * x + 1; };
      const auto far = [&](double x) { return (((x - 5) * x + 8) * x - 4) * a; };
      put(first - 1, far(t + 1));
      put(first, near(t));
      put(first + 1, near(1 - t));
      put(first + 2, far(2 - t));
    } else {
      if (rule == Resize::bilinear_aligned)
        at = out > 1 ? static_cast<double>(i) * static_cast<double>(in - 1) / static_cast<double>(out - 1) : 0;
      const double first = std::floor(std::max(at, 0.0)), t = std::max(at, 0.0) - first;
      put(first, 1 - t);
      put(first + 1, t);
    }
    taps.start.push_back(taps.index.size());
  }
  return taps;
}

/// The same lists from the other side: of every input, the outputs that take from it, in their order.
template <class T>
Taps<T> turned_round(const Taps<T>& taps) {
  Taps<T> back{taps.out, taps.in, std::vector<std::size_t>(taps.in + 1, 0), {}, {}};
  for (auto i : taps.index) ++back.start[i + 1];
  for (std::size_t i = 0; i < taps.in; ++i) back.start[i + 1] += back.start[i];
  back.index.resize(taps.index.size());
  back.weight.resize(taps.index.size());
  auto next = back.start;
  for (std::size_t o = 0; o < taps.out; ++o)
    for (std::size_t k = taps.start[o]; k < taps.start[o + 1]; ++k) {
      const std::size_t at = next[taps.index[k]]++;
      back.index[at] = o;
      back.weight[at] = taps.weight[k];
    }
  return back;
}

}  // namespace vitals::inline v0::backend
