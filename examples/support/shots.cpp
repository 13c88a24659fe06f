#include "shots.hpp"

#include <charconv>

#include <vitals/core/error.hpp>
#include <vitals/eval/few_shot.hpp>

namespace vt = vitals;

namespace support {

ShotOptions::ShotOptions(CommandLine& line) {
  line.option("--shots", shots, "numbers of training images; `all` is the whole train split");
  line.choice("--selection", selection, {"per-class", "study", "study-nih"},
              "per-class: so many of each class, drawn by seed; study: so many in all, evenly spaced in the "
              "manifest; study-nih: of each class the first so many patients who have nothing else");
  line.option("--repeats", repeats, "draws for each number of shots (per-class)");
}

std::vector<std::size_t> ShotOptions::items(const vt::data::Dataset& set, const std::string& text,
                                            std::uint64_t seed) const {
  if (text == "all") return set.indices(vt::data::Split::train);
  std::size_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc() || *end != '\0' || n == 0)
    throw UsageError("--shots: \"" + text + "\" is neither a number nor `all`");
  if (selection == "study") return vt::eval::few_shot_study(set, n);
  if (selection == "per-class") return vt::eval::few_shot_per_class(set, n, seed);
  auto chosen = vt::eval::few_shot_nih(set, n);
  if (chosen.empty()) throw vt::DataError("no patient has images of one class only", set.source.string());
  return chosen;
}

std::size_t ShotOptions::draws(const std::string& text, bool trains_by_seed) const {
  return selection != "per-class" || (text == "all" && !trains_by_seed) ? 1 : repeats;
}

const char* ShotOptions::unit() const {
  if (selection == "study") return "training images";
  return selection == "study-nih" ? "training patients of each class" : "training images of each class";
}

}  // namespace support
