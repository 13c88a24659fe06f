// Our side of bench/compare: a process that waits for commands on stdin, one a line, and answers each with one line of
// JSON on stdout. bench/compare/peers.py answers the same commands. Words are separated by single tabs.
//
//   weights PRESET SEED FILE          writes a random checkpoint
//   load PRESET PRECISION FILE ...    a backbone with these weights; further words are for the peers
//   pixels FILE                       its tensor `pixels` (B, 3, H, W) is what `forward` reads
//   forward N [cls]                   N forward passes, for all tokens or for the CLS token alone: {"seconds": [...]}
//   features OUT                      cls and patches of one forward pass to OUT (.safetensors)
//   train METHOD PRESET PRECISION FILE SIDE START
//                                     a backbone with a head to train (train.hpp): {"trainable": n}
//   steps N                           N steps on `pixels`: {"seconds": [...], "losses": [...]}
//   matrices FILE                     its tensors `train` (n, D) and `queries` (m, D)
//   knn K M                           the first M queries: {"seconds": [...]}
//   neighbours K M OUT                `index` (M, K) and `cosine` (M, K) of them to OUT
//   predictions FILE                  its tensors `targets` (n, K) uint8 and `scores` (n, K) float64
//   auroc SAMPLES                     intervals of every column: {"seconds": [...], "auroc": [...], "low", "high"}
//   about                             version, instruction set, threads, precisions, measured peak
//   memory                            peak resident memory so far
//   quit
//
// A command that fails answers {"error": "..."}.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <memory>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <vitals/backend/cpu/isa.hpp>
#include <vitals/core/error.hpp>
#include <vitals/core/tensor.hpp>
#include <vitals/core/version.hpp>
#include <vitals/eval/neighbours.hpp>
#include <vitals/io/safetensors.hpp>
#include <vitals/io/tensor_file.hpp>
#include <vitals/metrics/bootstrap.hpp>
#include <vitals/metrics/ranking.hpp>
#include <vitals/models/dinov2.hpp>

#include "memory.hpp"
#include "peak.hpp"
#include "random_checkpoint.hpp"
#include "train.hpp"

namespace {

using vitals::dyn;
using Words = std::vector<std::string>;

// The arithmetics that the library has, by the names that compare.py uses.
struct Arithmetic {
  std::string_view name;
  std::unique_ptr<vitals::Backbone> (*load)(std::string_view, const std::filesystem::path&, const vitals::LoadOptions&);
};
constexpr std::array arithmetics{
    Arithmetic{"float32", &vitals::dinov2::load<vitals::Cpu<float>>},
    Arithmetic{"bfloat16", &vitals::dinov2::load<vitals::Cpu<vitals::bfloat16>>},
    Arithmetic{"int8", &vitals::dinov2::load<vitals::Cpu<std::int8_t>>},
};

const Arithmetic& arithmetic(std::string_view name) {
  for (const Arithmetic& one : arithmetics)
    if (one.name == name) return one;
  throw vitals::ArgumentError("[worker] no arithmetic '" + std::string(name) + "'");
}

double timed(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

std::string list(const std::vector<double>& values) {
  std::ostringstream out;
  out.precision(12);
  out << "[";
  for (std::size_t i = 0; i < values.size(); ++i) out << (i ? ", " : "") << values[i];
  out << "]";
  return out.str();
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (char c : text)
    if (c == '"' || c == '\\')
      out += '\\', out += c;
    else
      out += static_cast<unsigned char>(c) < 32 ? ' ' : c;
  return out + "\"";
}

// The tensor of a file, converted to T.
template <class T, std::size_t... E>
vitals::Tensor<T, E...> read(const std::string& file, const std::string& name) {
  const auto opened = vitals::io::TensorFile::open(file);
  const auto* entry = opened.find(name);
  if (!entry || entry->shape.size() != sizeof...(E))
    throw vitals::DataError("no tensor '" + name + "' of " + std::to_string(sizeof...(E)) + " axes", file);
  std::array<std::size_t, sizeof...(E)> shape{};
  std::copy(entry->shape.begin(), entry->shape.end(), shape.begin());
  vitals::Tensor<T, E...> out(shape);
  if constexpr (std::is_same_v<T, std::uint8_t>) {
    std::vector<double> numbers(entry->size());
    opened.read(*entry, numbers);
    std::transform(numbers.begin(), numbers.end(), out.begin(), [](double v) { return static_cast<T>(v); });
  } else {
    opened.read(*entry, out.span());
  }
  return out;
}

template <class T, std::size_t... E>
vitals::io::NamedTensor named(const std::string& name, const vitals::Tensor<T, E...>& tensor) {
  return {name, {tensor.shape().begin(), tensor.shape().end()}, tensor.span()};
}

class Worker {
 public:
  explicit Worker(unsigned threads) : pool_(threads) {}

  std::string answer(const Words& words) {
    const std::string& command = words[0];
    const auto word = [&](std::size_t i) -> const std::string& {
      if (i >= words.size()) throw vitals::ArgumentError("[worker] '" + command + "' needs more words");
      return words[i];
    };
    const auto number = [&](std::size_t i) { return static_cast<std::size_t>(std::stoull(word(i))); };
    if (command == "weights") {
      bench::write_random_checkpoint(word(1), number(2), word(3));
      return "{}";
    }
    if (command == "load") {
      const std::string preset = word(1), file = word(3);
      const auto& precision = arithmetic(word(2));
      return seconds({timed([&] { model_ = precision.load(preset, file, {.positions = {}, .executor = &pool_}); })});
    }
    if (command == "pixels") {
      pixels_ = read<float, dyn, 3, dyn, dyn>(word(1), "pixels");
      return "{}";
    }
    if (command == "forward") {
      std::vector<double> times(number(1));
      const bool patches = words.size() < 3;
      for (double& time : times) time = timed([&] { forward(patches); });
      return seconds(times);
    }
    if (command == "features") {
      const auto out = forward();
      vitals::io::write_safetensors(word(1), std::vector{named("cls", out.cls), named("patches", out.patches)});
      return "{}";
    }
    if (command == "train") {
      training_ = std::make_unique<compare::Training>(word(1), word(2), word(3), word(4), word(6), pool_);
      return "{\"trainable\": " + std::to_string(training_->trainable()) + "}";
    }
    if (command == "steps") return steps(number(1));
    if (command == "matrices") {
      train_ = read<float, dyn, dyn>(word(1), "train");
      queries_ = read<float, dyn, dyn>(word(1), "queries");
      return "{}";
    }
    if (command == "knn") {
      const std::size_t k = number(1), m = number(2);
      return seconds({timed([&] { neighbours(k, m); })});
    }
    if (command == "neighbours") {
      const auto found = neighbours(number(1), number(2));
      vitals::io::write_safetensors(word(3), std::vector{named("index", found.index), named("cosine", found.cosine)});
      return "{}";
    }
    if (command == "predictions") {
      targets_ = read<std::uint8_t, dyn, dyn>(word(1), "targets");
      scores_ = read<double, dyn, dyn>(word(1), "scores");
      return "{}";
    }
    if (command == "auroc") return auroc(number(1));
    if (command == "memory") return "{\"peak_memory_mib\": " + std::to_string(bench::peak_memory() / 1048576) + "}";
    if (command == "about") return about();
    throw vitals::ArgumentError("[worker] unknown command '" + command + "'");
  }

 private:
  std::string about() {
    std::ostringstream out;
    const auto isa = vitals::backend::cpu::active_isa();
    out << "{\"version\": " << quoted(vitals::version)
        << ", \"instruction_set\": " << quoted(vitals::backend::cpu::name(isa)) << ", \"threads\": " << pool_.threads()
        << ", \"precisions\": [";
    for (const Arithmetic& one : arithmetics)
      out << (&one == &arithmetics[0] ? "" : ", ") << quoted(std::string(one.name));
    out << "], \"peak_gflops\": {";
    for (const auto precision : {bench::Precision::float32, bench::Precision::bfloat16})
      out << (precision == bench::Precision::float32 ? "" : ", ") << quoted(bench::name(precision)) << ": "
          << bench::measure_peak(isa, precision, pool_.threads()) * 1e-9;
    out << "}}";
    return out.str();
  }

  static std::string seconds(const std::vector<double>& times) { return "{\"seconds\": " + list(times) + "}"; }

  vitals::Features forward(bool patches = true) {
    if (!model_ || pixels_.empty()) throw vitals::ArgumentError("[worker] load and pixels come first");
    return model_->features(pixels_, {.patches = patches, .executor = &pool_});
  }

  std::string steps(std::size_t n) {
    if (!training_ || pixels_.empty()) throw vitals::ArgumentError("[worker] train and pixels come first");
    std::vector<double> times, losses;
    for (std::size_t i = 0; i < n; ++i) {
      const auto step = training_->step(pixels_);
      times.push_back(step.seconds), losses.push_back(step.loss);
    }
    return "{\"seconds\": " + list(times) + ", \"losses\": " + list(losses) + "}";
  }

  vitals::eval::Neighbours neighbours(std::size_t k, std::size_t m) {
    if (m > queries_.extent(0)) throw vitals::ArgumentError("[worker] fewer queries than asked for");
    const vitals::TensorView<const float, dyn, dyn> some(queries_.data(), {m, queries_.extent(1)});
    return vitals::eval::neighbours(train_, some, k, {.progress = {}, .executor = &pool_});
  }

  std::string auroc(std::size_t samples) {
    namespace m = vitals::metrics;
    const std::size_t n = targets_.extent(0), labels = targets_.extent(1);
    std::vector<double> values, low, high;
    const double time = timed([&] {
      std::vector<m::Ranking> rankings;
      std::vector<std::uint8_t> targets(n);
      std::vector<double> scores(n);
      for (std::size_t c = 0; c < labels; ++c) {
        for (std::size_t i = 0; i < n; ++i) targets[i] = targets_(i, c), scores[i] = scores_(i, c);
        rankings.emplace_back(targets, scores);
        values.push_back(*rankings.back().values().auroc);
      }
      m::BootstrapOptions options;
      options.samples = samples;
      options.executor = &pool_;
      const auto intervals = m::bootstrap(
          n, labels,
          [&](std::span<const std::uint32_t> counts, std::span<double> out) {
            for (std::size_t c = 0; c < labels; ++c) out[c] = *rankings[c].values(counts).auroc;
          },
          options);
      for (const auto& interval : intervals) low.push_back(interval.ci->low), high.push_back(interval.ci->high);
    });
    return "{\"seconds\": " + list({time}) + ", \"auroc\": " + list(values) + ", \"low\": " + list(low) +
           ", \"high\": " + list(high) + "}";
  }

  vitals::ThreadPool pool_;
  std::unique_ptr<compare::Training> training_;
  std::unique_ptr<vitals::Backbone> model_;
  vitals::Tensor<float, dyn, 3, dyn, dyn> pixels_;
  vitals::Tensor<float, dyn, dyn> train_, queries_;
  vitals::Tensor<std::uint8_t, dyn, dyn> targets_;
  vitals::Tensor<double, dyn, dyn> scores_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 || std::atoi(argv[1]) < 1) {
    std::cerr << "compare_worker: error: the command line is the number of threads; commands come on stdin\n";
    return 2;
  }
  Worker worker(static_cast<unsigned>(std::atoi(argv[1])));
  for (std::string line; std::getline(std::cin, line) && line != "quit";) {
    Words words;
    std::istringstream in(line);
    for (std::string word; std::getline(in, word, '\t');) words.push_back(word);
    if (words.empty()) continue;
    try {
      std::cout << worker.answer(words) << std::endl;
    } catch (const std::exception& error) {
      std::cout << "{\"error\": " << quoted(error.what()) << "}" << std::endl;
    }
  }
}
