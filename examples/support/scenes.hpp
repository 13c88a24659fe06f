// Drawn pictures to learn from: chest films and slices of heads (vitals/data/phantom.hpp, phantom_head.hpp), turned, cropped,
// mirrored and toned anew each time they are seen, with what a patch shows and what the picture shows as targets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <vitals/core/parallel.hpp>
#include <vitals/core/tensor.hpp>
#include <vitals/data/phantom.hpp>
#include <vitals/data/phantom_head.hpp>

namespace support {

/// Kinds of tissue: the chest's, then the head's without `outside`, which both share.
inline constexpr std::size_t scene_tissues = vitals::phantom::tissues + vitals::phantom::head_tissues - 1;
/// What is said of a picture: its kind (chest, three planes), cardiomegaly, three kinds of tumour; and for each tissue but
/// `outside` whether it is there, the square root of its share of the picture, and the row and column of its middle.
inline constexpr std::size_t scene_kinds = 4, scene_facts = 4,
                             scene_targets = scene_kinds + scene_facts + 4 * (scene_tissues - 1);

/// The findings among them: cardiomegaly, the three kinds of tumour, and whether there is a nodule, an effusion, consolidation,
/// a tumour, swelling.
inline constexpr std::size_t scene_findings = scene_facts + 5;
/// Whether a picture has its i-th finding, 0 or 1, from its row of scene_targets numbers.
float scene_finding(const float* targets, std::size_t i);

struct SceneBatch {
  vitals::Tensor<float, vitals::dyn, 3, vitals::dyn, vitals::dyn>
      pixels;                  ///< (B, 3, S, S), as the transform `paper` leaves them
  std::vector<float> picture;  ///< (B, scene_targets), in [0, 1]; the middle of what is not there is 0.5
  std::vector<float> patches;  ///< (B, (S / patch)^2, scene_tissues), the share of each tissue in each patch
};

/// A pool of drawings of which a few are replaced by new ones at every step. Everything is a function of the seed and the
/// number of the step, with any number of threads.
class Scenes {
 public:
  /// `size`: how many drawings the pool holds; `side`: their size in pixels.
  Scenes(std::uint64_t seed, std::size_t size, std::size_t side, vitals::Executor& executor);
  /// Replaces the `count` oldest drawings.
  void renew(std::size_t count);
  /// `count` drawings of the pool at `size` x `size` pixels.
  SceneBatch batch(std::uint64_t step, std::size_t count, std::size_t size, std::size_t patch) const;

 private:
  struct Drawing {
    std::vector<std::uint8_t> pixels, tissue;  // (side, side)
    std::size_t kind = 0;
    float facts[scene_facts] = {};
  };
  Drawing draw(std::uint64_t number) const;
  void sample(std::uint64_t index, std::size_t size, std::size_t patch, float* pixels, float* picture,
              float* patches) const;

  std::uint64_t seed_, drawn_ = 0;
  std::size_t side_;
  vitals::Executor& executor_;
  std::vector<Drawing> pool_;
};

}  // namespace support
