// Drawn chest films: pictures to learn, test and show the library with where no real ones are at hand. Nobody's
// picture and nothing for diagnosis. A film is a pure function of (seed, patient, film, findings).
//
//   const auto film = vt::phantom::chest({.seed = 1, .patient = 7, .findings = {vt::phantom::Finding::nodule}});
//
// Drawn as a radiograph comes about: the attenuation along each ray is added up (body, lungs' air, heart, great
// vessels, spine, ribs, clavicles, shoulder blades, diaphragm ...) and goes through a tone curve, blur and noise.
// Position, breathing, build, exposure and noise vary, and harmless things that look like findings (nipples, vessels
// seen end-on, a high diaphragm, crossing ribs) occur in healthy patients, so a classifier has something to do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <vitals/core/config.hpp>
#include <vitals/core/tensor.hpp>
#include <vitals/io/image.hpp>

namespace vitals::inline v0::phantom {

/// nodule: a small round opacity in a lung field; effusion: fluid that blunts one costophrenic angle; consolidation: one to
/// four clouds where fluid has replaced the lung's air, as pneumonia does; cardiomegaly: a heart too wide for its chest.
enum class Finding : std::uint8_t { nodule, effusion, consolidation, cardiomegaly };
const char* name(Finding);

/// What a ray has mainly passed. A finding stands before the organ that it lies in.
enum class Tissue : std::uint8_t { outside, body, lung, heart, abdomen, nodule, effusion, consolidation };
inline constexpr std::size_t tissues = 8;

struct Options {
  std::size_t height = 256, width = 256;  ///< pixels, 16 to 4096
  std::uint64_t seed = 0;
  std::uint64_t patient = 0;           ///< anatomy and where the findings are
  std::uint64_t film = 0;              ///< position, breathing, exposure and noise of one picture of the patient
  std::vector<Finding> findings = {};  ///< what to draw in; none: healthy
};

/// A finding as it lies in the picture, in pixels. Of an effusion: the middle of its visible fluid and half its height; of
/// consolidation: its largest cloud; of cardiomegaly: the heart's middle and half its length.
struct Mark {
  Finding finding = Finding::nodule;
  double row = 0, column = 0, radius = 0;
};

struct Film {
  io::Image image;                        ///< (H, W, 1), 8 bit; the patient's right is at the left, as on every film
  std::vector<Mark> findings;             ///< in the order asked for
  Tensor<std::uint8_t, dyn, dyn> lungs;   ///< (H, W): 1 left lung, 2 right lung (their aerated part), 0 elsewhere
  Tensor<std::uint8_t, dyn, dyn> tissue;  ///< (H, W): a Tissue
};

/// Throws ArgumentError for a size out of range or the same finding twice.
Film chest(const Options& options);

}  // namespace vitals::inline v0::phantom

#if VITALS_HEADER_ONLY
#include <vitals/data/phantom.ipp>
#endif
