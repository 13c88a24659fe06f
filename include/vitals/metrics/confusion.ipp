// Implementation of confusion.hpp.
#pragma once

#include <numeric>
#include <string>

#include <vitals/metrics/confusion.hpp>

namespace vitals::inline v0::metrics {

VITALS_INLINE Score sensitivity(const Counts& c) {
  return detail::quotient(c.true_positive, c.true_positive + c.false_negative, "no positive item");
}
VITALS_INLINE Score specificity(const Counts& c) {
  return detail::quotient(c.true_negative, c.true_negative + c.false_positive, "no negative item");
}
VITALS_INLINE Score precision(const Counts& c) {
  return detail::quotient(c.true_positive, c.true_positive + c.false_positive, "nothing predicted positive");
}
VITALS_INLINE Score f1(const Counts& c) {
  return detail::quotient(2 * c.true_positive, 2 * c.true_positive + c.false_positive + c.false_negative,
                          "no positive item, none predicted");
}
VITALS_INLINE Score accuracy(const Counts& c) {
  return detail::quotient(c.true_positive + c.true_negative, c.total(), "no items");
}
VITALS_INLINE Score balanced_accuracy(const Counts& c) {
  const Score both[2] = {sensitivity(c), specificity(c)};
  return c.total() ? macro(both) : Score::none("no items");
}

VITALS_INLINE Counts counts_at(std::span<const std::uint8_t> targets, std::span<const double> scores,
                               double threshold) {
  detail::check_binary(targets, scores);
  Counts counts;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    if (std::isnan(scores[i])) throw DataError("[metrics] score is NaN", "row " + std::to_string(i));
    const bool positive = scores[i] >= threshold;
    if (targets[i])
      ++(positive ? counts.true_positive : counts.false_negative);
    else
      ++(positive ? counts.false_positive : counts.true_negative);
  }
  return counts;
}

VITALS_INLINE std::ptrdiff_t argmax(std::span<const double> scores) {
  if (detail::any_nan(scores)) return -1;
  return std::max_element(scores.begin(), scores.end()) - scores.begin();
}

VITALS_INLINE Confusion::Confusion(std::size_t classes) : classes_(classes), cells_(classes * classes) {
  if (classes == 0) throw ArgumentError("[Confusion] 0 classes");
}

VITALS_INLINE void Confusion::add(std::size_t target, std::size_t prediction, std::uint64_t count) {
  if (target >= classes_ || prediction >= classes_)
    throw ArgumentError("[Confusion] target " + std::to_string(target) + ", prediction " + std::to_string(prediction) +
                        " of " + std::to_string(classes_) + " classes");
  cells_[target * classes_ + prediction] += count;
}

VITALS_INLINE void Confusion::add(Targets targets, Scores scores) {
  detail::check_matrix(targets, scores);
  detail::check_one_hot(targets);
  if (targets.extent(1) != classes_)
    throw ShapeError("[Confusion] targets " + to_string(targets.shape()) + " for " + std::to_string(classes_) +
                     " classes");
  Confusion batch(classes_);  // all rows or none
  for (std::size_t i = 0; i < targets.extent(0); ++i) {
    const auto prediction = argmax(scores[i].span());
    if (prediction < 0) throw DataError("[metrics] score is NaN", "row " + std::to_string(i));
    const auto row = targets[i];
    batch.add(static_cast<std::size_t>(std::max_element(row.begin(), row.end()) - row.begin()),
              static_cast<std::size_t>(prediction));
  }
  *this += batch;
}

VITALS_INLINE Confusion& Confusion::operator+=(const Confusion& other) {
  if (other.classes_ != classes_)
    throw ShapeError("[Confusion] " + std::to_string(other.classes_) + " classes added to " + std::to_string(classes_));
  for (std::size_t i = 0; i < cells_.size(); ++i) cells_[i] += other.cells_[i];
  return *this;
}

VITALS_INLINE std::uint64_t Confusion::items() const {
  return std::accumulate(cells_.begin(), cells_.end(), std::uint64_t{0});
}

VITALS_INLINE Counts Confusion::counts(std::size_t k) const {
  Counts c;
  c.true_positive = (*this)(k, k);
  for (std::size_t j = 0; j < classes_; ++j) {
    if (j == k) continue;
    c.false_positive += (*this)(j, k);
    c.false_negative += (*this)(k, j);
  }
  c.true_negative = items() - c.true_positive - c.false_positive - c.false_negative;
  return c;
}

VITALS_INLINE Score Confusion::accuracy() const {
  std::uint64_t right = 0;
  for (std::size_t k = 0; k < classes_; ++k) right += (*this)(k, k);
  return detail::quotient(right, items(), "no items");
}

VITALS_INLINE PerClass Confusion::f1() const {
  PerClass result;
  for (std::size_t k = 0; k < classes_; ++k) result.per_class.push_back(metrics::f1(counts(k)));
  result.macro = macro(result.per_class);
  return result;
}

VITALS_INLINE PerClass Confusion::sensitivity() const {
  PerClass result;
  for (std::size_t k = 0; k < classes_; ++k) result.per_class.push_back(metrics::sensitivity(counts(k)));
  result.macro = macro(result.per_class);
  return result;
}

VITALS_INLINE Score Confusion::balanced_accuracy() const {
  return items() ? sensitivity().macro : Score::none("no items");
}

VITALS_INLINE Tensor<std::uint8_t, dyn, dyn> one_hot(std::span<const std::size_t> labels, std::size_t classes) {
  Tensor<std::uint8_t, dyn, dyn> targets({labels.size(), classes});
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] >= classes)
      throw DataError("[one_hot] class " + std::to_string(labels[i]) + " of " + std::to_string(classes),
                      "row " + std::to_string(i));
    targets(i, labels[i]) = 1;
  }
  return targets;
}

}  // namespace vitals::inline v0::metrics
