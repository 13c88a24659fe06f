// A file appears whole or not at all: abandoned, out of space, many processes at once.
#include <vitals/io/atomic_file.hpp>

#include <csignal>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include <vitals/core/error.hpp>

#include "paths.hpp"

namespace vt = vitals;
namespace fs = std::filesystem;
using Catch::Matchers::Contains;

namespace {

std::string content(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
std::ptrdiff_t files_in(const fs::path& folder) { return std::distance(fs::directory_iterator(folder), {}); }

// Runs `work` in a child process and gives its exit status.
template <class F>
int in_child(F work) {
  const auto child = ::fork();
  if (child == 0) ::_exit(work());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

TEST_CASE("a committed file has its content and nothing else is left") {
  const test::TemporaryFolder folder;
  const auto target = folder / "out.json";
  vt::io::write_text_file(target, "first");
  CHECK(content(target) == "first");
  {
    vt::io::AtomicFile file(target);
    file.write("sec");
    file.write("ond");
    CHECK(content(target) == "first");
    file.commit();
    CHECK_THROWS_AS(file.write("more"), vt::IoError);
    CHECK_THROWS_AS(file.commit(), vt::IoError);
  }
  CHECK(content(target) == "second");
  CHECK(files_in(folder.path()) == 1);
}

TEST_CASE("without commit the old file stays") {
  const test::TemporaryFolder folder;
  const auto target = folder / "out.json";
  vt::io::write_text_file(target, "old");
  {
    vt::io::AtomicFile file(target);
    file.write("half");
  }
  CHECK(content(target) == "old");
  CHECK(files_in(folder.path()) == 1);
}

TEST_CASE("targets that cannot be") {
  const test::TemporaryFolder folder;
  CHECK_THROWS_AS(vt::io::AtomicFile(folder / "missing/out.json"), vt::IoError);
  CHECK_THROWS_WITH(vt::io::AtomicFile(folder / "missing/out.json"), Contains("missing/out.json"));
  CHECK_THROWS_AS(vt::io::AtomicFile(folder.path()), vt::IoError);
  CHECK_THROWS_AS(vt::io::AtomicFile(""), vt::IoError);
  CHECK_THROWS_WITH(vt::io::AtomicFile("/dev/null"), Contains("not a regular file"));
  CHECK(fs::is_character_file("/dev/null"));
}

TEST_CASE("who may read a file stays as it was") {
  const test::TemporaryFolder folder;
  vt::io::write_text_file(folder / "private.csv", "old");
  fs::permissions(folder / "private.csv", fs::perms::owner_read | fs::perms::owner_write);
  vt::io::write_text_file(folder / "private.csv", "new");
  CHECK(fs::status(folder / "private.csv").permissions() == (fs::perms::owner_read | fs::perms::owner_write));
  CHECK(content(folder / "private.csv") == "new");
}

TEST_CASE("a symbolic link keeps pointing to the new content") {
  const test::TemporaryFolder folder;
  vt::io::write_text_file(folder / "real.txt", "old");
  fs::create_symlink(folder / "real.txt", folder / "link.txt");
  vt::io::write_text_file(folder / "link.txt", "new");
  CHECK(fs::is_symlink(folder / "link.txt"));
  CHECK(content(folder / "real.txt") == "new");
}

TEST_CASE("a long name and a name without folder") {
  const test::TemporaryFolder folder;
  const auto target = folder / std::string(250, 'n');
  vt::io::write_text_file(target, "x");
  CHECK(content(target) == "x");
  CHECK(in_child([&] {
          fs::current_path(folder.path());
          vt::io::write_text_file("plain", "y");
          return content("plain") == "y" ? 0 : 1;
        }) == 0);
}

TEST_CASE("no room for the file: IoError, the old file stays, nothing half written") {
  const test::TemporaryFolder folder;
  const auto target = folder / "out.bin";
  vt::io::write_text_file(target, "old");
  // The limit on the size of a file stands in for a full disk: write() fails the same way, in the middle.
  const int status = in_child([&] {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1000, 1000};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 2;
    try {
      vt::io::write_text_file(target, std::string(5000, 'x'));
    } catch (const vt::IoError& e) {
      return std::string(e.what()).find("out.bin") != std::string::npos ? 0 : 3;
    }
    return 4;
  });
  CHECK(status == 0);
  CHECK(content(target) == "old");
  CHECK(files_in(folder.path()) == 1);
}

TEST_CASE("processes that write the same name at once: one of them wins whole") {
  const test::TemporaryFolder folder;
  const auto target = folder / "cache.bin";
  std::vector<pid_t> children;
  for (char c = 'a'; c < 'e'; ++c) {
    const auto child = ::fork();
    if (child == 0) {
      int failed = 0;
      try {
        for (int i = 0; i < 20; ++i) vt::io::write_text_file(target, std::string(20000, c));
      } catch (...) {
        failed = 1;
      }
      ::_exit(failed);
    }
    children.push_back(child);
  }
  for (const auto child : children) {
    int status = -1;
    ::waitpid(child, &status, 0);
    CHECK(status == 0);
  }
  const auto text = content(target);
  REQUIRE(text.size() == 20000);
  CHECK(text == std::string(20000, text[0]));
  CHECK(files_in(folder.path()) == 1);
}
