// The command line of a program: options are bound to variables, --help and --version come by themselves, and errors
// end the program as all our programs end. A thin face of CLI11, which is slow to compile and included once.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace support {

/// The command line is wrong: exit status 2.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class CommandLine {
 public:
  CommandLine(const std::string& name, const std::string& description);
  ~CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  const std::string& name() const;

  /// The variable's value is the default, shown by --help. Lists are joined by commas: 1,4.
  CommandLine& option(const std::string& flag, std::string& value, const std::string& help);
  CommandLine& option(const std::string& flag, std::filesystem::path& value, const std::string& help);
  CommandLine& option(const std::string& flag, std::size_t& value, const std::string& help);
  CommandLine& option(const std::string& flag, double& value, const std::string& help);
  CommandLine& option(const std::string& flag, std::vector<std::string>& value, const std::string& help);
  CommandLine& option(const std::string& flag, std::vector<std::size_t>& value, const std::string& help);
  CommandLine& option(const std::string& flag, std::vector<double>& value, const std::string& help);
  /// One of a few words.
  CommandLine& choice(const std::string& flag, std::string& value, const std::vector<std::string>& words,
                      const std::string& help);
  CommandLine& flag(const std::string& flag, bool& value, const std::string& help);
  /// What stands without a flag.
  CommandLine& files(const std::string& what, std::vector<std::filesystem::path>& value, const std::string& help);
  /// The option named last must be given.
  CommandLine& required();
  /// A command with options of its own: `metrics classification ...`. Exactly one command must be given.
  CommandLine& command(const std::string& name, const std::string& description);

  /// What is worked out when all options are known.
  CommandLine& afterwards(std::function<void()> rule);

  /// Fills the variables. Throws UsageError; ends the program for --help and --version.
  void parse(int argc, char** argv);
  /// Whether the user gave this option (or command).
  bool given(const std::string& flag) const;

 private:
  struct State;
  explicit CommandLine(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// The frame of every program: runs `body` and turns errors into `NAME: error: ...` on stderr and the exit status
/// (0 done, 1 the work could not be done, 2 the command line is wrong). `body` declares its options and calls parse().
int program(const std::string& name, const std::string& description, const std::function<void(CommandLine&)>& body);

/// From now on Ctrl-C and SIGTERM ask for a stop, and what this gives tells whether they did. A second one ends the program
/// at once.
std::function<bool()> stop_on_signal();

}  // namespace support
