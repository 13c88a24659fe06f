// Which parameters train: none (a head on a frozen backbone), all (full fine-tuning), or the biases alone (BitFit).
#pragma once

#include <cstddef>
#include <string>

#include <vitals/adapt/trainable.hpp>

namespace vitals::inline v0::adapt {

/// Nothing trains, low-rank terms neither.
template <class Model>
void freeze(Model& model) {
  for (const auto& row : with_low_rank(table_of(model))) row.parameter->set_trainable(false);
}

/// Everything trains.
template <class Model>
void unfreeze(Model& model) {
  for (const auto& row : with_low_rank(table_of(model))) row.parameter->set_trainable(true);
}

/// Only what is called a bias trains, norms' biases too. Ben Zaken, Ravfogel, Goldberg, "BitFit", arXiv 2106.10199.
template <class Model>
void bitfit(Model& model) {
  for (const auto& row : with_low_rank(table_of(model)))
    row.parameter->set_trainable(row.name.find("bias") != std::string::npos);
}

/// How many numbers train.
template <class Model>
std::size_t trainable_count(Model& model) {
  return nn::count(trainable(model));
}

}  // namespace vitals::inline v0::adapt
