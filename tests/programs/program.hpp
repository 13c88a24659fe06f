// Runs the example programs as processes, the way a user does. Their folder comes from VITALS_PROGRAMS.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

#include <csignal>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rapidjson/document.h>

#include <catch2/catch.hpp>

#include <paths.hpp>
#include <vitals/core/rng.hpp>
#include <vitals/io/image.hpp>

namespace test {

inline std::string text_of(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

/// How a program ended, and what it said.
struct Outcome {
  int status = -1;  ///< exit status; -1: killed by a signal
  std::string out, err;
};

/// A program under way.
class Process {
 public:
  /// `file_limit`: no file may grow beyond so many bytes (a full disk); 0: no limit.
  Process(const std::string& program, const std::vector<std::string>& arguments, rlim_t file_limit = 0) {
    const auto path = from_environment("VITALS_PROGRAMS", "build/examples") / program;
    std::vector<std::string> words{path.string()};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> pointers;
    for (auto& word : words) pointers.push_back(word.data());
    pointers.push_back(nullptr);
    const std::string out = (folder_ / "out").string(), err = (folder_ / "err").string();
    id_ = ::fork();
    if (id_ != 0) return;
    ::dup2(::open(out.c_str(), O_CREAT | O_WRONLY, 0600), STDOUT_FILENO);
    ::dup2(::open(err.c_str(), O_CREAT | O_WRONLY, 0600), STDERR_FILENO);
    if (file_limit) {
      ::signal(SIGXFSZ, SIG_IGN);
      const rlimit limit{file_limit, file_limit};
      ::setrlimit(RLIMIT_FSIZE, &limit);
    }
    ::execv(pointers[0], pointers.data());
    ::_exit(127);
  }
  void kill() { ::kill(id_, SIGKILL); }
  void interrupt() { ::kill(id_, SIGINT); }  // Ctrl-C
  bool running() {
    if (id_ > 0 && ::waitpid(id_, &state_, WNOHANG) == id_) id_ = 0;
    return id_ > 0;
  }
  Outcome wait() {
    if (id_ > 0) ::waitpid(id_, &state_, 0);
    id_ = 0;
    return {WIFEXITED(state_) ? WEXITSTATUS(state_) : -1, text_of(folder_ / "out"), text_of(folder_ / "err")};
  }

 private:
  TemporaryFolder folder_;
  pid_t id_ = 0;
  int state_ = 0;
};

inline Outcome run(const std::string& program, const std::vector<std::string>& arguments) {
  return Process(program, arguments).wait();
}

/// The last line of stderr: where an error stands.
inline std::string last_line(const std::string& text) {
  const auto end = text.find_last_not_of('\n');
  if (end == std::string::npos) return {};
  const auto begin = text.find_last_of('\n', end);
  return text.substr(begin == std::string::npos ? 0 : begin + 1,
                     end - (begin == std::string::npos ? 0 : begin + 1) + 1);
}

inline rapidjson::Document json_of(const std::filesystem::path& file) {
  rapidjson::Document json;
  json.Parse<rapidjson::kParseFullPrecisionFlag>(text_of(file).c_str());
  REQUIRE(!json.HasParseError());
  return json;
}

/// A report without what may differ from run to run: the lines of time, memory and threads.
inline std::string report_without_conditions_of_the_machine(const std::filesystem::path& file) {
  std::string text = text_of(file), kept;
  text.resize(text.find("\"time_s\""));
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const auto line = text.substr(begin, end - begin);
    if (line.find("\"threads\"") == std::string::npos) kept += line + "\n";
    begin = end + 1;
  }
  return kept;
}

/// The value of a metric of the result of this name.
inline const rapidjson::Value& result_of(const rapidjson::Document& report, const std::string& name,
                                         const std::string& metric = "auroc") {
  for (const auto& result : report["results"].GetArray())
    if (result["name"] == name.c_str() && result["metric"] == metric.c_str()) return result;
  throw std::runtime_error("no result " + name + ", " + metric);
}

/// A folder with small striped pictures of two classes and their manifest. Across: stripes lie; upright: they stand.
struct Study {
  TemporaryFolder folder;
  std::size_t images;

  explicit Study(std::size_t n = 30) : images(n) {
    std::string manifest = "path,label,split,patient\n";
    for (std::size_t i = 0; i < n; ++i) {
      const std::string name = std::to_string(i) + ".png";
      if (i < 30) {
        vitals::Tensor<std::uint8_t, vitals::dyn, vitals::dyn, vitals::dyn> pixels({28, 28, 1});
        const vitals::Rng rng(11, i);
        for (std::size_t y = 0; y < 28; ++y)
          for (std::size_t x = 0; x < 28; ++x) {
            const bool stripe = ((i % 2 ? x : y) + rng.below_at(5000, 7)) % 7 < 3;
            pixels(y, x, 0u) = static_cast<std::uint8_t>((stripe ? 90 : 40) + rng.below_at(y * 28 + x, 120));
          }
        vitals::io::write_png(folder / name, pixels);
      } else {  // the same pictures in other files: writing a PNG waits for the disk
        std::filesystem::copy_file(folder / (std::to_string(i % 30) + ".png"), folder / name);
        std::ofstream(folder / name, std::ios::app) << i;
      }
      const char* split = i % 10 < 5 ? "train" : i % 10 < 7 ? "val" : "test";
      manifest += name + "," + (i % 2 ? "upright" : "across") + "," + split + ",p" + std::to_string(i) + "\n";
    }
    write("manifest.csv", manifest);
  }
  void write(const std::string& name, const std::string& text) const { std::ofstream(folder / name) << text; }
  std::string operator/(const std::string& name) const { return (folder / name).string(); }
  bool has(const std::string& name) const { return std::filesystem::exists(folder / name); }
  /// Arguments of an evaluation on 28 x 28 pixels with the demo weights.
  std::vector<std::string> arguments(const std::vector<std::string>& more, const std::string& report = "r.json") const {
    std::vector<std::string> all{"--data",   *this / "manifest.csv", "--size", "28", "--bootstrap", "50",
                                 "--report", *this / report};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
};

}  // namespace test
