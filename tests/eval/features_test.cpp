#include <vitals/eval/features.hpp>

#include <atomic>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <mutex>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

#include <catch2/catch.hpp>

#include <paths.hpp>
#include <vitals/core/error.hpp>
#include <vitals/core/rng.hpp>
#include <vitals/io/image.hpp>

namespace vt = vitals;
namespace fs = std::filesystem;
using Catch::Matchers::Contains;
using vt::dyn;

namespace {

// A stand-in for a model: features are sums of pixels, so that they say which image and which block they belong to.
class Sums final : public vt::Backbone {
 public:
  Sums() { info_ = {"sums", 4, 3, 1, 14, 0, 0, vt::Positions::offset}; }
  const vt::BackboneInfo& info() const override { return info_; }
  vt::Features features(vt::TensorView<const float, dyn, 3, dyn, dyn> pixels,
                        const vt::FeatureRequest& request) const override {
    const std::size_t b = pixels.extent(0), patches = (pixels.extent(2) / 14) * (pixels.extent(3) / 14);
    vt::Features out;
    out.cls = vt::Tensor<float, dyn, dyn>({b, 4});
    out.patches = vt::Tensor<float, dyn, dyn, dyn>({b, patches, 4});
    for (std::size_t k = 0; k < request.blocks; ++k) out.block_cls.emplace_back(std::array<std::size_t, 2>{b, 4});
    for (std::size_t i = 0; i < b; ++i) {
      images += 1;
      float sum = shift;
      for (float v : pixels[i]) sum += v;
      if (poison) sum = std::numeric_limits<float>::quiet_NaN();
      for (std::size_t d = 0; d < 4; ++d) {
        for (std::size_t k = 0; k < request.blocks; ++k)
          out.block_cls[k](i, d) = sum + 10.0f * static_cast<float>(k) + static_cast<float>(d);
        for (std::size_t p = 0; p < patches; ++p)
          out.patches(i, p, d) = sum * static_cast<float>(p) + static_cast<float>(d);
      }
      if (images == die_at) ::raise(SIGKILL);
    }
    return out;
  }
  mutable std::atomic<std::size_t> images{0};
  std::size_t die_at = 0;
  bool poison = false;
  float shift = 0;
  vt::BackboneInfo info_;
};

// `n` small grey pictures and the data set of them. From the 24th on they repeat, with a number after their end, which makes
// other files of them: writing a PNG waits for the disk.
struct Pictures {
  test::TemporaryFolder folder;
  vt::data::Dataset set;
  explicit Pictures(std::size_t n) {
    set.root = folder.path();
    set.source = folder / "manifest.csv";
    set.classes = {"a", "b"};
    for (std::size_t i = 0; i < n; ++i) {
      const std::string name = std::to_string(i) + ".png";
      if (i < 24) {
        vt::Tensor<std::uint8_t, dyn, dyn, dyn> pixels({20, 20, 1});
        vt::Rng rng(5, i);
        for (auto& v : pixels) v = static_cast<std::uint8_t>(rng.below(256));
        vt::io::write_png(folder / name, pixels);
      } else {
        fs::copy_file(folder / (std::to_string(i % 24) + ".png"), folder / name);
        std::ofstream(folder / name, std::ios::app) << i;
      }
      set.items.push_back({name, {i % 2}, vt::data::Split::train, "", i + 2});
    }
  }
};

const vt::transforms::Transform transform = vt::transforms::dinov2(28);

bool same(const vt::eval::FeatureSet& a, const vt::eval::FeatureSet& b) {
  return a.cls.shape() == b.cls.shape() && a.avgpool.shape() == b.avgpool.shape() &&
         std::memcmp(a.cls.data(), b.cls.data(), a.cls.size() * 4) == 0 &&
         std::memcmp(a.avgpool.data(), b.avgpool.data(), a.avgpool.size() * 4) == 0;
}

std::vector<fs::path> shards(const fs::path& folder) {
  std::vector<fs::path> found;
  if (!fs::exists(folder)) return found;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == ".features") found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  return found;
}

// Runs f in a process of its own and gives its status.
template <class F>
int in_child(F&& f) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(f());
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

}  // namespace

TEST_CASE("features stand in the order of the data set: CLS of the last blocks and the mean patch token") {
  Pictures p(5);
  Sums model;
  const auto out = vt::eval::features(model, p.set, transform, {.blocks = 2});
  REQUIRE(out.cls.shape() == std::array<std::size_t, 3>{5, 2, 4});
  REQUIRE(out.avgpool.shape() == std::array<std::size_t, 2>{5, 4});
  CHECK(out.computed == 5);
  for (std::size_t i = 0; i < 5; ++i) {
    const auto pixels = transform(vt::io::read_image(p.set.file(i)));
    float sum = 0;
    for (float v : pixels) sum += v;
    CHECK(out.cls(i, 0u, 0u) == sum);
    CHECK(out.cls(i, 1u, 2u) == sum + 12);
    CHECK(out.avgpool(i, 3u) == Approx(sum * 1.5f + 3));  // patches 0 .. 3
  }
}

TEST_CASE("the same bits for any batch, any number of threads, cached or not") {
  Pictures p(23);
  Sums model;
  const auto expected = vt::eval::features(model, p.set, transform, {.blocks = 3, .batch = 1});
  for (unsigned threads : {1u, 2u, 5u})
    for (std::size_t batch : {1u, 4u, 64u}) {
      vt::ThreadPool pool(threads);
      vt::eval::FeatureOptions options{.blocks = 3, .batch = batch, .executor = &pool};
      CHECK(same(vt::eval::features(model, p.set, transform, options), expected));
      options.cache = p.folder / ("cache" + std::to_string(threads) + "-" + std::to_string(batch));
      options.weights_sha256 = "w";
      CHECK(same(vt::eval::features(model, p.set, transform, options), expected));
      const auto again = vt::eval::features(model, p.set, transform, options);
      CHECK(same(again, expected));
      CHECK(again.computed == 0);
    }
}

TEST_CASE("the cache knows weights, transform, size, positions, preset, type and blocks apart") {
  Pictures p(3);
  Sums model;
  vt::eval::FeatureOptions options{.cache = p.folder / "cache", .weights_sha256 = "w", .blocks = 2};
  CHECK(vt::eval::features(model, p.set, transform, options).computed == 3);
  CHECK(vt::eval::features(model, p.set, transform, options).computed == 0);
  CHECK(vt::eval::features(model, p.set, vt::transforms::paper(28), options).computed == 3);
  CHECK(vt::eval::features(model, p.set, vt::transforms::dinov2(42), options).computed == 3);
  CHECK(vt::eval::features(model, p.set, vt::transforms::dinov2(28, false), options).computed == 3);
  auto other = options;
  other.weights_sha256 = "v";
  CHECK(vt::eval::features(model, p.set, transform, other).computed == 3);
  other = options;
  other.blocks = 1;
  CHECK(vt::eval::features(model, p.set, transform, other).computed == 3);
  other = options;
  other.dtype = "bfloat16";
  CHECK(vt::eval::features(model, p.set, transform, other).computed == 3);
  Sums renamed;
  renamed.info_.positions = vt::Positions::size;
  CHECK(vt::eval::features(renamed, p.set, transform, options).computed == 3);
  Sums other_model;
  other_model.info_.preset = "other";
  CHECK(vt::eval::features(other_model, p.set, transform, options).computed == 3);
}

TEST_CASE("a model that gives other numbers is another model, whatever it is called") {
  Pictures p(3);
  const vt::eval::FeatureOptions options{.cache = p.folder / "cache", .blocks = 2};
  Sums model, other;
  other.shift = 1;
  vt::eval::features(model, p.set, transform, options);
  const auto out = vt::eval::features(other, p.set, transform, options);
  CHECK(out.computed == 3);
  CHECK(same(out, vt::eval::features(other, p.set, transform, {.blocks = 2})));
  CHECK(vt::eval::features(model, p.set, transform, options).computed == 0);
}

TEST_CASE("a changed picture is computed again, an equal one under another name is not") {
  Pictures p(3);
  Sums model;
  const vt::eval::FeatureOptions options{.cache = p.folder / "cache", .weights_sha256 = "w", .blocks = 1};
  vt::eval::features(model, p.set, transform, options);
  fs::copy_file(p.folder / "1.png", p.folder / "0.png", fs::copy_options::overwrite_existing);
  CHECK(vt::eval::features(model, p.set, transform, options).computed == 0);
  vt::Tensor<std::uint8_t, dyn, dyn, dyn> pixels({20, 20, 1});
  vt::io::write_png(p.folder / "2.png", pixels);
  CHECK(vt::eval::features(model, p.set, transform, options).computed == 1);
}

TEST_CASE("damaged, truncated and foreign files in the cache cost a computation, never an error") {
  Pictures p(70);  // two shards
  Sums model;
  const vt::eval::FeatureOptions options{.cache = p.folder / "cache", .weights_sha256 = "w", .blocks = 1};
  const auto expected = vt::eval::features(model, p.set, transform, options);
  auto files = shards(p.folder / "cache");
  REQUIRE(files.size() >= 2);
  std::size_t expected_bad = 1;
  SECTION("one bit turned") {
    std::fstream f(files[0], std::ios::in | std::ios::out | std::ios::binary);
    f.seekg(300);
    const int byte = f.get();
    f.seekp(300);
    f.put(static_cast<char>(byte ^ 1));
  }
  SECTION("truncated") { fs::resize_file(files[0], fs::file_size(files[0]) - 100); }
  SECTION("emptied") { fs::resize_file(files[0], 0); }
  SECTION("another file under its name") { std::ofstream(files[0]) << "not features"; }
  SECTION("a folder under its name") {
    fs::remove(files[0]);
    fs::create_directory(files[0]);
  }
  SECTION("foreign files beside") {
    std::ofstream(p.folder / "cache/notes.txt") << "mine";
    std::ofstream(p.folder / "cache/x.features") << "mine";
    expected_bad = 0;
  }
  const auto again = vt::eval::features(model, p.set, transform, options);
  CHECK(same(again, expected));
  CHECK(again.unreadable == expected_bad);
  CHECK((again.computed > 0) == (expected_bad > 0));
}

TEST_CASE("a process killed in the middle leaves a cache from which the next one goes on, with the same bits") {
  Pictures p(300);
  const auto expected = vt::eval::features(Sums{}, p.set, transform, {.blocks = 2});
  const vt::eval::FeatureOptions options{.cache = p.folder / "cache", .weights_sha256 = "w", .blocks = 2};
  const int status = in_child([&] {
    vt::ThreadPool pool(2);
    Sums doomed;
    doomed.die_at = 200;
    auto mine = options;
    mine.executor = &pool;
    vt::eval::features(doomed, p.set, transform, mine);
    return 0;
  });
  REQUIRE(WIFSIGNALED(status));
  REQUIRE(!shards(p.folder / "cache").empty());
  Sums model;
  const auto resumed = vt::eval::features(model, p.set, transform, options);
  CHECK(same(resumed, expected));
  CHECK(resumed.computed < 300 - 100);
  CHECK(resumed.computed >= 100);
  CHECK(resumed.unreadable == 0);
  CHECK(vt::eval::features(model, p.set, transform, options).computed == 0);
}

TEST_CASE("two processes may fill one cache") {
  Pictures p(200);
  const auto expected = vt::eval::features(Sums{}, p.set, transform, {.blocks = 2});
  const vt::eval::FeatureOptions options{.cache = p.folder / "cache", .weights_sha256 = "w", .blocks = 2};
  const auto work = [&] {
    vt::ThreadPool pool(2);
    auto mine = options;
    mine.executor = &pool;
    try {
      return same(vt::eval::features(Sums{}, p.set, transform, mine), expected) ? 0 : 1;
    } catch (...) {
      return 2;
    }
  };
  const pid_t first = ::fork();
  if (first == 0) ::_exit(work());
  CHECK(in_child(work) == 0);
  int status = -1;
  ::waitpid(first, &status, 0);
  CHECK(status == 0);
  const auto again = vt::eval::features(Sums{}, p.set, transform, options);
  CHECK(again.computed == 0);
  CHECK(again.unreadable == 0);
  CHECK(same(again, expected));
}

TEST_CASE("a full disk is an IoError and leaves the cache as it was") {
  Pictures p(150);
  const vt::eval::FeatureOptions options{.cache = p.folder / "cache", .weights_sha256 = "w", .blocks = 2};
  auto first = p.set;
  first.items.resize(10);
  vt::eval::features(Sums{}, first, transform, options);
  const auto before = shards(p.folder / "cache");
  const int status = in_child([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{2000, 2000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    vt::ThreadPool pool(2);
    auto mine = options;
    mine.executor = &pool;
    try {
      vt::eval::features(Sums{}, p.set, transform, mine);
    } catch (const vt::IoError&) {
      return 7;
    } catch (...) {
    }
    return 1;
  });
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 7);
  CHECK(shards(p.folder / "cache") == before);
  for (const auto& entry : fs::directory_iterator(p.folder / "cache")) CHECK(entry.path().extension() == ".features");
  const auto again = vt::eval::features(Sums{}, p.set, transform, options);
  CHECK(again.computed == 140);
}

TEST_CASE("errors name the picture and its line; what was done before stays cached") {
  Pictures p(150);
  std::ofstream(p.folder / "120.png") << "no picture";
  std::ofstream(p.folder / "140.png") << "no picture";
  vt::ThreadPool pool(2);
  const vt::eval::FeatureOptions options{
      .cache = p.folder / "cache", .weights_sha256 = "w", .blocks = 2, .batch = 4, .executor = &pool};
  Sums model;
  for (int round = 0; round < 3; ++round) {
    CHECK_THROWS_AS(vt::eval::features(model, p.set, transform, options), vt::FormatError);
    CHECK_THROWS_WITH(vt::eval::features(model, p.set, transform, options),
                      Contains("120.png (line 122 of manifest.csv)"));
  }
  CHECK(model.images < 160);  // the first round did the first 120, the others nothing again
  fs::remove(p.folder / "50.png");
  CHECK_THROWS_AS(vt::eval::features(model, p.set, transform, options), vt::IoError);
  CHECK_THROWS_WITH(vt::eval::features(model, p.set, transform, options), Contains("50.png (line 52"));
}

TEST_CASE("NaN features name the picture and do not reach the cache") {
  Pictures p(3);
  Sums model;
  model.poison = true;
  const vt::eval::FeatureOptions options{.cache = p.folder / "cache", .weights_sha256 = "w", .blocks = 2};
  CHECK_THROWS_AS(vt::eval::features(model, p.set, transform, options), vt::DataError);
  CHECK_THROWS_WITH(vt::eval::features(model, p.set, transform, options), Contains("0.png (line 2"));
  CHECK(shards(p.folder / "cache").empty());
}

TEST_CASE("what cannot be asked for is refused") {
  Pictures p(1);
  Sums model;
  CHECK_THROWS_AS(vt::eval::features(model, p.set, transform, {.blocks = 4}), vt::ArgumentError);
  CHECK_THROWS_AS(vt::eval::features(model, p.set, transform, {.blocks = 0}), vt::ArgumentError);
  CHECK_THROWS_AS(vt::eval::features(model, p.set, transform, {.blocks = 1, .batch = 0}), vt::ArgumentError);
  std::ofstream(p.folder / "file") << "x";
  CHECK_THROWS_AS(
      vt::eval::features(model, p.set, transform, {.cache = p.folder / "file", .weights_sha256 = "w", .blocks = 1}),
      vt::IoError);
}

TEST_CASE("progress counts to the end, from one thread at a time, and may end the work") {
  Pictures p(20);
  Sums model;
  vt::ThreadPool pool(2);
  std::mutex one;
  std::vector<std::size_t> seen;
  vt::eval::FeatureOptions options{.blocks = 1, .batch = 2, .executor = &pool};
  options.progress = [&](const std::string& stage, std::size_t done, std::size_t total) {
    REQUIRE(one.try_lock());
    CHECK(stage == "features");
    CHECK(total == 20);
    seen.push_back(done);
    one.unlock();
  };
  vt::eval::features(model, p.set, transform, options);
  CHECK(std::is_sorted(seen.begin(), seen.end()));
  CHECK(seen.back() == 20);
  options.progress = [](const std::string&, std::size_t done, std::size_t) {
    if (done >= 10) throw std::runtime_error("enough");
  };
  CHECK_THROWS_WITH(vt::eval::features(model, p.set, transform, options), "enough");
}
