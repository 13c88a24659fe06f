// Confusion counts and what follows from them: accuracy, sensitivity, specificity, precision, F1, balanced accuracy.
// A quotient 0 / 0 is undefined and says why; it is not 0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <vitals/core/config.hpp>
#include <vitals/core/tensor.hpp>
#include <vitals/metrics/checks.hpp>
#include <vitals/metrics/score.hpp>

namespace vitals::inline v0::metrics {

/// The four counts of a yes / no question.
struct Counts {
  std::uint64_t true_positive = 0, false_positive = 0, false_negative = 0, true_negative = 0;
  std::uint64_t total() const { return true_positive + false_positive + false_negative + true_negative; }
  friend bool operator==(const Counts&, const Counts&) = default;
};

Score sensitivity(const Counts& c);  ///< TP / (TP + FN) = recall. None: "no positive item"
Score specificity(const Counts& c);  ///< TN / (TN + FP). None: "no negative item"
Score precision(const Counts& c);    ///< TP / (TP + FP). None: "nothing predicted positive"
Score f1(const Counts& c);           ///< 2 TP / (2 TP + FP + FN). None: "no positive item, none predicted"
Score accuracy(const Counts& c);     ///< (TP + TN) / all. None: "no items"
/// Mean of sensitivity and specificity, or the one that is defined. None: "no items".
Score balanced_accuracy(const Counts& c);

/// Counts with score >= threshold as positive (a score on the threshold is positive). targets (n) 0 or 1, scores (n).
/// Throws ShapeError for different sizes, DataError for other targets and for a NaN score (with its row).
Counts counts_at(std::span<const std::uint8_t> targets, std::span<const double> scores, double threshold = 0.5);

/// The class with the highest score; of equal ones the lowest number. -1 where a score is NaN. scores (K), K > 0.
std::ptrdiff_t argmax(std::span<const double> scores);

/// How often class t was predicted as class p; grows batch by batch.
class Confusion {
 public:
  /// Throws ArgumentError for 0 classes.
  explicit Confusion(std::size_t classes);

  /// One item. Throws ArgumentError for a class that does not exist.
  void add(std::size_t target, std::size_t prediction, std::uint64_t count = 1);
  /// Rows of one-hot targets (n, K) and scores (n, K); the prediction is argmax(). Throws ShapeError, DataError (a row
  /// without exactly one class, a NaN score).
  void add(Targets targets, Scores scores);
  /// Throws ShapeError for another number of classes.
  Confusion& operator+=(const Confusion& other);

  std::size_t classes() const { return classes_; }
  std::uint64_t items() const;
  std::uint64_t operator()(std::size_t target, std::size_t prediction) const {
    return cells_[target * classes_ + prediction];
  }
  /// Class k against the rest.
  Counts counts(std::size_t k) const;

  Score accuracy() const;  ///< share of right predictions. None: "no items"
  /// Mean sensitivity over the classes that have items. None: "no items".
  Score balanced_accuracy() const;
  /// F1 of each class; macro over the classes that occur among targets or predictions.
  PerClass f1() const;
  /// Sensitivity of each class; macro over the classes that have items.
  PerClass sensitivity() const;

 private:
  std::size_t classes_;
  std::vector<std::uint64_t> cells_;
};

/// 0 / 1 targets (n, K) of class numbers. Throws DataError for a number >= K, with its row.
Tensor<std::uint8_t, dyn, dyn> one_hot(std::span<const std::size_t> labels, std::size_t classes);

}  // namespace vitals::inline v0::metrics

#if VITALS_HEADER_ONLY
#include <vitals/metrics/confusion.ipp>
#endif
