// Plots as SVG text: ROC curves, few-shot curves, and a table of scores with their intervals drawn beside them. Light
// background, colours that colour-blind readers can tell apart (Okabe and Ito), the same bytes for the same numbers.
//
//   vt::io::write_text_file("roc.svg", vt::report::roc_svg("Pneumonia", {{"linear probe", vt::metrics::roc_curve(t, s)}}));
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <vitals/core/config.hpp>
#include <vitals/metrics/curves.hpp>
#include <vitals/report/result.hpp>

namespace vitals::inline v0::report {

/// Curves of metrics::roc_curve() with their legends ("linear probe, AUROC 0.94"), over the diagonal of chance. The legend
/// of a curve without points says why.
std::string roc_svg(const std::string& title, const std::vector<std::pair<std::string, metrics::Curve>>& curves);

/// A score for each number of shots; nothing where it is not defined.
struct ShotsCurve {
  std::string name;
  std::vector<std::optional<double>> mean;
  std::vector<double> spread;  ///< half length of the whiskers (standard deviation over repeats); empty: none
};

/// `shots` are the labels of the horizontal `axis` ("1", "2", ... "all"), evenly spaced.
/// Throws ShapeError where a curve has another length than `shots`.
std::string few_shot_svg(const std::string& title, const std::string& metric, const std::vector<std::string>& shots,
                         const std::vector<ShotsCurve>& curves, const std::string& axis = "training images");

/// A method: what it costs and how good it is.
struct ScatterPoint {
  std::string name;
  double x = 0, y = 0;
  std::optional<metrics::Interval> interval;  ///< of y
};

/// Quality against cost. The horizontal axis begins at 0.
std::string scatter_svg(const std::string& title, const std::string& x_axis, const std::string& y_axis,
                        const std::vector<ScatterPoint>& points);

/// The results as a table, each value drawn as a dot with its 95 % interval.
std::string table_svg(const std::string& title, const std::vector<Result>& results);

}  // namespace vitals::inline v0::report

#if VITALS_HEADER_ONLY
#include <vitals/report/svg.ipp>
#endif
