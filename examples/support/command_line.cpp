#include "command_line.hpp"

#include <charconv>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <new>
#include <utility>

#include <CLI/CLI.hpp>

#include <vitals/core/number_text.hpp>
#include <vitals/core/version.hpp>

namespace support {

namespace {

volatile std::sig_atomic_t interrupted = 0;  // the only thing that a handler may touch

// Thrown by --help and --version when the text is printed.
struct Done {};

[[noreturn]] void reject(const std::string& flag, const std::string& text, const std::string& expected) {
  throw UsageError(flag + ": \"" + text + "\" is not " + expected);
}

template <class T>
T number(const std::string& flag, const std::string& text, const char* expected) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) reject(flag, text, expected);
  if constexpr (std::is_floating_point_v<T>)
    if (!std::isfinite(value)) reject(flag, text, expected);
  return value;
}
void read(const std::string&, const std::string& text, std::string& value) { value = text; }
void read(const std::string&, const std::string& text, std::filesystem::path& value) { value = text; }
void read(const std::string& flag, const std::string& text, std::size_t& value) {
  value = number<std::size_t>(flag, text, "a whole number");
}
void read(const std::string& flag, const std::string& text, double& value) {
  value = number<double>(flag, text, "a number");
}
template <class T>
void read(const std::string& flag, const std::string& text, std::vector<T>& value) {
  value.clear();
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    if (end == begin) reject(flag, text, "a list joined by commas");
    read(flag, text.substr(begin, end - begin), value.emplace_back());
    begin = end + 1;
  }
}

std::string shown(const std::string& value) { return value; }
std::string shown(const std::filesystem::path& value) { return value.string(); }
std::string shown(std::size_t value) { return std::to_string(value); }
std::string shown(double value) { return vitals::shortest_text(value); }
template <class T>
std::string shown(const std::vector<T>& values) {
  std::string text;
  for (const auto& value : values) text += (text.empty() ? "" : ",") + shown(value);
  return text;
}

template <class T>
const char* kind = "TEXT";
template <>
const char* kind<std::filesystem::path> = "FILE";
template <>
const char* kind<std::size_t> = "N";
template <>
const char* kind<double> = "X";
template <>
const char* kind<std::vector<std::string>> = "A,B,..";
template <>
const char* kind<std::vector<std::size_t>> = "N,N,..";
template <>
const char* kind<std::vector<double>> = "X,X,..";

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : "|") + word;
  return text;
}

}  // namespace

struct CommandLine::State {
  std::unique_ptr<CLI::App> own;  // of the program itself
  CLI::App* app = nullptr;
  CLI::Option* last = nullptr;
  std::string name;
  std::vector<std::unique_ptr<CommandLine>> commands;
  std::vector<std::function<void()>> rules;  // afterwards()

  template <class T>
  void add(const std::string& flag, T& value, const std::string& help) {
    last = app->add_option_function<std::string>(
        flag, [flag, &value](const std::string& text) { read(flag, text, value); }, help);
    last->type_name(kind<T>)->default_str(shown(value))->take_last();
  }
};

CommandLine::CommandLine(const std::string& name, const std::string& description) : state_(std::make_unique<State>()) {
  state_->own = std::make_unique<CLI::App>(description, name);
  state_->app = state_->own.get();
  state_->name = name;
  state_->app->set_version_flag("--version", name + " " + vitals::version);
  state_->app->get_formatter()->column_width(34);
}
CommandLine::CommandLine(std::unique_ptr<State> state) : state_(std::move(state)) {}
CommandLine::~CommandLine() = default;

const std::string& CommandLine::name() const { return state_->name; }

CommandLine& CommandLine::option(const std::string& flag, std::string& value, const std::string& help) {
  state_->add(flag, value, help);
  return *this;
}
CommandLine& CommandLine::option(const std::string& flag, std::filesystem::path& value, const std::string& help) {
  state_->add(flag, value, help);
  return *this;
}
CommandLine& CommandLine::option(const std::string& flag, std::size_t& value, const std::string& help) {
  state_->add(flag, value, help);
  return *this;
}
CommandLine& CommandLine::option(const std::string& flag, double& value, const std::string& help) {
  state_->add(flag, value, help);
  return *this;
}
CommandLine& CommandLine::option(const std::string& flag, std::vector<std::string>& value, const std::string& help) {
  state_->add(flag, value, help);
  return *this;
}
CommandLine& CommandLine::option(const std::string& flag, std::vector<std::size_t>& value, const std::string& help) {
  state_->add(flag, value, help);
  return *this;
}
CommandLine& CommandLine::option(const std::string& flag, std::vector<double>& value, const std::string& help) {
  state_->add(flag, value, help);
  return *this;
}

CommandLine& CommandLine::choice(const std::string& flag, std::string& value, const std::vector<std::string>& words,
                                 const std::string& help) {
  state_->last = state_->app->add_option_function<std::string>(
      flag,
      [flag, words, &value](const std::string& text) {
        if (std::find(words.begin(), words.end(), text) == words.end()) reject(flag, text, "one of " + joined(words));
        value = text;
      },
      help);
  state_->last->type_name(words.size() <= 4 ? joined(words) : "NAME")->default_str(value)->take_last();
  return *this;
}

CommandLine& CommandLine::flag(const std::string& flag, bool& value, const std::string& help) {
  state_->last = state_->app->add_flag(flag, value, help);
  return *this;
}

CommandLine& CommandLine::files(const std::string& what, std::vector<std::filesystem::path>& value,
                                const std::string& help) {
  state_->last = state_->app->add_option_function<std::vector<std::string>>(
      what, [&value](const std::vector<std::string>& given) { value.assign(given.begin(), given.end()); }, help);
  state_->last->type_name("FILE");
  return *this;
}

CommandLine& CommandLine::required() {
  state_->last->required();
  return *this;
}

CommandLine& CommandLine::command(const std::string& name, const std::string& description) {
  auto state = std::make_unique<State>();
  state->app = state_->app->add_subcommand(name, description);
  state->name = state_->name + " " + name;
  state_->app->require_subcommand(1);
  state_->commands.push_back(std::unique_ptr<CommandLine>(new CommandLine(std::move(state))));
  return *state_->commands.back();
}

CommandLine& CommandLine::afterwards(std::function<void()> rule) {
  state_->rules.push_back(std::move(rule));
  return *this;
}

void CommandLine::parse(int argc, char** argv) {
  try {
    state_->app->parse(argc, argv);
  } catch (const CLI::Success& asked) {  // --help, --version
    state_->app->exit(asked, std::cout, std::cerr);
    throw Done();
  } catch (const CLI::ParseError& wrong) {
    throw UsageError(wrong.what() + std::string("; ") + state_->name + " --help explains the options");
  }
  for (const auto& rule : state_->rules) rule();
}

bool CommandLine::given(const std::string& flag) const {
  if (flag.rfind("-", 0) == 0) return state_->app->count(flag) > 0;
  return state_->app->got_subcommand(flag);
}

int program(const std::string& name, const std::string& description, const std::function<void(CommandLine&)>& body) {
  const auto failed = [&](int status, const std::string& why) {
    std::cout.flush();
    std::cerr << name << ": error: " << why << std::endl;
    return status;
  };
  try {
    CommandLine line(name, description);
    body(line);
    std::cout.flush();
    return std::cout ? 0 : failed(1, "the results could not be written to the standard output");
  } catch (const Done&) {
    return 0;
  } catch (const UsageError& error) {
    return failed(2, error.what());
  } catch (const std::bad_alloc&) {
    return failed(1, "there is not enough memory; ask for a smaller --batch or --size");
  } catch (const std::exception& error) {
    return failed(1, error.what());
  }
}

std::function<bool()> stop_on_signal() {
  struct sigaction action = {};
  action.sa_handler = [](int) { interrupted = 1; };
  action.sa_flags = static_cast<int>(SA_RESETHAND);  // a second Ctrl-C ends the program at once
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  return [] { return interrupted != 0; };
}

}  // namespace support
