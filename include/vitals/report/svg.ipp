// Implementation of svg.hpp.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include <vitals/core/error.hpp>
#include <vitals/report/svg.hpp>
#include <vitals/report/text.hpp>

namespace vitals::inline v0::report {

namespace detail {

inline constexpr std::array<const char*, 7> svg_colours{"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                                        "#e69f00", "#56b4e9", "#555555"};
inline const char* svg_colour(std::size_t i) { return svg_colours[i % svg_colours.size()]; }

// One drawing. Coordinates are pixels from the upper left corner.
class Svg {
 public:
  Svg(double width, double height) {
    text_ = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + fixed(width, 0) + "\" height=\"" + fixed(height, 0) +
            "\" viewBox=\"0 0 " + fixed(width, 0) + " " + fixed(height, 0) +
            "\" font-family=\"DejaVu Sans, Helvetica, Arial, sans-serif\" font-size=\"13\" fill=\"#222222\">\n" +
            "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n";
  }
  void line(double x1, double y1, double x2, double y2, const char* colour, double width, const char* dash = "") {
    text_ += "<line x1=\"" + fixed(x1, 2) + "\" y1=\"" + fixed(y1, 2) + "\" x2=\"" + fixed(x2, 2) + "\" y2=\"" +
             fixed(y2, 2) + "\" stroke=\"" + colour + "\" stroke-width=\"" + fixed(width, 1) + "\"" +
             (*dash ? " stroke-dasharray=\"" + std::string(dash) + "\"" : "") + "/>\n";
  }
  void polyline(const std::vector<std::pair<double, double>>& points, const char* colour) {
    text_ += "<polyline fill=\"none\" stroke=\"" + std::string(colour) +
             "\" stroke-width=\"2\" stroke-linejoin=\"round\" points=\"";
    for (std::size_t i = 0; i < points.size(); ++i)
      text_ += (i ? " " : "") + fixed(points[i].first, 2) + "," + fixed(points[i].second, 2);
    text_ += "\"/>\n";
  }
  void dot(double x, double y, const char* colour) {
    text_ += "<circle cx=\"" + fixed(x, 2) + "\" cy=\"" + fixed(y, 2) + "\" r=\"4\" fill=\"" + colour + "\"/>\n";
  }
  /// anchor: "start", "middle" or "end"; y is the base line.
  void words(double x, double y, const std::string& words, const char* anchor, const char* extra = "") {
    text_ += "<text x=\"" + fixed(x, 2) + "\" y=\"" + fixed(y, 2) + "\" text-anchor=\"" + anchor + "\"" +
             (*extra ? " " + std::string(extra) : "") + ">" + xml_escape(words) + "</text>\n";
  }
  std::string done() { return text_ + "</svg>\n"; }

 private:
  std::string text_;
};

inline double width_of_words(const std::string& text) { return 7.9 * static_cast<double>(display_width(text)); }

// A round step that gives about five ticks over `span`.
inline double tick_step(double span) {
  const double raw = span / 5, power = std::pow(10.0, std::floor(std::log10(raw)));
  for (double factor : {1.0, 2.0, 5.0})
    if (raw <= factor * power * 1.0001) return factor * power;
  return 10 * power;
}

// The legend: coloured strokes with names, from (x, y) down.
inline void legend(Svg& svg, double x, double y, const std::vector<std::string>& names) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    const double line = y + 20 * static_cast<double>(i);
    svg.line(x, line - 4, x + 22, line - 4, svg_colour(i), 2);
    svg.words(x + 30, line, names[i], "start");
  }
}

}  // namespace detail

VITALS_INLINE std::string roc_svg(const std::string& title,
                                  const std::vector<std::pair<std::string, metrics::Curve>>& curves) {
  constexpr double left = 70, top = 50, side = 400;
  std::vector<std::string> names;
  double widest = 0;
  for (const auto& [name, curve] : curves) {
    names.push_back(curve.undefined.empty() ? name : name + " (not defined: " + curve.undefined + ")");
    widest = std::max(widest, detail::width_of_words(names.back()));
  }
  detail::Svg svg(left + side + 70 + widest, top + side + 60);
  const auto x = [&](double v) { return left + side * v; };
  const auto y = [&](double v) { return top + side * (1 - v); };
  svg.words(left, 30, title, "start", "font-size=\"16\" font-weight=\"bold\"");
  for (int i = 0; i <= 5; ++i) {
    const double v = i / 5.0;
    svg.line(x(v), y(0), x(v), y(1), "#e4e4e4", 1);
    svg.line(x(0), y(v), x(1), y(v), "#e4e4e4", 1);
    svg.words(x(v), y(0) + 20, fixed(v, 1), "middle");
    svg.words(x(0) - 10, y(v) + 4, fixed(v, 1), "end");
  }
  svg.words(x(0.5), y(0) + 44, "1 - specificity", "middle");
  svg.words(24, y(0.5), "sensitivity", "middle", ("transform=\"rotate(-90 24 " + fixed(y(0.5), 0) + ")\"").c_str());
  svg.line(x(0), y(0), x(1), y(1), "#999999", 1, "5 4");
  for (std::size_t i = 0; i < curves.size(); ++i) {
    std::vector<std::pair<double, double>> points;
    for (const auto& point : curves[i].second.points) points.emplace_back(x(point.x), y(point.y));
    if (!points.empty()) svg.polyline(points, detail::svg_colour(i));
  }
  detail::legend(svg, left + side + 24, top + 14, names);
  return svg.done();
}

VITALS_INLINE std::string few_shot_svg(const std::string& title, const std::string& metric,
                                       const std::vector<std::string>& shots, const std::vector<ShotsCurve>& curves,
                                       const std::string& axis) {
  constexpr double left = 70, top = 50, width = 520, height = 320;
  std::vector<std::string> names;
  double widest = 0, low = 1e300, high = -1e300;
  for (const auto& curve : curves) {
    if (curve.mean.size() != shots.size() || (!curve.spread.empty() && curve.spread.size() != shots.size()))
      throw ShapeError("[few_shot_svg] " + std::to_string(curve.mean.size()) + " values for " +
                           std::to_string(shots.size()) + " numbers of shots",
                       curve.name);
    names.push_back(curve.name);
    widest = std::max(widest, detail::width_of_words(curve.name));
    for (std::size_t i = 0; i < shots.size(); ++i) {
      if (!curve.mean[i]) continue;
      const double s = curve.spread.empty() ? 0 : curve.spread[i];
      low = std::min(low, *curve.mean[i] - s);
      high = std::max(high, *curve.mean[i] + s);
    }
  }
  if (low > high) low = 0, high = 1;  // nothing to draw
  const double step = detail::tick_step(std::max(high - low, 0.05));
  low = step * std::floor(low / step - 1e-9);
  high = step * std::ceil(high / step + 1e-9);
  detail::Svg svg(left + width + 70 + widest, top + height + 60);
  const auto x = [&](std::size_t i) {
    return left + width * (static_cast<double>(i) + 0.5) / static_cast<double>(std::max<std::size_t>(shots.size(), 1));
  };
  const auto y = [&](double v) { return top + height * (high - v) / (high - low); };
  svg.words(left, 30, title, "start", "font-size=\"16\" font-weight=\"bold\"");
  const int ticks = static_cast<int>(std::lround((high - low) / step)), digits = step < 0.1 ? 2 : 1;
  for (int t = 0; t <= ticks; ++t) {
    const double v = low + step * t;
    svg.line(left, y(v), left + width, y(v), "#e4e4e4", 1);
    svg.words(left - 10, y(v) + 4, fixed(v, digits), "end");
  }
  for (std::size_t i = 0; i < shots.size(); ++i) svg.words(x(i), top + height + 20, shots[i], "middle");
  svg.words(left + width / 2, top + height + 44, axis, "middle");
  svg.words(24, top + height / 2, metric, "middle",
            ("transform=\"rotate(-90 24 " + fixed(top + height / 2, 0) + ")\"").c_str());
  for (std::size_t c = 0; c < curves.size(); ++c) {
    const char* colour = detail::svg_colour(c);
    std::vector<std::pair<double, double>> points;
    const double shift = 5 * (static_cast<double>(c) - 0.5 * static_cast<double>(curves.size() - 1));  // whiskers apart
    for (std::size_t i = 0; i < shots.size(); ++i) {
      if (!curves[c].mean[i]) continue;
      const double v = *curves[c].mean[i], s = curves[c].spread.empty() ? 0 : curves[c].spread[i];
      points.emplace_back(x(i) + shift, y(v));
      if (s > 0) {
        svg.line(x(i) + shift, y(v - s), x(i) + shift, y(v + s), colour, 1.5);
        for (double end : {v - s, v + s}) svg.line(x(i) + shift - 4, y(end), x(i) + shift + 4, y(end), colour, 1.5);
      }
    }
    svg.polyline(points, colour);
    for (const auto& [px, py] : points) svg.dot(px, py, colour);
  }
  detail::legend(svg, left + width + 24, top + 14, names);
  return svg.done();
}

VITALS_INLINE std::string scatter_svg(const std::string& title, const std::string& x_axis, const std::string& y_axis,
                                      const std::vector<ScatterPoint>& points) {
  constexpr double left = 70, top = 50, width = 420, height = 320;
  std::vector<std::string> names;
  double widest = 0, low = 1e300, high = -1e300, right = 0;
  for (const auto& point : points) {
    names.push_back(point.name);
    widest = std::max(widest, detail::width_of_words(point.name));
    low = std::min(low, point.interval ? point.interval->low : point.y);
    high = std::max(high, point.interval ? point.interval->high : point.y);
    right = std::max(right, point.x);
  }
  if (low > high) low = 0, high = 1;  // nothing to draw
  if (!(right > 0)) right = 1;
  const double step = detail::tick_step(std::max(high - low, 0.02)), x_step = detail::tick_step(right);
  low = step * std::floor(low / step - 1e-9);
  high = step * std::ceil(high / step + 1e-9);
  right = x_step * std::ceil(right / x_step + 1e-9);
  detail::Svg svg(left + width + 70 + widest, top + height + 60);
  const auto x = [&](double v) { return left + width * v / right; };
  const auto y = [&](double v) { return top + height * (high - v) / (high - low); };
  svg.words(left, 30, title, "start", "font-size=\"16\" font-weight=\"bold\"");
  const int digits = step < 0.01 ? 3 : step < 0.1 ? 2 : 1;
  for (int t = 0; t <= std::lround((high - low) / step); ++t) {
    svg.line(left, y(low + step * t), left + width, y(low + step * t), "#e4e4e4", 1);
    svg.words(left - 10, y(low + step * t) + 4, fixed(low + step * t, digits), "end");
  }
  for (int t = 0; t <= std::lround(right / x_step); ++t) {
    svg.line(x(x_step * t), top, x(x_step * t), top + height, "#e4e4e4", 1);
    svg.words(x(x_step * t), top + height + 20, fixed(x_step * t, x_step < 1 ? 1 : 0), "middle");
  }
  svg.words(left + width / 2, top + height + 44, x_axis, "middle");
  svg.words(24, top + height / 2, y_axis, "middle",
            ("transform=\"rotate(-90 24 " + fixed(top + height / 2, 0) + ")\"").c_str());
  for (std::size_t i = 0; i < points.size(); ++i) {
    const auto& point = points[i];
    const char* colour = detail::svg_colour(i);
    if (point.interval) {
      svg.line(x(point.x), y(point.interval->low), x(point.x), y(point.interval->high), colour, 1.5);
      for (double end : {point.interval->low, point.interval->high})
        svg.line(x(point.x) - 4, y(end), x(point.x) + 4, y(end), colour, 1.5);
    }
    svg.dot(x(point.x), y(point.y), colour);
  }
  detail::legend(svg, left + width + 24, top + 14, names);
  return svg.done();
}

VITALS_INLINE std::string table_svg(const std::string& title, const std::vector<Result>& results) {
  constexpr double margin = 24, row_height = 28, plot_width = 240;
  double name_width = 60, metric_width = 70, low = 0.5;
  for (const auto& r : results) {
    name_width = std::max(name_width, detail::width_of_words(r.name));
    metric_width = std::max(metric_width, detail::width_of_words(r.metric));
    if (r.value) low = std::min(low, r.ci95 ? std::min(r.ci95->low, *r.value.value) : *r.value.value);
  }
  low = low < 0.5 ? 0.0 : 0.5;  // chance is one half for AUROC; show the rest only where something is below it
  const double metric_x = margin + name_width + 24, n_x = metric_x + metric_width + 50, value_x = n_x + 24;
  const double plot_x = value_x + 180, top = 62, height = row_height * static_cast<double>(results.size());
  detail::Svg svg(plot_x + plot_width + margin, top + height + 50);
  const auto x = [&](double v) { return plot_x + plot_width * (std::clamp(v, low, 1.0) - low) / (1 - low); };
  svg.words(margin, 30, title, "start", "font-size=\"16\" font-weight=\"bold\"");
  const char* head = "fill=\"#666666\"";
  svg.words(margin, top - 8, "method", "start", head);
  svg.words(metric_x, top - 8, "metric", "start", head);
  svg.words(n_x, top - 8, "n", "end", head);
  svg.words(value_x, top - 8, "value, 95 % interval", "start", head);
  for (int t = 0; t <= 5; ++t) {
    const double v = low + (1 - low) * t / 5;
    svg.line(x(v), top, x(v), top + height, "#e4e4e4", 1);
    svg.words(x(v), top + height + 20, fixed(v, 1), "middle", head);
  }
  for (std::size_t i = 0; i < results.size(); ++i) {
    const auto& r = results[i];
    const double base = top + row_height * static_cast<double>(i) + 19, middle = base - 5;
    svg.line(margin, base + 9, plot_x + plot_width, base + 9, "#e4e4e4", 1);
    svg.words(margin, base, r.name, "start");
    svg.words(metric_x, base, r.metric, "start");
    svg.words(n_x, base, std::to_string(r.n), "end");
    if (!r.value) {
      svg.words(value_x, base, "not defined: " + r.value.undefined, "start");
      continue;
    }
    svg.words(
        value_x, base,
        fixed(*r.value.value, 3) + (r.ci95 ? "  (" + fixed(r.ci95->low, 3) + " - " + fixed(r.ci95->high, 3) + ")" : ""),
        "start");
    if (r.ci95) svg.line(x(r.ci95->low), middle, x(r.ci95->high), middle, detail::svg_colour(0), 2);
    svg.dot(x(*r.value.value), middle, detail::svg_colour(0));
  }
  return svg.done();
}

}  // namespace vitals::inline v0::report
