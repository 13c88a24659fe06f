#include "progress_bar.hpp"

#include <chrono>
#include <cmath>
#include <cstdio>
#include <iostream>

#include <unistd.h>

namespace support {

using Clock = std::chrono::steady_clock;

struct ProgressBar::State {
  bool quiet = false, terminal = false, drawn = false;
  std::string stage, detail;
  std::size_t first = 0;  // done when the stage was first seen: taken from a cache, no part of the rate
  Clock::time_point begin, shown;

  static std::string duration(double seconds) {
    const auto s = static_cast<long>(std::lround(seconds));
    char text[32];
    if (s >= 3600)
      std::snprintf(text, sizeof text, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
      std::snprintf(text, sizeof text, "%ld:%02ld", s / 60, s % 60);
    return text;
  }

  void update(const std::string& now, std::size_t done, std::size_t total) {
    if (quiet) return;
    const auto time = Clock::now();
    if (now != stage) {
      finish();
      stage = now;
      first = done < total ? done : 0;
      begin = shown = time;
      if (done < total && !terminal) return;
    } else if (done < total && time - shown < (terminal ? std::chrono::milliseconds(100) : std::chrono::seconds(10))) {
      return;
    }
    shown = time;
    const double seconds = std::chrono::duration<double>(time - begin).count();
    const double rate = seconds > 0 ? static_cast<double>(done - std::min(first, done)) / seconds : 0;
    std::string text = stage + " " + std::to_string(done) + "/" + std::to_string(total);
    if (terminal && total > 0) {
      const std::size_t filled = 30 * done / total;
      text += " [" + std::string(filled, '=') + std::string(30 - filled, ' ') + "]";
    }
    if (rate > 0) {
      char part[64];
      std::snprintf(part, sizeof part, ", %.3g/s, ", rate);
      text += part + (done < total ? duration(static_cast<double>(total - done) / rate) + " left" : duration(seconds));
    }
    if (!detail.empty()) text += ", " + detail;
    if (terminal)
      std::cerr << "\r\x1b[K" << text << std::flush;
    else
      std::cerr << text << std::endl;
    drawn = terminal;
    if (done >= total) finish();
  }

  void finish() {
    if (drawn) std::cerr << std::endl;
    drawn = false;
  }
};

ProgressBar::ProgressBar(bool quiet) : state_(std::make_shared<State>()) {
  state_->quiet = quiet;
  state_->terminal = ::isatty(STDERR_FILENO) == 1;
}
ProgressBar::~ProgressBar() { state_->finish(); }

vitals::Progress ProgressBar::sink() {
  return [state = state_](const std::string& stage, std::size_t done, std::size_t total) {
    state->update(stage, done, total);
  };
}

void ProgressBar::detail(const std::string& text) { state_->detail = text; }

void ProgressBar::say(const std::string& line) {
  if (state_->quiet) return;
  state_->finish();
  std::cerr << line << std::endl;
}

}  // namespace support
