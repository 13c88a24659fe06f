// Implementation of calibration.hpp.
#pragma once

#include <string>

#include <vitals/metrics/calibration.hpp>
#include <vitals/metrics/confusion.hpp>

namespace vitals::inline v0::metrics {

VITALS_INLINE Score brier(std::span<const std::uint8_t> targets, std::span<const double> scores) {
  detail::check_binary(targets, scores);
  if (targets.empty()) return Score::none("no items");
  if (auto why = detail::not_probabilities(scores); !why.empty()) return Score::none(why);
  double sum = 0;
  for (std::size_t i = 0; i < targets.size(); ++i) sum += detail::square(scores[i] - targets[i]);
  return sum / static_cast<double>(targets.size());
}

VITALS_INLINE Score brier_multiclass(Targets targets, Scores scores) {
  detail::check_matrix(targets, scores);
  detail::check_one_hot(targets);
  if (targets.empty()) return Score::none("no items");
  if (auto why = detail::not_probabilities(scores.span()); !why.empty()) return Score::none(why);
  double sum = 0;
  for (std::size_t i = 0; i < targets.size(); ++i) sum += detail::square(scores.data()[i] - targets.data()[i]);
  return sum / static_cast<double>(targets.extent(0));
}

VITALS_INLINE Calibration::Calibration(std::size_t bins) : bins_(bins) {
  if (bins == 0) throw ArgumentError("[Calibration] 0 bins");
}

VITALS_INLINE std::size_t Calibration::bin_of(double confidence, std::size_t bins) {
  return std::min(bins - 1, static_cast<std::size_t>(confidence * static_cast<double>(bins)));
}

VITALS_INLINE void Calibration::add(double confidence, bool hit) {
  if (!detail::is_probability(confidence))
    throw DataError("[Calibration] confidence " + std::to_string(confidence), "", "give probabilities, 0 to 1");
  auto& bin = bins_[bin_of(confidence, bins_.size())];
  ++bin.items;
  bin.hits += hit;
  bin.confidence_sum += confidence;
}

// share of the bin * |mean confidence - share of hits| = |sum of confidences - hits| / n
VITALS_INLINE Score Calibration::ece() const {
  std::uint64_t items = 0;
  double sum = 0;
  for (const auto& bin : bins_) {
    items += bin.items;
    sum += std::abs(bin.confidence_sum - static_cast<double>(bin.hits));
  }
  return items ? Score(sum / static_cast<double>(items)) : Score::none("no items");
}

VITALS_INLINE Score ece(std::span<const std::uint8_t> targets, std::span<const double> scores, std::size_t bins) {
  detail::check_binary(targets, scores);
  if (auto why = detail::not_probabilities(scores); !why.empty()) return Score::none(why);
  Calibration calibration(bins);
  for (std::size_t i = 0; i < targets.size(); ++i) calibration.add(scores[i], targets[i]);
  return calibration.ece();
}

VITALS_INLINE Score ece_multiclass(Targets targets, Scores scores, std::size_t bins) {
  detail::check_matrix(targets, scores);
  detail::check_one_hot(targets);
  if (auto why = detail::not_probabilities(scores.span()); !why.empty()) return Score::none(why);
  Calibration calibration(bins);
  for (std::size_t i = 0; i < targets.extent(0); ++i) {
    const auto k = static_cast<std::size_t>(argmax(scores[i].span()));
    calibration.add(scores(i, k), targets(i, k));
  }
  return calibration.ece();
}

}  // namespace vitals::inline v0::metrics
