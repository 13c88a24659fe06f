#include "comparison.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <limits>
#include <span>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vitals/core/error.hpp>
#include <vitals/eval/few_shot.hpp>
#include <vitals/io/atomic_file.hpp>
#include <vitals/io/csv.hpp>
#include <vitals/io/json.hpp>
#include <vitals/metrics/bootstrap.hpp>
#include <vitals/metrics/ranking.hpp>
#include <vitals/report/predictions.hpp>
#include <vitals/report/text.hpp>

#include "command_line.hpp"

extern char** environ;

namespace vt = vitals;

namespace support {

namespace {

std::string text_of(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

}  // namespace

Way way_of(const std::string& text, const std::vector<std::size_t>& seeds) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(':', begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  const auto wrong = [&](const std::string& why) { throw UsageError("--methods: \"" + text + "\": " + why); };
  if (parts[0] == "knn") {
    if (parts.size() > 2) wrong("write knn or knn:K");
    return {text, "knn", {"--k", parts.size() > 1 ? parts[1] : "20"}, {seeds[0]}};
  }
  if (parts[0] != "head" && parts[0] != "full" && parts[0] != "lora" && parts[0] != "bitfit")
    wrong("use head, full, lora, bitfit or knn");
  if (parts.size() > 4) wrong("write METHOD:OPTIMIZER:RATE:HEAD_RATE");
  Way way{text, "fine_tune", {"--method", parts[0]}, seeds};
  constexpr const char* flags[] = {"", "--optimizer", "--lr", "--head-lr"};
  for (std::size_t i = 1; i < parts.size(); ++i) {
    if (parts[i].empty()) continue;  // its default
    // A head alone has one rate, its own.
    const bool head_rate = parts[0] == "head" && i == 2;
    way.arguments.insert(way.arguments.end(), {head_rate ? "--head-lr" : flags[i], parts[i]});
  }
  return way;
}

void write_manifest(const std::filesystem::path& file, const vt::data::Dataset& data, std::size_t images, bool val) {
  auto chosen = images ? vt::eval::few_shot_study(data, images) : data.indices(vt::data::Split::train);
  for (const auto split : {vt::data::Split::val, vt::data::Split::test})
    if (split == vt::data::Split::test || val)
      for (const std::size_t i : data.indices(split)) chosen.push_back(i);
  const std::vector<std::string> header{"path", "label", "split", "patient"};
  std::vector<std::vector<std::string>> rows;
  for (const std::size_t i : chosen) {
    const auto& item = data.items[i];
    std::string labels;
    for (const auto label : item.labels) labels += (labels.empty() ? "" : "|") + data.classes[label];
    rows.push_back(
        {std::filesystem::absolute(data.file(i)).string(), labels, vt::data::name(item.split), item.patient});
  }
  vt::io::write_csv(file, header, rows);
}

std::filesystem::path run_way(const Way& way, std::size_t seed, const std::vector<std::string>& shared,
                              const std::filesystem::path& folder) {
  std::string name = way.text + "-seed" + std::to_string(seed);
  std::replace(name.begin(), name.end(), ':', '_');
  const auto report = folder / (name + ".json"), command_file = folder / (name + ".command");
  const auto program = std::filesystem::read_symlink("/proc/self/exe").parent_path() / way.program;
  std::vector<std::string> words{program.string(),
                                 "--seed",
                                 std::to_string(seed),
                                 "--report",
                                 report.string(),
                                 "--predictions",
                                 (folder / (name + ".csv")).string(),
                                 "--bootstrap",
                                 "0"};
  words.insert(words.end(), way.arguments.begin(), way.arguments.end());
  words.insert(words.end(), shared.begin(), shared.end());
  std::string command;
  for (const auto& word : words) command += word + "\n";
  if (text_of(command_file) == command) return report;

  std::vector<char*> pointers;
  for (auto& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t child = 0;
  const int failed = posix_spawn(&child, pointers[0], &actions, nullptr, pointers.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  if (failed || waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
    throw vt::Error(way.program + " did not come to its end", way.text + ", seed " + std::to_string(seed),
                    failed ? "is it built beside this program?" : "its own words stand above");
  vt::io::write_text_file(command_file, command);  // last: the run is whole
  return report;
}

namespace {

// AUROC of a P.csv on any resample: of a binary task the second class, else the mean over the classes.
class Scores {
 public:
  Scores(const std::filesystem::path& file, bool binary) : source(file.string()) {
    const auto p = vt::report::read_predictions(file);
    paths = p.paths;
    for (std::size_t k = binary ? 1 : 0; k < p.classes.size(); ++k) {
      std::vector<std::uint8_t> targets;
      std::vector<double> scores;
      for (std::size_t i = 0; i < p.paths.size(); ++i) {
        targets.push_back(p.targets(i, k));
        scores.push_back(p.scores(i, k));
      }
      rankings_.emplace_back(targets, scores);
    }
  }
  double auroc(std::span<const std::uint32_t> counts) const {
    double sum = 0;
    for (const auto& ranking : rankings_) {
      const auto area = counts.empty() ? ranking.values().auroc : ranking.values(counts).auroc;
      if (!area) return std::numeric_limits<double>::quiet_NaN();
      sum += *area;
    }
    return sum / static_cast<double>(rankings_.size());
  }
  std::string source;
  std::vector<std::string> paths;

 private:
  std::vector<vt::metrics::Ranking> rankings_;
};

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<long>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

}  // namespace

std::vector<WayResult> score_ways(const std::vector<Way>& ways,
                                  const std::vector<std::vector<std::filesystem::path>>& reports,
                                  const vt::data::Dataset& data, std::size_t bootstrap, std::size_t seed) {
  const auto test = data.indices(vt::data::Split::test);
  std::vector<WayResult> out(ways.size());
  std::vector<std::vector<Scores>> scores(ways.size());
  for (std::size_t w = 0; w < ways.size(); ++w) {
    auto& result = out[w];
    result.name = ways[w].arguments.size() > 1 ? ways[w].text : ways[w].program;
    std::vector<double> seconds;
    for (const auto& file : reports[w]) {
      const auto report = vt::io::read_json(file);
      const auto& conditions = report.at("conditions");
      result.peak_memory_mib = std::max(result.peak_memory_mib, report.at("peak_memory_mib").as_number());
      if (const auto* step = report.at("time_s").find("step")) seconds.push_back(step->as_number());
      result.trainable = 0;
      for (const char* part : {"trainable_parameters", "head_parameters"})
        if (const auto* n = conditions.find(part)) result.trainable += static_cast<std::size_t>(n->as_integer());
      auto& one = scores[w].emplace_back(std::filesystem::path(file).replace_extension(".csv"),
                                         data.task == vt::data::Task::binary);
      if (one.paths.size() != test.size()) throw vt::DataError("scores of another number of images", one.source);
    }
    if (!seconds.empty()) result.seconds_per_step = median(seconds);
  }
  const auto mean = [&](std::size_t w, std::span<const std::uint32_t> counts) {
    double sum = 0;
    for (const auto& one : scores[w]) sum += one.auroc(counts);
    return sum / static_cast<double>(scores[w].size());
  };
  std::vector<vt::metrics::Bootstrap> intervals(2 * ways.size());
  if (bootstrap) {
    vt::metrics::BootstrapOptions options{.samples = bootstrap, .seed = seed};
    std::vector<std::string> patients;
    for (const std::size_t i : test) patients.push_back(data.items[i].patient);
    options.groups = vt::metrics::group_numbers(patients);
    intervals = vt::metrics::bootstrap(
        test.size(), 2 * ways.size(),
        [&](std::span<const std::uint32_t> counts, std::span<double> values) {
          for (std::size_t w = 0; w < ways.size(); ++w) {
            values[w] = mean(w, counts);
            values[ways.size() + w] = values[w] - values[0];
          }
        },
        options);
  }
  for (std::size_t w = 0; w < ways.size(); ++w) {
    auto& a = out[w].auroc;
    a.name = out[w].name;
    a.split = "test";
    a.metric = "auroc";
    a.n = test.size();
    a.repeats = scores[w].size();
    const double value = mean(w, {});
    a.value = std::isnan(value) ? vt::metrics::Score::none("a class has images of one label only")
                                : vt::metrics::Score(value);
    a.ci95 = intervals[w].ci;
    if (scores[w].size() > 1) {
      double squares = 0;
      for (const auto& one : scores[w]) squares += std::pow(one.auroc({}) - value, 2);
      a.sd = std::sqrt(squares / static_cast<double>(scores[w].size() - 1));
    }
    auto& d = out[w].difference = a;
    d.metric = "auroc minus " + out[0].name;
    if (a.value) d.value = vt::metrics::Score(value - *out[0].auroc.value);
    d.sd.reset();
    d.ci95 = intervals[ways.size() + w].ci;
  }
  return out;
}

std::vector<vt::report::Result> rows_of(const WayResult& r) {
  std::vector<vt::report::Result> rows{r.auroc, r.difference};
  const auto plain = [&](const char* metric, double value) {
    auto& row = rows.emplace_back();
    row.name = r.name;
    row.split = "train";
    row.metric = metric;
    row.value = value;
  };
  plain("trainable_parameters", static_cast<double>(r.trainable));
  if (r.seconds_per_step) plain("seconds_per_step", *r.seconds_per_step);
  plain("peak_memory_mib", r.peak_memory_mib);
  return rows;
}

std::string comparison_table(const std::vector<WayResult>& results) {
  using vt::report::fixed;
  const auto interval = [](const vt::report::Result& r) {
    return r.ci95 ? " (" + fixed(r.ci95->low, 3) + " to " + fixed(r.ci95->high, 3) + ")" : std::string();
  };
  std::string text = "| method | AUROC, 95 % interval | sd over seeds | minus " + results[0].name +
                     " | trainable | s a step | peak MiB |\n| --- | --- | --- | --- | --- | --- | --- |\n";
  for (const auto& r : results) {
    const auto number = [](const vt::report::Result& x) {
      return x.value ? fixed(*x.value.value, 3) : "not defined: " + x.value.undefined;
    };
    text += "| " + r.name + " | " + number(r.auroc) + interval(r.auroc) + " | " +
            (r.auroc.sd ? fixed(*r.auroc.sd, 3) : "-") + " | " +
            (&r == &results[0] ? "-" : number(r.difference) + interval(r.difference)) + " | " +
            std::to_string(r.trainable) + " | " + (r.seconds_per_step ? fixed(*r.seconds_per_step, 2) : "-") + " | " +
            fixed(r.peak_memory_mib, 0) + " |\n";
  }
  return text;
}

}  // namespace support
