// Implementation of phantom_dataset.hpp.
#pragma once

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <vitals/core/error.hpp>
#include <vitals/core/rng.hpp>
#include <vitals/data/phantom.hpp>
#include <vitals/data/phantom_dataset.hpp>
#include <vitals/io/atomic_file.hpp>

namespace vitals::inline v0::phantom {

namespace detail {

struct PlannedFilm {
  std::uint64_t patient = 0, film = 0;
  std::size_t kind = 0;  ///< 0 healthy, 1 nodule, 2 effusion
  const char* split = "";

  std::string path() const {
    std::array<char, 48> text{};
    std::snprintf(text.data(), text.size(), "films/p%04llu_%llu.png", static_cast<unsigned long long>(patient),
                  static_cast<unsigned long long>(film));
    return text.data();
  }
};

inline std::vector<PlannedFilm> plan_films(DatasetSizes sizes, std::uint64_t seed) {
  std::vector<PlannedFilm> films;
  std::uint64_t patient = 0;
  Rng rng(seed, ~std::uint64_t{0});
  for (const auto& [split, count] : {std::pair{"train", sizes.train}, {"val", sizes.val}, {"test", sizes.test}}) {
    std::vector<std::size_t> order;  // each kind once in every three patients, in random order
    for (std::size_t left = count; left > 0; ++patient) {
      if (order.empty()) order = rng.permutation(3);
      const std::size_t n = std::min<std::size_t>(left, 1 + rng.below(3));
      for (std::size_t film = 0; film < n; ++film) films.push_back({patient, film, order.back(), split});
      order.pop_back();
      left -= n;
    }
  }
  return films;
}

}  // namespace detail

VITALS_INLINE std::filesystem::path write_dataset(const std::filesystem::path& folder, DatasetSizes sizes,
                                                  const DatasetOptions& options) {
  const auto films = detail::plan_films(sizes, options.seed);
  if (films.empty()) throw ArgumentError("[phantom] a data set without films", "", "ask for at least one");
  std::error_code error;
  std::filesystem::create_directories(folder / "films", error);
  if (error) throw IoError("[phantom] cannot be made (" + error.message() + ")", (folder / "films").string());
  const auto manifest = folder / "manifest.csv";
  std::filesystem::remove(manifest, error);  // from here on the folder is not whole
  Executor& executor = options.executor ? *options.executor : default_pool();
  const std::size_t step = std::max<std::size_t>(8, 4 * executor.threads());
  for (std::size_t done = 0; done < films.size();) {
    const std::size_t n = std::min(step, films.size() - done);
    executor.run(n, [&](std::size_t i) {
      const auto& planned = films[done + i];
      Options film{options.side, options.side, options.seed, planned.patient, planned.film, {}};
      if (planned.kind) film.findings = {planned.kind == 1 ? Finding::nodule : Finding::effusion};
      const auto drawn = chest(film);
      io::write_png(folder / planned.path(), std::get<Tensor<std::uint8_t, dyn, dyn, dyn>>(drawn.image.pixels));
    });
    done += n;
    if (options.progress) options.progress("phantoms", done, films.size());
  }
  std::string text = "path,label,split,patient\n";
  for (const auto& film : films) {
    const std::string path = film.path();
    text += path + ',' + (film.kind ? name(film.kind == 1 ? Finding::nodule : Finding::effusion) : "healthy") + ',' +
            film.split + ',' + path.substr(6, path.find('_') - 6) + '\n';
  }
  io::write_text_file(manifest, text);
  return manifest;
}

}  // namespace vitals::inline v0::phantom
