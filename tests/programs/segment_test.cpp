// segment, segment_volume, metrics segmentation and dataset from end to end, on drawn pictures and volumes and a random backbone.
#include "program.hpp"

#include <vitals/io/nifti.hpp>

using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
using test::run;

namespace {

using Bytes = vitals::Tensor<std::uint8_t, vitals::dyn, vitals::dyn, vitals::dyn>;

// Volumes (NIfTI) or pictures with a bright square to find, and their manifest.
struct Masked : test::TemporaryFolder {
  explicit Masked(bool volumes) {
    std::string manifest = "path,mask,split,patient\n";
    for (std::size_t i = 0; i < 9; ++i) {
      const std::size_t slices = volumes ? 3 : 1;
      vitals::io::Volume image{vitals::Tensor<float, vitals::dyn, vitals::dyn, vitals::dyn>({20, 24, slices}), {}};
      vitals::io::LabelVolume mask{Bytes({20, 24, slices}), {}};
      image.affine = mask.affine = {{{-1, 0, 0, 9}, {0, 0.5, 0, 3}, {0, 0, 2, -4}}};
      const vitals::Rng rng(3, i);
      for (std::size_t x = 0; x < 20; ++x)
        for (std::size_t y = 0; y < 24; ++y)
          for (std::size_t z = 0; z < slices; ++z) {
            const bool inside = x >= 4 + i % 3 && x < 14 && y >= 5 && y < 15 + i % 4;
            mask.values(x, y, z) = inside ? 1 : 0;
            image.values(x, y, z) =
                static_cast<float>((inside ? 150 : 20) + rng.below_at((x * 24 + y) * slices + z, 60));
          }
      const std::string name = std::to_string(i) + (volumes ? ".nii.gz" : ".png");
      if (volumes) {
        vitals::io::write_nifti(*this / name, image);
        vitals::io::write_nifti(*this / ("m" + name), mask);
      } else {
        Bytes pixels({20, 24, 1}), labels({20, 24, 1});
        for (std::size_t j = 0; j < pixels.size(); ++j) {
          pixels.data()[j] = static_cast<std::uint8_t>(image.values.data()[j]);
          labels.data()[j] = mask.values.data()[j] ? 255 : 0;
        }
        vitals::io::write_png(*this / name, pixels);
        vitals::io::write_png(*this / ("m" + name), labels);
      }
      manifest += name + ",m" + name + "," +
                  (i < 5   ? "train"
                   : i < 7 ? "val"
                           : "test") +
                  ",p" + std::to_string(i) + "\n";
    }
    write("manifest.csv", manifest);
  }
  void write(const std::string& name, const std::string& text) const { std::ofstream(path() / name) << text; }
  std::string at(const std::string& name) const { return (path() / name).string(); }
  std::vector<std::string> arguments(const std::vector<std::string>& more) const {
    std::vector<std::string> all{"--data",  at("manifest.csv"), "--size",   "28",        "--decoder",   "linear",
                                 "--lrs",   "0.01,0.1",         "--loss",   "combined",  "--bootstrap", "50",
                                 "--model", "dinov2_vits14",    "--report", at("r.json")};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
};

}  // namespace

TEST_CASE("segment on volumes: a report, masks with the header of the input, pictures; the same by the kept decoder") {
  Masked s(true);
  const auto done = run(
      "segment", s.arguments({"--classes", "background,square", "--intensity", "p5p95", "--epochs", "3", "--save-masks",
                              s.at("masks"), "--overlays", s.at("overlays"), "--save-decoder", s.at("d.safetensors")}));
  INFO(done.err);
  REQUIRE(done.status == 0);
  const auto report = test::json_of(s / "r.json");
  const auto& c = report["conditions"];
  CHECK(std::string(c["decoder"].GetString()) == "linear");
  CHECK(std::string(c["intensity"].GetString()) == "p5p95");
  CHECK(c["decoder_parameters"].GetInt() == 384 * 2 + 2);
  CHECK(report["cases"].Size() == 2);
  CHECK(report["cases"][0]["per_class"]["square"].HasMember("hd95"));
  const std::string name = "linear lr=" + std::string(c["lr"].GetDouble() == 0.1 ? "0.1" : "0.01");
  for (const char* metric : {"dice", "jaccard", "volumetric_similarity", "hd95"})
    CHECK(test::result_of(report, name + " per volume", metric)["n"].GetInt() == 2);
  for (const char* kind : {" global", " study", " model size global", " model size study", " model size per volume"})
    CHECK(test::result_of(report, name + kind, "dice")["per_class"].HasMember("square"));

  for (const char* file : {"overlays/7.png", "overlays/8.png", "overlays/contact_sheet.png"})
    CHECK(std::filesystem::exists(s / file));
  CHECK(vitals::io::read_image(s / "overlays/7.png").channels() == 3);
  const auto mask = vitals::io::read_nifti_labels(s / "masks/7.nii.gz");
  CHECK(mask.values.shape() == std::array<std::size_t, 3>{20, 24, 3});
  CHECK(mask.affine == vitals::io::read_nifti_header(s / "7.nii.gz").affine);

  // The masks that were written give the report's numbers.
  std::filesystem::create_directories(s / "references");
  for (const char* i : {"7", "8"})
    std::filesystem::copy_file(s / ("m" + std::string(i) + ".nii.gz"),
                               s / ("references/" + std::string(i) + ".nii.gz"));
  const auto alone = run("metrics", {"segmentation", "--predictions", s.at("masks"), "--references", s.at("references"),
                                     "--classes", "2", "--bootstrap", "50", "--report", s.at("m.json")});
  INFO(alone.err);
  REQUIRE(alone.status == 0);
  const auto metrics = test::json_of(s / "m.json");
  CHECK(test::result_of(metrics, "per volume", "dice")["value"].GetDouble() ==
        test::result_of(report, name + " per volume", "dice")["value"].GetDouble());
  CHECK(test::result_of(metrics, "study", "jaccard")["value"].GetDouble() ==
        test::result_of(report, name + " study", "jaccard")["value"].GetDouble());

  const auto again =
      run("segment_volume", {"--decoder", s.at("d.safetensors"), "--output", s.at("again"), s.at("7.nii.gz")});
  INFO(again.err);
  REQUIRE(again.status == 0);
  const auto repeated = vitals::io::read_nifti_labels(s / "again/7.nii.gz");
  CHECK(std::equal(repeated.values.begin(), repeated.values.end(), mask.values.begin()));
  CHECK(run("segment_volume",
            {"--decoder", s.at("d.safetensors"), "--output", s.at("windows"), "--windows", s.at("8.nii.gz")})
            .status == 0);
  CHECK(std::filesystem::exists(s / "windows/8.nii.gz"));
  const auto other = run("segment_volume",
                         {"--decoder", s.at("d.safetensors"), "--seed", "1", "--output", s.at("x"), s.at("7.nii.gz")});
  CHECK(other.status == 1);
  CHECK_THAT(test::last_line(other.err), Contains("other weights"));
}

TEST_CASE("segment: what cannot be done ends with one line and no report") {
  Masked s(false);
  const auto fails = [&](int status, const std::vector<std::string>& more) {
    const auto done = run("segment", s.arguments(more));
    CHECK(done.status == status);
    CHECK(done.out.empty());
    CHECK(!std::filesystem::exists(s / "r.json"));
    CHECK_THAT(test::last_line(done.err), StartsWith("segment: error: "));
    return test::last_line(done.err);
  };
  CHECK_THAT(fails(1, {}),
             Contains("m") && Contains("--mask-values"));  // 255 without names: too many classes, or unknown
  CHECK_THAT(fails(1, {"--mask-values", "0,1"}), Contains("value 255 at row") && Contains("line 2"));
  CHECK_THAT(fails(1, {"--mask-values", "0,255", "--axis", "3"}), Contains("axis 3"));
  CHECK_THAT(fails(1, {"--mask-values", "0,255", "--intensity", "p10"}), Contains("p10"));
  CHECK_THAT(fails(1, {"--mask-values", "0,255", "--overlays", s.at("0.png")}), Contains("0.png"));
  CHECK_THAT(fails(2, {"--mask-values", "0,255", "--resume"}), Contains("--checkpoint"));
  CHECK_THAT(fails(2, {"--decoder", "transunet"}), Contains("transunet"));
  CHECK_THAT(fails(2, {"--dataset", "msd_heart"}), Contains("--data and --dataset"));
  Bytes small({5, 5, 1});
  vitals::io::write_png(s / "m3.png", small);
  CHECK_THAT(fails(1, {"--mask-values", "0,255"}),
             Contains("its mask 5 x 5") && Contains("3.png (line 5 of manifest.csv)"));
  const auto incomplete = run("msd_heart", {"--root", s.path().string(), "--report", s.at("r.json")});
  CHECK(incomplete.status == 1);
  CHECK_THAT(test::last_line(incomplete.err), StartsWith("msd_heart: error: 0 of the 20") && Contains("imagesTr/"));
}

TEST_CASE("metrics segmentation: pictures with an empty class, and faults of the folders") {
  test::TemporaryFolder f;
  for (const char* folder : {"p", "r"}) std::filesystem::create_directories(f / folder);
  Bytes mask({4, 4, 1});
  vitals::io::write_png(f / "r/b.png", mask);
  vitals::io::write_png(f / "p/b.png", mask);
  mask(1u, 1u, 0u) = mask(1u, 2u, 0u) = 1;
  vitals::io::write_png(f / "r/a.png", mask);
  mask(2u, 2u, 0u) = 1;
  vitals::io::write_png(f / "p/a.png", mask);
  vitals::io::write_png(f / "p/extra.png", mask);
  const auto measure = [&](const std::vector<std::string>& more) {
    std::vector<std::string> all{"segmentation",     "--predictions", (f / "p").string(),     "--references",
                                 (f / "r").string(), "--report",      (f / "r.json").string()};
    all.insert(all.end(), more.begin(), more.end());
    std::filesystem::remove(f / "r.json");
    return run("metrics", all);
  };
  const auto done = measure({"--classes", "2", "--quiet"});
  INFO(done.err);
  REQUIRE(done.status == 0);
  CHECK(done.err.empty());
  CHECK_THAT(done.out, Contains("1: extra"));
  const auto report = test::json_of(f / "r.json");
  const auto& dice = test::result_of(report, "per volume", "dice");
  CHECK(dice["value"].GetDouble() == 0.8);
  CHECK(dice["skipped"]["1"].GetInt() == 1);
  CHECK(test::result_of(report, "per volume", "hausdorff")["value"].GetDouble() == 1);
  REQUIRE(measure({"--classes", "2", "--empty", "one"}).status == 0);
  CHECK(test::result_of(test::json_of(f / "r.json"), "per volume", "dice")["value"].GetDouble() == 0.9);
  const auto fails = [&](const std::vector<std::string>& more) {
    const auto wrong = measure(more);
    CHECK(wrong.status != 0);
    CHECK(!std::filesystem::exists(f / "r.json"));
    return test::last_line(wrong.err);
  };
  CHECK_THAT(fails({}), Contains("--classes"));
  CHECK_THAT(fails({"--classes", "2", "--mask-values", "0,255"}),
             Contains("value 1 at (0, 1, 1)") && Contains("a.png"));
  vitals::io::write_png(f / "r/c.png", mask);
  CHECK_THAT(fails({"--classes", "2"}), Contains("without a prediction, 1: c"));
  vitals::io::write_png(f / "p/c.png", Bytes({4, 5, 1}));
  CHECK_THAT(fails({"--classes", "2"}), Contains("(1, 4, 5) and (1, 4, 4)") && Contains("c.png"));
}

TEST_CASE("dataset: a census and a manifest of an archive") {
  test::TemporaryFolder f;
  for (const char* folder : {"CXR_png", "mask"}) std::filesystem::create_directories(f / folder);
  for (const char* name : {"a", "b", "c"}) {
    vitals::io::write_png(f / ("CXR_png/" + std::string(name) + ".png"), Bytes({4, 4, 1}));
    if (*name != 'c') vitals::io::write_png(f / ("mask/" + std::string(name) + "_mask.png"), Bytes({4, 4, 1}));
  }
  const auto done =
      run("dataset", {"--dataset", "shenzhen", "--root", f.path().string(), "--manifest", (f / "m.csv").string()});
  INFO(done.err);
  REQUIRE(done.status == 0);
  CHECK_THAT(done.out, Contains("shenzhen: 2 of 566 images with masks"));
  CHECK_THAT(test::text_of(f / "m.csv"), StartsWith("path,mask,split,patient\n") && Contains("mask/b_mask.png,"));
  CHECK(run("dataset", {"--dataset", "chexpert", "--root", f.path().string()}).status == 1);
}
