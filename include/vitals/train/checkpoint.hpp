// Checkpoints of a training: what trains, the optimiser's state, the place in the stream of batches, the best values so far.
// A folder holds the newest two; where the newest is damaged the one before is taken.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <vitals/core/config.hpp>
#include <vitals/train/optimizer.hpp>
#include <vitals/train/trainable.hpp>

namespace vitals::inline v0::train {

/// Where a training stands, beside its parameters.
struct Position {
  std::uint64_t step = 0;  ///< steps that are done
  double loss_sum = 0;     ///< over the steps since the last evaluation
  std::uint64_t loss_count = 0;
  /// Of every evaluation: after how many steps, the score, the mean loss since the one before.
  struct Evaluation {
    std::uint64_t step = 0;
    double score = 0, loss = 0;
  };
  std::vector<Evaluation> evaluations;
  std::uint64_t best_step = 0;           ///< 0: no evaluation yet
  std::vector<std::vector<float>> best;  ///< values of the rows at that step; empty: not kept
};

/// `options`: whatever makes two trainings different, by name; it is compared on resume.
using Conditions = std::map<std::string, std::string>;

/// Writes `folder`/step-N.safetensors and removes all but the one before. Makes the folder. Throws IoError.
void save_checkpoint(const std::filesystem::path& folder, const Conditions& conditions, TrainableBackbone& model,
                     const Optimizer& optimizer, const Position& position);

/// Takes the newest checkpoint of the folder that can be read. `notes` gets a line for each damaged one. false: there is none
/// at all. Throws DataError where a checkpoint belongs to a training with other conditions (naming the first that differs), or
/// where all of them are damaged.
bool load_checkpoint(const std::filesystem::path& folder, const Conditions& conditions, TrainableBackbone& model,
                     Optimizer& optimizer, Position& position, std::vector<std::string>& notes);

/// The same of any rows, in their order: a decoder's, which is no backbone.
void save_checkpoint(const std::filesystem::path& folder, const Conditions& conditions,
                     const std::vector<TrainableRow>& rows, const Optimizer& optimizer, const Position& position);
bool load_checkpoint(const std::filesystem::path& folder, const Conditions& conditions,
                     const std::vector<TrainableRow>& rows, Optimizer& optimizer, Position& position,
                     std::vector<std::string>& notes);

/// Whether a folder holds checkpoints.
bool has_checkpoint(const std::filesystem::path& folder);

}  // namespace vitals::inline v0::train

#if VITALS_HEADER_ONLY
#include <vitals/train/checkpoint.ipp>
#endif
