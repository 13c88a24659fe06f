// Where tests find their files. tests/data belongs to the project; ../shared (real images, real weights, reference
// values) may be missing, and a test that needs it then says so and ends.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

#include <unistd.h>

#include <catch2/catch.hpp>

namespace test {

inline std::filesystem::path from_environment(const char* name, const char* fallback) {
  const char* value = std::getenv(name);
  return value && *value ? value : fallback;
}

/// A file of tests/data.
inline std::filesystem::path data(const std::string& name) {
  return from_environment("VITALS_TEST_DATA", "tests/data") / name;
}
/// A file of ../shared.
inline std::filesystem::path shared(const std::string& name) {
  return from_environment("VITALS_SHARED", "../shared") / name;
}

/// An empty folder of this process's own, removed at the end.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    static int count = 0;
    path_ = std::filesystem::temp_directory_path() /
            ("vitals-test-" + std::to_string(::getpid()) + "-" + std::to_string(count++));
    std::filesystem::create_directories(path_);
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace test

/// At the head of a test that needs a file of ../shared: ends the test with a word where the file is missing.
#define NEEDS_SHARED(name)                                                       \
  if (!std::filesystem::exists(test::shared(name))) {                           \
    WARN("skipped: needs ../shared/" << (name));                                \
    return;                                                                      \
  }
