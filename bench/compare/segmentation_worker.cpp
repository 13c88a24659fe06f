// Our side of bench/compare/segmentation.py: trains a segmentation decoder on made-up tokens. Commands on stdin, one a line, words
// separated by tabs, each answered with one line of JSON:
//
//   decoder PRECISION FILE BATCH THREADS   a decoder with the values of a file (train::save_decoder), SGD 0.9
//   tokens FILE                            `block.0` ... (B, N, D) float32 and `masks` (B, H, W) uint8
//   step N LOSS RATE                       N training steps: {"seconds": [...], "losses": [...]}
//   predict N                              N forward passes of the batch: {"seconds": [...]}
//   memory                                 peak resident memory so far
//   quit
//
// With the argument --cpu-time seconds are those of the processor: for a machine on which other programs run, with one thread.
#include <chrono>
#include <cmath>
#include <cstdint>
#include <ctime>
#include <iostream>
#include <memory>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <vitals/core/parallel.hpp>
#include <vitals/io/tensor_file.hpp>
#include <vitals/train/trainable_decoder.hpp>

#include "memory.hpp"

namespace vt = vitals;
using vt::dyn;

namespace {

struct Worker {
  bool cpu_time = false;
  std::unique_ptr<vt::ThreadPool> pool;
  std::unique_ptr<vt::train::TrainableDecoder> decoder;
  std::unique_ptr<vt::train::Optimizer> optimizer;
  std::vector<vt::Tensor<float, dyn, dyn, dyn>> blocks;
  vt::Tensor<std::uint8_t, dyn, dyn, dyn> masks;

  vt::train::DecoderInput input() const {
    vt::train::DecoderInput out;
    for (const auto& block : blocks) out.blocks.push_back(block);
    out.height = out.width = static_cast<std::size_t>(std::lround(std::sqrt(blocks[0].extent(1))));
    return out;
  }

  std::string answer(const std::vector<std::string>& words) {
    const auto now = [&] {
      if (cpu_time) return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
      return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
    };
    const auto since = [&](double start) { return now() - start; };
    const std::string& command = words.at(0);
    std::ostringstream seconds, losses;
    if (command == "decoder") {
      pool = std::make_unique<vt::ThreadPool>(static_cast<unsigned>(std::stoul(words.at(4))));
      decoder = vt::train::load_decoder(words.at(2), words.at(1), *pool);
      optimizer = nullptr;
      return "{\"parameters\": " + std::to_string(decoder->parameters()) + "}";
    }
    if (command == "tokens") {
      const auto file = vt::io::TensorFile::open(words.at(1));
      blocks.clear();
      for (std::size_t i = 0; const auto* entry = file.find("block." + std::to_string(i)); ++i) {
        blocks.emplace_back(std::array<std::size_t, 3>{entry->shape[0], entry->shape[1], entry->shape[2]});
        file.read(*entry, blocks.back().span());
      }
      const auto* entry = file.find("masks");
      masks = vt::Tensor<std::uint8_t, dyn, dyn, dyn>({entry->shape[0], entry->shape[1], entry->shape[2]});
      std::vector<double> values(entry->size());
      file.read(*entry, std::span<double>(values));
      for (std::size_t i = 0; i < values.size(); ++i) masks.data()[i] = static_cast<std::uint8_t>(values[i]);
      return "{}";
    }
    if (command == "step") {
      const auto kind = vt::losses::segmentation_loss_by_name(words.at(2));
      if (!optimizer)
        optimizer = decoder->optimizer(
            {.kind = vt::train::OptimizerKind::sgd, .head_lr = std::stod(words.at(3)), .momentum = 0.9}, *pool);
      for (int i = 0; i < std::stoi(words.at(1)); ++i) {
        const auto start = now();
        const double loss = decoder->gradient(input(), masks, kind, *pool);
        optimizer->step();
        seconds << (i ? ", " : "") << since(start);
        losses << (i ? ", " : "") << loss;
      }
      return "{\"seconds\": [" + seconds.str() + "], \"losses\": [" + losses.str() + "]}";
    }
    if (command == "predict") {
      for (int i = 0; i < std::stoi(words.at(1)); ++i) {
        const auto start = now();
        decoder->predict(input(), vt::nn::NormMode::running, *pool);
        seconds << (i ? ", " : "") << since(start);
      }
      return "{\"seconds\": [" + seconds.str() + "]}";
    }
    if (command == "memory") return "{\"peak_memory_mib\": " + std::to_string(bench::peak_memory() / 1048576) + "}";
    return "{\"error\": \"unknown command\"}";
  }
};

}  // namespace

int main(int argc, char** argv) {
  Worker worker;
  worker.cpu_time = argc > 1 && std::string_view(argv[1]) == "--cpu-time";
  for (std::string line; std::getline(std::cin, line) && line != "quit";) {
    std::vector<std::string> words;
    std::istringstream parts(line);
    for (std::string word; std::getline(parts, word, '\t');) words.push_back(word);
    try {
      std::cout << worker.answer(words) << std::endl;
    } catch (const std::exception& e) {
      std::string text = e.what();
      for (char& c : text)
        if (c == '"' || c == '\\' || c == '\n') c = '\'';
      std::cout << "{\"error\": \"" << text << "\"}" << std::endl;
    }
  }
}
