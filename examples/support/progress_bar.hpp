// Progress on stderr: on a terminal a bar with rate and time left, elsewhere a line now and then.
#pragma once

#include <memory>
#include <string>

#include <vitals/core/progress.hpp>

namespace support {

class ProgressBar {
 public:
  explicit ProgressBar(bool quiet);
  ~ProgressBar();
  /// The sink to hand to the library; lives as long as the bar.
  vitals::Progress sink();
  /// What stands behind the rate, such as the loss; empty: nothing.
  void detail(const std::string& text);
  /// A line of its own, such as a warning; nothing with --quiet.
  void say(const std::string& line);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace support
