#include <vitals/metrics/bootstrap.hpp>
#include <vitals/metrics/delong.hpp>

#include <cmath>
#include <limits>

#include <catch2/catch.hpp>

#include <vitals/core/rng.hpp>
#include <vitals/metrics/auroc.hpp>

#include "check_score.hpp"
#include "json.hpp"
#include "paths.hpp"

namespace vt = vitals;
namespace metrics = vitals::metrics;
using Labels = std::vector<std::uint8_t>;
using Values = std::vector<double>;
using test::check_none;
using test::check_score;
using test::check_value;

namespace {

// DeLong's covariance by its definition: every pair, O(n^2).
double covariance_by_pairs(const Labels& targets, const Values& a, const Values& b) {
  const auto psi = [](double x, double y) { return x > y ? 1.0 : x == y ? 0.5 : 0.0; };
  std::vector<double> parts[2][2];  // [positive / negative][model]
  for (std::size_t i = 0; i < targets.size(); ++i) {
    double sum[2] = {0, 0}, n = 0;
    for (std::size_t j = 0; j < targets.size(); ++j) {
      if (targets[j] == targets[i]) continue;
      ++n;
      sum[0] += targets[i] ? psi(a[i], a[j]) : psi(a[j], a[i]);
      sum[1] += targets[i] ? psi(b[i], b[j]) : psi(b[j], b[i]);
    }
    for (int m = 0; m < 2; ++m) parts[targets[i]][m].push_back(sum[m] / n);
  }
  double total = 0;
  for (auto& label : parts) {
    const double n = static_cast<double>(label[0].size());
    double mean[2] = {0, 0}, sum = 0;
    for (int m = 0; m < 2; ++m)
      for (double v : label[m]) mean[m] += v / n;
    for (std::size_t i = 0; i < label[0].size(); ++i) sum += (label[0][i] - mean[0]) * (label[1][i] - mean[1]);
    total += sum / (n - 1) / n;
  }
  return total;
}

bool same(const metrics::Bootstrap& a, const metrics::Bootstrap& b) {
  return a.ci.has_value() == b.ci.has_value() && (!a.ci || (a.ci->low == b.ci->low && a.ci->high == b.ci->high)) &&
         a.sd == b.sd && a.samples == b.samples && a.undefined == b.undefined;
}

}  // namespace

TEST_CASE("intervals: every reference case") {
  NEEDS_SHARED("goldens/metrics/intervals.json");
  const auto golden = test::read_json(test::shared("goldens/metrics/intervals.json"));
  std::size_t delong = 0, paired = 0, means = 0;
  for (const auto& c : golden["cases"]) {
    INFO(c["name"]);
    const auto check_bootstrap = [&](const metrics::Bootstrap& b) {
      REQUIRE(b.ci);
      check_value(b.ci->low, c["ci95_bootstrap"][0], c["bootstrap_tolerance_1000"]);
      check_value(b.ci->high, c["ci95_bootstrap"][1], c["bootstrap_tolerance_1000"]);
    };
    if (c["kind"] == "bootstrap mean") {
      ++means;
      check_bootstrap(metrics::bootstrap_mean(test::list(c["values"])));
      continue;
    }
    const auto targets = test::list<std::uint8_t>(c["targets"]);
    const auto scores = test::list(c["scores"]);
    if (c["kind"] == "delong paired") {
      ++paired;
      const auto result = metrics::delong_paired(targets, scores, test::list(c["scores2"]));
      for (std::size_t a = 0; a < 2; ++a) {
        check_score(result.auroc[a], c["auroc"][a]);
        for (std::size_t b = 0; b < 2; ++b) check_value(result.covariance[a][b], c["covariance"][a][b], 1e-15);
      }
      check_score(result.difference, c["difference"]);
      check_score(result.sd, c["sd"]);
      check_score(result.z, c["z"]);
      check_score(result.p, c["p_two_sided"]);
      continue;
    }
    ++delong;
    const auto result = metrics::delong(targets, scores);
    check_score(result.auroc, c["auroc"]);
    if (c["variance"].is_null()) {
      check_none(result.variance, c["undefined"]);
      CHECK_FALSE(result.ci);
      continue;
    }
    check_score(result.variance, c["variance"], 1e-15);
    REQUIRE(result.ci);
    check_value(result.ci->low, c["ci95_delong"][0]);
    check_value(result.ci->high, c["ci95_delong"][1]);
    const auto b = metrics::bootstrap_auroc(targets, scores);
    check_bootstrap(b);
    check_value(b.sd, c["bootstrap_sd"], 0.1 * c["bootstrap_sd"].get<double>() + 1e-15);
  }
  CHECK(delong == 5);
  CHECK(paired == 1);
  CHECK(means == 1);
}

TEST_CASE("DeLong against its definition, with few and many ties") {
  for (const std::size_t levels : {4, 40, 1000000}) {
    const auto [targets, a] = test::random_items(150, 0.3, levels, 11);
    auto b = test::random_items(150, 0.3, levels, 12).second;
    for (std::size_t i = 0; i < b.size(); ++i) b[i] = 0.5 * (a[i] + b[i]);
    check_score(metrics::delong(targets, a).variance, covariance_by_pairs(targets, a, a), 1e-15);
    const auto paired = metrics::delong_paired(targets, a, b);
    check_value(paired.covariance[0][1], covariance_by_pairs(targets, a, b), 1e-15);
    check_value(paired.covariance[1][0], covariance_by_pairs(targets, a, b), 1e-15);
    check_value(std::pow(*paired.sd, 2),
                paired.covariance[0][0] + paired.covariance[1][1] - 2 * paired.covariance[0][1], 1e-15);
    check_score(paired.z, *paired.difference / *paired.sd);
    const auto swapped = metrics::delong_paired(targets, b, a);
    check_score(swapped.difference, -*paired.difference);
    check_score(swapped.p, *paired.p);
    check_value(paired.ci->high - paired.ci->low, 2 * 1.959963984540054 * *paired.sd);
  }
}

TEST_CASE("DeLong by hand: two of each") {
  // positives 3, 1; negatives 2, 0: shares beaten 1 and 1/2; both negatives: lose 1/2 and 1.
  const auto result = metrics::delong(Labels{1, 1, 0, 0}, Values{3, 1, 2, 0});
  check_score(result.auroc, 0.75);
  check_score(result.variance, 0.125 / 2 + 0.125 / 2);
  CHECK(result.ci->high == 1);  // cut
  check_value(result.ci->low, 0.75 - 1.959963984540054 * std::sqrt(0.125));
  const auto perfect = metrics::delong(Labels{0, 0, 1, 1}, Values{1, 2, 3, 4});
  check_score(perfect.variance, 0);
  CHECK(perfect.ci->low == 1);
}

TEST_CASE("DeLong: what is undefined") {
  check_none(metrics::delong(Labels{1, 0, 0}, Values{3, 1, 2}).variance, "fewer than two positive or negative items");
  check_score(metrics::delong(Labels{1, 0, 0}, Values{3, 1, 2}).auroc, 1);
  check_none(metrics::delong(Labels{0, 0}, Values{1, 2}).variance, "no positive item");
  check_none(metrics::delong(Labels{0, 1}, Values{1, std::nan("")}).auroc, "score is NaN");
  const Labels targets{0, 1, 0, 1};
  const auto alike = metrics::delong_paired(targets, Values{1, 2, 3, 4}, Values{10, 20, 30, 40});
  check_score(alike.difference, 0);
  check_score(alike.sd, 0);
  check_none(alike.z, "the difference has no variance");
  check_none(alike.p, "the difference has no variance");
  check_none(metrics::delong_paired(targets, Values{1, 2, 3, 4}, Values{1, 2, 3, std::nan("")}).p, "score is NaN");
  check_none(metrics::delong_paired(Labels{0, 1}, Values{1, 2}, Values{2, 1}).p,
             "fewer than two positive or negative items");
  CHECK_THROWS_AS(metrics::delong(targets, Values{1, 2, 3, 4}, 1.5), vt::ArgumentError);
  CHECK_THROWS_AS(metrics::delong_paired(targets, Values{1, 2, 3, 4}, Values{1}), vt::ShapeError);
}

TEST_CASE("normal quantiles") {
  check_value(metrics::upper_quantile(0.025), 1.9599639845400542, 1e-14);
  check_value(metrics::upper_quantile(0.005), 2.5758293035489004, 1e-14);
  check_value(metrics::upper_quantile(0.16), 0.9944578832097530, 1e-14);
  CHECK(metrics::upper_quantile(0.5) == 0);
  check_value(metrics::upper_quantile(1e-12), 7.034483825301132, 1e-12);
  CHECK_THROWS_AS(metrics::upper_quantile(0), vt::ArgumentError);
}

TEST_CASE("quantiles of sorted values are numpy's") {
  const Values v{1, 2, 4, 8};
  CHECK(metrics::sorted_quantile(v, 0) == 1);
  CHECK(metrics::sorted_quantile(v, 1) == 8);
  CHECK(metrics::sorted_quantile(v, 0.5) == 3);
  check_value(metrics::sorted_quantile(v, 0.25), 1.75);
  CHECK(metrics::sorted_quantile(Values{5}, 0.3) == 5);
}

TEST_CASE("a resample is the documented draws of the documented stream") {
  for (const std::size_t n : {7, 8}) {
    metrics::BootstrapOptions options;
    options.samples = 5;
    options.seed = 99;
    vt::ThreadPool one(1);
    options.executor = &one;
    std::vector<std::vector<std::uint32_t>> seen;
    metrics::bootstrap(
        n,
        [&](std::span<const std::uint32_t> counts) {
          seen.emplace_back(counts.begin(), counts.end());
          return metrics::Score(0);
        },
        options);
    REQUIRE(seen.size() == 5);
    for (std::size_t r = 0; r < 5; ++r) {
      const vt::Rng rng(99, metrics::bootstrap_stream + r);
      std::vector<std::uint32_t> expected(n);
      for (std::size_t i = 0; i < n; ++i) ++expected[rng.below_at(i, n)];
      CHECK(seen[r] == expected);
    }
  }
}

TEST_CASE("bootstrap: the same bits for any number of threads, other bits for another seed") {
  const auto [targets, scores] = test::random_items(200, 0.3, 50, 4);
  metrics::BootstrapOptions options;
  options.samples = 203;
  std::vector<metrics::Bootstrap> results;
  for (const unsigned threads : {1u, 2u, 3u}) {
    vt::ThreadPool pool(threads);
    options.executor = &pool;
    results.push_back(metrics::bootstrap_auroc(targets, scores, options));
    options.executor = nullptr;
  }
  CHECK(same(results[0], results[1]));
  CHECK(same(results[0], results[2]));
  options.seed = 1;
  CHECK_FALSE(same(results[0], metrics::bootstrap_auroc(targets, scores, options)));
}

TEST_CASE("bootstrap of a mean has the spread of theory; by patient it is wider") {
  // 40 patients with 5 identical items: the spread is that of 40 independent values, not of 200.
  vt::Rng rng(6);
  Values values;
  std::vector<std::string> patients;
  std::vector<double> of_patient;
  for (int p = 0; p < 40; ++p) {
    of_patient.push_back(rng.normal());
    for (int i = 0; i < 5; ++i) {
      values.push_back(of_patient.back());
      patients.push_back("patient " + std::to_string(p));
    }
  }
  double mean = 0, variance = 0;
  for (double v : of_patient) mean += v / 40;
  for (double v : of_patient) variance += (v - mean) * (v - mean) / 40;
  metrics::BootstrapOptions options;
  options.samples = 4000;
  const auto items = metrics::bootstrap_mean(values, options);
  check_value(items.sd, std::sqrt(variance / 200), 0.05 * std::sqrt(variance / 200));
  options.groups = metrics::group_numbers(patients);
  const auto groups = metrics::bootstrap_mean(values, options);
  check_value(groups.sd, std::sqrt(variance / 40), 0.05 * std::sqrt(variance / 40));
  check_value((groups.ci->high - groups.ci->low) / (2 * 1.96 * groups.sd), 1, 0.05);

  auto renamed = options;  // the numbers of the groups are names, not indices
  for (auto& g : renamed.groups) g = 1000 + 3 * g;
  CHECK(same(groups, metrics::bootstrap_mean(values, renamed)));
}

TEST_CASE("groups keep their items together, and unknown patients are on their own") {
  const std::vector<std::string> names{"a", "", "b", "a", "", "b"};
  CHECK(metrics::group_numbers(names) == std::vector<std::size_t>{0, 1, 2, 0, 3, 2});
  metrics::BootstrapOptions options;
  options.groups = metrics::group_numbers(names);
  options.samples = 50;
  vt::ThreadPool one(1);
  options.executor = &one;
  bool together = true, varied = false;
  metrics::bootstrap(
      6,
      [&](std::span<const std::uint32_t> c) {
        together = together && c[0] == c[3] && c[2] == c[5] && c[0] + c[1] + c[2] + c[4] == 4;
        varied = varied || c[0] != c[1];
        return metrics::Score(0);
      },
      options);
  CHECK(together);
  CHECK(varied);
}

TEST_CASE("resamples of one label only are counted and left out") {
  // One positive among 50: it is missing in (1 - 1/50)^50 = 36.4 % of the resamples.
  Labels targets(50, 0);
  Values scores;
  for (int i = 0; i < 50; ++i) scores.push_back(i);
  targets[20] = 1;
  metrics::BootstrapOptions options;
  options.samples = 2000;
  const auto result = metrics::bootstrap_auroc(targets, scores, options);
  CHECK(result.samples == 2000);
  CHECK(std::abs(static_cast<double>(result.undefined) / 2000 - 0.364) < 0.04);
  REQUIRE(result.ci);
  CHECK(result.ci->low > 0.2);

  const auto none = metrics::bootstrap_auroc(Labels(10, 1), Values(10, 0.5), options);
  CHECK_FALSE(none.ci);
  CHECK(none.undefined == 2000);
}

TEST_CASE("bootstrap refuses what cannot be meant, and lets a metric's own error through") {
  const auto zero = [](std::span<const std::uint32_t>) { return metrics::Score(0); };
  CHECK_THROWS_AS(metrics::bootstrap(0, zero), vt::DataError);
  metrics::BootstrapOptions options;
  options.samples = 0;
  CHECK_THROWS_AS(metrics::bootstrap(3, zero, options), vt::ArgumentError);
  options.samples = 10;
  options.alpha = 0;
  CHECK_THROWS_AS(metrics::bootstrap(3, zero, options), vt::ArgumentError);
  options.alpha = 0.05;
  options.groups = {0, 1};
  CHECK_THROWS_AS(metrics::bootstrap(3, zero, options), vt::ShapeError);
  CHECK_THROWS_WITH(
      metrics::bootstrap(3, [](std::span<const std::uint32_t>) -> metrics::Score { throw vt::DataError("mine"); }),
      "mine");
}
