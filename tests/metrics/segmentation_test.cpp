#include <vitals/metrics/segmentation.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

#include <catch2/catch.hpp>

#include <vitals/metrics/distance_transform.hpp>

#include "check_score.hpp"
#include "goldens.hpp"
#include "json.hpp"
#include "paths.hpp"

namespace vt = vitals;
namespace metrics = vitals::metrics;
using test::check_none;
using test::check_score;
using Labels = vt::Tensor<std::uint8_t, vt::dyn, vt::dyn, vt::dyn>;
using metrics::EmptyMask;

namespace {

void check_golden(const metrics::Score& score, const test::Json& expected, double tolerance) {
  if (expected.is_null())
    CHECK_FALSE(score);
  else
    check_score(score, test::number(expected), tolerance);
}

template <std::size_t Rank>
auto label_tensor(const vt::io::TensorFile& file, const std::string& name) {
  const auto numbers = test::tensor<Rank, double>(file, name);
  const auto make = [&]<std::size_t... I>(std::index_sequence<I...>) {
    return vt::Tensor<std::uint8_t, ((void)I, vt::dyn)...>(numbers.shape());
  };
  auto labels = make(std::make_index_sequence<Rank>{});
  for (std::size_t i = 0; i < labels.size(); ++i) labels.data()[i] = static_cast<std::uint8_t>(numbers.data()[i]);
  return labels;
}

Labels random_labels(std::array<std::size_t, 3> shape, std::size_t classes, std::uint64_t seed) {
  Labels labels(shape);
  vt::Rng rng(seed);
  for (auto& v : labels) v = static_cast<std::uint8_t>(rng.below(classes));
  return labels;
}

}  // namespace

TEST_CASE("overlap: the reference case, global, study, per volume, every policy for empty masks") {
  NEEDS_SHARED("goldens/metrics/overlap.json");
  const auto golden = test::read_json(test::shared("goldens/metrics/overlap.json"))["cases"];
  const auto file = vt::io::TensorFile::open(test::shared("goldens/metrics/overlap.safetensors"));
  const auto prediction = label_tensor<4>(file, "prediction");
  const auto reference = label_tensor<4>(file, "reference");
  const std::size_t volumes = prediction.extent(0);
  std::vector<metrics::CaseMetrics> cases;
  for (std::size_t v = 0; v < volumes; ++v)
    cases.push_back(metrics::case_metrics(prediction[v], reference[v], 4, {1, 1, 1}));

  const auto& c = golden[0];
  metrics::Confusion all(4);
  for (const auto& one : cases) all += one.counts;
  for (std::size_t r = 0; r < 4; ++r)
    for (std::size_t p = 0; p < 4; ++p) CHECK(all(r, p) == c["confusion"][r][p].get<std::uint64_t>());
  const auto dice = metrics::dice(all), jaccard = metrics::jaccard(all), study = metrics::jaccard_study(all);
  const auto& global = c["global"];
  for (std::size_t k = 0; k < 3; ++k) {
    check_golden(dice.per_class[k], global["dice_per_class"][k], 1e-12);
    check_golden(jaccard.per_class[k], global["jaccard_per_class"][k], 1e-12);
    check_golden(study.per_class[k], global["jaccard_study_per_class"][k], 1e-12);
  }
  check_golden(dice.macro, global["dice_study"], 1e-12);
  check_golden(jaccard.macro, global["jaccard"], 1e-12);
  check_golden(study.macro, global["jaccard_study"], 1e-12);

  for (std::size_t v = 0; v < volumes; ++v)
    for (std::size_t k = 0; k < 3; ++k) {
      const auto& one = c["per_volume"][v][k];
      const auto counts = cases[v].counts.counts(k + 1);
      check_golden(metrics::dice(counts), one["dice"], 1e-12);
      check_golden(metrics::jaccard(counts), one["jaccard"], 1e-12);
      check_golden(metrics::volumetric_similarity(counts), one["volumetric_similarity"], 1e-12);
      CHECK(counts.true_positive + counts.false_negative == one["reference"].get<std::uint64_t>());
      CHECK(counts.true_positive + counts.false_positive == one["prediction"].get<std::uint64_t>());
    }
  for (auto policy : {EmptyMask::skip, EmptyMask::one, EmptyMask::zero}) {
    INFO(metrics::name(policy));
    const auto scores = metrics::evaluate_segmentation(cases, {.empty = policy, .bootstrap = 20});
    const auto& expected = c["dice_mean_over_volumes"][metrics::name(policy)];
    REQUIRE(scores[0].name == "per volume");
    REQUIRE(scores[0].metric == "dice");
    check_golden(scores[0].value.macro, expected["mean"], 1e-12);
    for (std::size_t k = 0; k < 3; ++k) {
      check_golden(scores[0].value.per_class[k], expected["per_class"][k], 1e-12);
      CHECK(volumes - scores[0].skipped[k] == expected["n"][k].get<std::size_t>());
    }
  }

  auto prediction_two = prediction, reference_two = reference;
  for (auto* labels : {&prediction_two, &reference_two})
    for (auto& v : *labels) v = v > 0;
  const auto two = metrics::label_counts(prediction_two.span(), reference_two.span(), 2);
  check_golden(metrics::jaccard(two).macro, golden[1]["jaccard"], 1e-12);
  check_golden(metrics::dice(two).macro, golden[1]["dice_study"], 1e-12);
  check_golden(metrics::jaccard_study(two).macro, golden[1]["jaccard_study"], 1e-12);
  check_score(metrics::jaccard_study(two).macro, *metrics::sensitivity(two.counts(1)));  // recall
}

TEST_CASE("surface distances: every reference case, in 2D and 3D, with spacing") {
  NEEDS_SHARED("goldens/metrics/surface.json");
  const auto golden = test::read_json(test::shared("goldens/metrics/surface.json"))["cases"];
  const auto file = vt::io::TensorFile::open(test::shared("goldens/metrics/surface.safetensors"));
  REQUIRE(golden.size() >= 9);
  for (const auto& c : golden) {
    const auto name = c["name"].get<std::string>();
    INFO(name);
    const auto volume = [&](const std::string& which) {
      if (c["spacing"].size() == 3) return label_tensor<3>(file, name + "." + which);
      const auto plane = label_tensor<2>(file, name + "." + which);
      return Labels({1, plane.extent(0), plane.extent(1)}, plane.span());
    };
    std::array<double, 3> spacing{1, 1, 1};
    const auto given = test::list(c["spacing"]);
    std::copy(given.begin(), given.end(), spacing.end() - static_cast<std::ptrdiff_t>(given.size()));
    const auto s = metrics::surface_distances(volume("prediction"), volume("reference"), 1, spacing);
    check_golden(s.hausdorff, c["hd"], 1e-9);
    check_golden(s.hd95, c["hd95"], 1e-9);
    check_golden(s.asd, c["asd_prediction_to_reference"], 1e-9);
    check_golden(s.assd, c["assd"], 1e-9);
    if (c.contains("hd95_pooled")) check_golden(s.hd95_pooled, c["hd95_pooled"], 1e-9);
    if (c.contains("edge_voxels")) {
      CHECK(s.prediction_edge == c["edge_voxels"][0].get<std::size_t>());
      CHECK(s.reference_edge == c["edge_voxels"][1].get<std::size_t>());
    }
    if (c.contains("undefined")) check_none(s.hd95, "the " + c["undefined"].get<std::string>());
  }
}

TEST_CASE("the distance transform is that of trying all pairs, for any shape and spacing, and any number of threads") {
  vt::ThreadPool one(1), three(3);
  vt::Rng rng(5);
  for (int round = 0; round < 40; ++round) {
    const std::array<std::size_t, 3> shape{1 + rng.below(9), 1 + rng.below(20), 1 + rng.below(20)};
    const std::array<double, 3> spacing{0.3 + 3 * rng.uniform(), 0.3 + 3 * rng.uniform(), 0.3 + 3 * rng.uniform()};
    Labels marked(shape);
    const double share = round % 4 == 0 ? 0.01 : 0.2;
    for (auto& v : marked) v = rng.uniform() < share;
    const auto got = metrics::squared_distances(marked, spacing, &one);
    CHECK(std::equal(got.begin(), got.end(), metrics::squared_distances(marked, spacing, &three).begin()));
    double worst = 0;
    for (std::size_t x = 0; x < shape[0]; ++x)
      for (std::size_t y = 0; y < shape[1]; ++y)
        for (std::size_t z = 0; z < shape[2]; ++z) {
          double least = std::numeric_limits<double>::infinity();
          for (std::size_t a = 0; a < shape[0]; ++a)
            for (std::size_t b = 0; b < shape[1]; ++b)
              for (std::size_t d = 0; d < shape[2]; ++d) {
                if (!marked(a, b, d)) continue;
                const auto mm = [&](std::size_t i, std::size_t j, std::size_t axis) {
                  return spacing[axis] * (static_cast<double>(i) - static_cast<double>(j));
                };
                least = std::min(least, std::pow(mm(x, a, 0), 2) + std::pow(mm(y, b, 1), 2) + std::pow(mm(z, d, 2), 2));
              }
          if (std::isinf(least))
            CHECK(std::isinf(got(x, y, z)));
          else
            worst = std::max(worst, std::abs(got(x, y, z) - least));
        }
    CHECK(worst < 1e-11);
  }
  CHECK_THROWS_AS(metrics::squared_distances(Labels({0, 2, 2}), {1, 1, 1}), vt::ShapeError);
  CHECK_THROWS_AS(metrics::squared_distances(Labels({1, 2, 2}), {1, 0, 1}), vt::ArgumentError);
}

TEST_CASE("surfaces by hand: two squares in a picture, anisotropic; a full image; an empty one") {
  Labels prediction({1, 8, 12}), reference({1, 8, 12});
  for (std::size_t y = 2; y < 5; ++y)
    for (std::size_t x = 2; x < 5; ++x) {
      prediction(0, y, x) = 2;
      reference(0, y, x + 4) = 2;
    }
  const auto s = metrics::surface_distances(prediction, reference, 2, {1, 3, 0.5});
  CHECK(s.prediction_edge == 8);  // the voxel in the middle has four neighbours of its own
  check_score(s.hausdorff, 2);    // four columns of 0.5 mm
  // columns 2, 3, 4 against 6: 2, 1.5, 1 mm with 3, 2 and 3 edge voxels
  check_score(s.asd, (3 * 2 + 2 * 1.5 + 3 * 1) / 8);
  check_score(s.assd, *s.asd);
  check_score(s.hd95, 2);
  const auto same = metrics::surface_distances(prediction, prediction, 2, {1, 3, 0.5});
  check_score(same.hausdorff, 0);
  std::fill(prediction.begin(), prediction.end(), std::uint8_t{2});
  CHECK(metrics::surface_distances(prediction, prediction, 2, {1, 1, 1}).prediction_edge == 2 * 12 + 2 * 6);
  check_none(metrics::surface_distances(prediction, prediction, 1, {1, 1, 1}).assd, "both masks are empty");
  CHECK_THROWS_AS(metrics::surface_distances(prediction, Labels({1, 8, 11}), 2, {1, 1, 1}), vt::ShapeError);
  CHECK_THROWS_AS(metrics::surface_distances(prediction, prediction, 2, {1, -1, 1}), vt::ArgumentError);
}

TEST_CASE("overlap by hand, and what to do where both masks are empty") {
  const metrics::Counts c{6, 2, 3, 9}, none{0, 0, 0, 20}, missed{0, 0, 3, 17};
  check_score(metrics::dice(c), 12.0 / 17);
  check_score(metrics::jaccard(c), 6.0 / 11);
  check_score(metrics::volumetric_similarity(c), 1 - 1.0 / 17);
  check_none(metrics::dice(none), "both masks are empty");
  check_score(metrics::jaccard(none, EmptyMask::one), 1);
  check_score(metrics::volumetric_similarity(none, EmptyMask::zero), 0);
  check_score(metrics::dice(missed), 0);  // only one is empty: a real 0 under every policy
  check_score(metrics::dice(missed, EmptyMask::one), 0);

  const std::vector<std::uint8_t> reference{0, 0, 1, 1, 2, 2}, prediction{1, 0, 1, 2, 2, 0};
  const auto counts = metrics::label_counts(prediction, reference, 4);
  const auto study = metrics::jaccard_study(counts);
  check_score(study.per_class[0], 1.0 / 2);  // the false positive on background costs nothing
  check_score(metrics::jaccard(counts).per_class[0], 1.0 / 3);
  check_score(study.per_class[1], 1.0 / 3);
  CHECK_FALSE(study.per_class[2]);
  check_score(study.macro, (1.0 / 2 + 1.0 / 3) / 2);
  CHECK_THROWS_WITH(metrics::label_counts(prediction, reference, 2),
                    Catch::Contains("label 2 of the") && Catch::Contains("place"));
  CHECK_THROWS_WITH(metrics::label_counts(std::vector<std::uint8_t>{0, 9}, std::vector<std::uint8_t>{0, 1}, 2),
                    Catch::Contains("label 9 of the prediction, place 1"));
  CHECK_THROWS_AS(metrics::label_counts(std::vector<std::uint8_t>{0}, reference, 4), vt::ShapeError);
}

TEST_CASE("a set of cases: means, skipped cases, intervals over patients, the same bits for any number of threads") {
  std::vector<metrics::CaseMetrics> cases;
  std::vector<std::size_t> patients;
  for (std::size_t i = 0; i < 12; ++i) {
    auto reference = random_labels({4, 6, 5}, 3, i), prediction = reference;
    vt::Rng rng(99, i);
    for (auto& v : prediction)
      if (rng.uniform() < 0.05 * static_cast<double>(i % 5)) v = static_cast<std::uint8_t>(rng.below(3));
    if (i == 3)
      for (auto* labels : {&reference, &prediction})
        for (auto& v : *labels) v = v == 2 ? 0 : v;  // class 2 is in neither
    cases.push_back(metrics::case_metrics(prediction, reference, 3, {2, 1, 1}));
    patients.push_back(i / 2);
  }
  vt::ThreadPool one(1), two(2);
  const auto scores = metrics::evaluate_segmentation(cases, {.bootstrap = 300, .groups = patients, .executor = &one});
  const auto again = metrics::evaluate_segmentation(cases, {.bootstrap = 300, .groups = patients, .executor = &two});
  REQUIRE(scores.size() == 12);
  for (std::size_t s = 0; s < scores.size(); ++s) {
    INFO(scores[s].name << " " << scores[s].metric);
    REQUIRE(scores[s].value.macro);
    REQUIRE(scores[s].ci95);
    CHECK(scores[s].ci95->low <= *scores[s].value.macro);
    CHECK(scores[s].ci95->high >= *scores[s].value.macro);
    CHECK(scores[s].ci95->low < scores[s].ci95->high);
    CHECK(scores[s].ci95->low == again[s].ci95->low);
    CHECK(scores[s].per_class_ci95[1]->high == again[s].per_class_ci95[1]->high);
  }
  CHECK(scores[0].skipped == std::vector<std::size_t>{0, 1});
  CHECK(scores[3].metric == "hd95");
  CHECK(scores[3].skipped == std::vector<std::size_t>{0, 1});
  double sum = 0;
  for (const auto& one_case : cases) sum += *metrics::dice(one_case.counts.counts(1));
  check_score(scores[0].value.per_class[0], sum / 12);
  // Cases of one patient drawn together: a wider interval than cases drawn alone, where a patient's cases agree.
  auto twins = cases;
  for (std::size_t i = 0; i + 1 < twins.size(); i += 2) twins[i + 1] = twins[i];
  const auto width = [](const metrics::SegmentationScore& s) { return s.ci95->high - s.ci95->low; };
  CHECK(width(metrics::evaluate_segmentation(twins, {.groups = patients, .surfaces = false})[0]) >
        1.1 * width(metrics::evaluate_segmentation(twins, {.surfaces = false})[0]));
  CHECK(metrics::evaluate_segmentation(cases, {.bootstrap = 0})[0].ci95.has_value() == false);
  CHECK_THROWS_AS(metrics::evaluate_segmentation({}), vt::DataError);
  cases.push_back(metrics::CaseMetrics{metrics::Confusion(2), {}});
  CHECK_THROWS_WITH(metrics::evaluate_segmentation(cases), Catch::Contains("case 12 has 2 classes"));
}
