// From the cases of a segmentation to the lines of a report: every metric with its 95 % interval, and each case by itself.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include <vitals/core/config.hpp>
#include <vitals/metrics/segmentation.hpp>
#include <vitals/report/result.hpp>

namespace vitals::inline v0::report {

/// metrics::evaluate_segmentation() as results "per volume", "global" and "study", each with `name` before it where it is not
/// empty ("unet lr=0.01 per volume"). classes: names, background first. n is the number of cases; Result::skipped says how many
/// of them are out of the mean of a class. Throws ShapeError for another number of names, and what that function throws.
std::vector<Result> segmentation_results(const std::string& name, const std::string& split,
                                         const std::vector<std::string>& classes,
                                         std::span<const metrics::CaseMetrics> cases,
                                         const metrics::SegmentationOptions& options = {});

/// Every metric of every foreground class of each case. paths (cases). Throws ShapeError.
std::vector<CaseRecord> case_records(const std::vector<std::string>& paths, const std::vector<std::string>& classes,
                                     std::span<const metrics::CaseMetrics> cases,
                                     metrics::EmptyMask empty = metrics::EmptyMask::skip);

/// The cases from best to worst by their mean Dice over the foreground classes that are defined; cases without one are left out.
/// Equal ones in their order.
std::vector<std::size_t> cases_by_dice(std::span<const metrics::CaseMetrics> cases);

}  // namespace vitals::inline v0::report

#if VITALS_HEADER_ONLY
#include <vitals/report/segmentation.ipp>
#endif
