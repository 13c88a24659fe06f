// LoRA on the table of parameters: what trains and how much of it, merging, mistakes, folders of PEFT both ways.
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <set>
#include <type_traits>

#include <catch2/catch.hpp>

#include "goldens.hpp"
#include "paths.hpp"
#include "training.hpp"

namespace vt = vitals;
using vt::dyn;

namespace {

inline constexpr vt::ViTConfig small{.dim = 24, .depth = 2, .heads = 3, .patch = 4, .grid = 3};
inline constexpr vt::ViTConfig golden{.dim = 64, .depth = 2, .heads = 2, .patch = 14, .grid = 3};
using Small = vt::ViT<small, vt::Cpu<float>>;

template <class Model>
void randomize_terms(Model& model, std::uint64_t seed) {
  vt::adapt::Table<typename Model::Backend> terms;
  for (const auto& row : vt::adapt::with_low_rank(model.parameters()))
    if (row.name.find("lora_") != row.name.npos) terms.push_back(row);
  test::randomize(terms, seed);
}

template <class Model>
auto cls(const Model& model) {
  return model(test::pixels(2, 4 * 3, 4 * 3, 1)).cls;
}

}  // namespace

TEST_CASE("as many parameters train as the study counts") {
  const auto count = []<class Model>(std::type_identity<Model>, vt::adapt::LoraOptions options) {
    Model model;
    for (const auto& row : model.parameters()) row.parameter->set_trainable(true);
    const std::size_t all = vt::adapt::trainable_count(model);
    vt::adapt::bitfit(model);
    const std::size_t biases = vt::adapt::trainable_count(model);
    vt::adapt::lora(model, options);
    const std::size_t terms = vt::adapt::trainable_count(model);
    vt::adapt::freeze(model);
    CHECK(vt::adapt::trainable_count(model) == 0);
    return std::array{all, biases, terms};
  };
  const vt::adapt::LoraOptions study{.rank = 48, .alpha = 16, .targets = {"qkv", "fc1", "fc2"}};
  using S = vt::ViT<vt::dinov2::vits14, vt::Cpu<float>>;
  using B = vt::ViT<vt::dinov2::vitb14, vt::Cpu<float>>;
  CHECK(count(std::type_identity<S>{}, study) == std::array<std::size_t, 3>{22056576, 51456, 3096576});
  CHECK(count(std::type_identity<B>{}, study) == std::array<std::size_t, 3>{86580480, 102912, 6193152});
  using L = vt::ViT<vt::dinov2::vitl14, vt::Cpu<float>>;
  using G = vt::ViT<vt::dinov2::vitg14, vt::Cpu<float>>;
  CHECK(count(std::type_identity<L>{}, {.rank = 32, .targets = {"qkv"}}) ==
        std::array<std::size_t, 3>{304368640, 272384, 3145728});
  CHECK(count(std::type_identity<G>{}, {.rank = 48, .targets = {"qkv"}}) ==
        std::array<std::size_t, 3>{1136480768, 760832, 11796480});
}

TEST_CASE("a new LoRA changes nothing, a trained one does, and merging keeps its output") {
  Small model(3);
  test::randomize(model.parameters(), 5);
  const auto before = cls(model);
  vt::adapt::lora(model, {.rank = 4, .alpha = 8, .targets = {"q", "v", "fc1", "proj", "fc2"}});
  CHECK(test::distance(cls(model), before) == 0);
  randomize_terms(model, 6);
  const auto adapted = cls(model);
  CHECK(test::distance(adapted, before) > 1e-2);
  vt::adapt::merge(model);
  CHECK(test::distance(cls(model), adapted) < 1e-5);
  vt::adapt::merge(model);  // once is enough
  CHECK(test::distance(cls(model), adapted) < 1e-5);
  vt::adapt::unmerge(model);
  CHECK(test::distance(cls(model), adapted) < 1e-5);
  vt::adapt::remove_lora(model);
  CHECK(test::distance(cls(model), before) < 1e-5);
}

TEST_CASE("a tape with LoRA computes what Eval computes, also merged") {
  const auto check = [](std::vector<std::string> targets, double tolerance) {
    Small model(3);
    test::randomize(model.parameters(), 5);
    vt::adapt::lora(model, {.rank = 3, .targets = std::move(targets)});
    randomize_terms(model, 6);
    for (int merged = 0; merged < 2; ++merged) {
      vt::Tape tape;
      const auto pixels = test::pixels(2, 12, 12, 1);
      CHECK(test::distance(model.cls(tape, pixels), cls(model)) < tolerance);
      CHECK((tape.recorded() > 0) == !merged);  // merged terms do not train
      vt::adapt::merge(model);
    }
  };
  check({"q", "v", "fc1", "fc2"}, 1e-6);
  check({"qkv", "k", "fc1", "fc2"}, 2e-5);  // a tape adds the two terms of k's rows to each other first
}

TEMPLATE_TEST_CASE("terms that go as one give what they give one by one, the same bits for any number of threads", "",
                   vt::Cpu<float>, vt::Cpu<vt::bfloat16>) {
  using B = TestType;
  vt::ViT<small, B> model(3);
  test::randomize(model.parameters(), 5);
  vt::adapt::lora(model, {.rank = 3, .targets = {"q", "v", "proj", "fc2"}});
  randomize_terms(model, 6);
  struct Pass {
    std::vector<float> cls;
    std::vector<std::vector<float>> gradients;
    bool operator==(const Pass&) const = default;
  };
  const auto pass = [&](unsigned threads, bool checkpoint) {
    vt::ThreadPool pool(threads);
    vt::Tape<B> tape(pool, {.checkpoint = checkpoint});
    auto y = model.cls(tape, test::pixels(2, 12, 12, 1));
    Pass out{{y.data(), y.data() + y.size()}, {}};
    test::backward(y, std::vector<float>(y.size(), 1.0f));
    for (const auto& row : vt::trainable(model)) {
      out.gradients.push_back(test::gradient(*row.parameter));
      row.parameter->gradient().clear();
    }
    return out;
  };
  const auto one = pass(1, false);
  CHECK(pass(2, false) == one);
  CHECK(pass(3, true) == one);
  for (const auto& row : model.parameters())  // the same float, but another scale: they go one by one
    if (row.parameter->low_rank().size() > 1) {
      double& scale = row.parameter->low_rank().back()->scale;
      scale = std::nextafter(scale, 1e9);
    }
  const auto each = pass(2, false);
  const double tolerance = std::is_same_v<B, vt::Cpu<float>> ? 1e-6 : 1e-2;
  CHECK(test::distance(each.cls, one.cls) < tolerance);
  REQUIRE(each.gradients.size() == 2 * 2 * 4);  // A and B of four terms in two blocks
  for (std::size_t i = 0; i < each.gradients.size(); ++i) {
    CHECK(test::distance(each.gradients[i], one.gradients[i]) < tolerance);
    CHECK(each.gradients[i].size() > 0);
  }
}

TEST_CASE("dropout is the same for any number of threads and leaves out as many as it says") {
  const std::size_t n = 100000;
  std::vector<float> ones(n, 1.0f), one(n), three(n), other(n);
  vt::ThreadPool single(1), triple(3);
  using G = vt::backend::Gradients<vt::Cpu<float>>;
  G::dropout(single, ones.data(), one.data(), n, 0.1, 5, 7, false);
  G::dropout(triple, ones.data(), three.data(), n, 0.1, 5, 7, false);
  G::dropout(single, ones.data(), other.data(), n, 0.1, 6, 7, false);
  CHECK(one == three);
  CHECK(one != other);
  const auto dropped = static_cast<double>(std::count(one.begin(), one.end(), 0.0f));
  CHECK(dropped / static_cast<double>(n) == Approx(0.1).margin(0.005));
  CHECK(*std::max_element(one.begin(), one.end()) == Approx(1 / 0.9).epsilon(1e-4));

  Small model(3);  // the gradients of what a pass with dropout computes; checkpoints see the same numbers dropped
  test::randomize(model.parameters(), 5);
  vt::adapt::lora(model, {.rank = 3, .targets = {"qkv", "fc2"}, .dropout = 0.3});
  randomize_terms(model, 6);
  const auto gradients = [&](bool checkpoint) {
    vt::Tape<vt::Cpu<float>> tape(vt::default_pool(), {.checkpoint = checkpoint, .seed = 4});
    auto y = model.cls(tape, test::pixels(2, 12, 12, 1));
    CHECK(test::distance(y, cls(model)) > 1e-3);
    test::backward(y, std::vector<float>(y.size(), 1.0f));
    std::vector<std::vector<float>> out;
    for (const auto& row : vt::trainable(model)) {
      out.push_back(test::gradient(*row.parameter));
      row.parameter->gradient().clear();
    }
    return out;
  };
  CHECK(gradients(true) == gradients(false));
}

TEST_CASE("biases train as asked") {
  const auto names = [](vt::adapt::LoraBias bias) {
    Small model(1);
    vt::adapt::lora(model, {.rank = 2, .targets = {"q", "fc1"}, .bias = bias});
    std::set<std::string> out;
    for (const auto& row : vt::trainable(model)) out.insert(row.name);
    return out;
  };
  const auto none = names(vt::adapt::LoraBias::none), own = names(vt::adapt::LoraBias::lora_only),
             all = names(vt::adapt::LoraBias::all);
  CHECK(none == std::set<std::string>{"blocks.0.attn.qkv.lora_A.q", "blocks.0.attn.qkv.lora_B.q",
                                      "blocks.0.mlp.fc1.lora_A", "blocks.0.mlp.fc1.lora_B",
                                      "blocks.1.attn.qkv.lora_A.q", "blocks.1.attn.qkv.lora_B.q",
                                      "blocks.1.mlp.fc1.lora_A", "blocks.1.mlp.fc1.lora_B"});
  CHECK(own.size() == none.size() + 4);
  CHECK(own.count("blocks.1.mlp.fc1.bias") == 1);
  CHECK(all.size() == none.size() + 2 * 6 + 2);
}

TEST_CASE("mistakes with LoRA are named") {
  Small model(1);
  CHECK_THROWS_WITH(vt::adapt::lora(model, {.targets = {"query"}}),
                    Catch::Contains("'query'") && Catch::Contains("blocks.0.attn.qkv"));
  CHECK_THROWS_AS(vt::adapt::lora(model, {.rank = 0}), vt::ArgumentError);
  CHECK_THROWS_AS(vt::adapt::lora(model, {.dropout = 1}), vt::ArgumentError);
  CHECK_THROWS_AS(vt::adapt::adapter_of(model), vt::ArgumentError);
  vt::adapt::remove_lora(model);
  vt::adapt::lora(model);
  CHECK_THROWS_WITH(vt::adapt::lora(model), Catch::Contains("remove_lora"));
}

TEST_CASE("an adapter comes back from its folder") {
  test::TemporaryFolder folder;
  Small model(3);
  test::randomize(model.parameters(), 5);
  const auto check = [&](const vt::adapt::LoraOptions& options) {
    vt::adapt::lora(model, options);
    randomize_terms(model, 6);
    const auto expected = cls(model);
    const std::size_t count = vt::adapt::trainable_count(model);
    vt::adapt::save_peft(model, folder / "adapter");
    vt::adapt::remove_lora(model);
    vt::adapt::load_peft(model, folder / "adapter");
    CHECK(vt::adapt::trainable_count(model) == count);
    CHECK(test::distance(cls(model), expected) < 1e-6);
    vt::adapt::remove_lora(model);
  };
  check({.rank = 4, .alpha = 8, .targets = {"qkv", "fc1"}});
  check({.rank = 4, .alpha = 8, .targets = {"q", "v"}, .dropout = 0.1});
  check({.rank = 4,
         .alpha = 8,
         .targets = {"fc1", "fc2"},
         .rslora = true,
         .bias = vt::adapt::LoraBias::lora_only,
         .rank_pattern = {{"fc1", 2}},
         .alpha_pattern = {{"fc2", 3}}});

  static constexpr vt::ViTConfig wider{.dim = 48, .depth = 2, .heads = 3, .patch = 4, .grid = 3};
  vt::ViT<wider, vt::Cpu<float>> other(1);
  CHECK_THROWS_WITH(vt::adapt::load_peft(other, folder / "adapter"), Catch::Contains("made for"));
  CHECK(vt::adapt::trainable_count(other) == vt::nn::count(other.parameters()));  // nothing was changed
  static constexpr vt::ViTConfig shorter{.dim = 24, .depth = 1, .heads = 3, .patch = 4, .grid = 3};
  vt::ViT<shorter, vt::Cpu<float>> shallow(1);
  CHECK_THROWS_WITH(vt::adapt::load_peft(shallow, folder / "adapter"), Catch::Contains("no such layer"));
  std::ofstream(folder / "adapter/adapter_config.json") << R"({"peft_type": "IA3"})";
  CHECK_THROWS_AS(vt::adapt::load_peft(model, folder / "adapter"), vt::FormatError);
  CHECK_THROWS_AS(vt::adapt::load_peft(model, folder / "nothing"), vt::IoError);
}

TEST_CASE("folders that PEFT has written give PEFT's outputs") {
  NEEDS_SHARED("goldens/adapters");
  for (const char* name : {"lora_qkv_fc1_fc2", "lora_with_biases", "lora_rslora_patterns", "lora_qv_as_qkv"}) {
    INFO(name);
    const auto folder = test::shared(std::string("goldens/adapters/") + name);
    const auto expected = vt::io::TensorFile::open(folder / "expected.safetensors");
    auto model = vt::load<vt::ViT<golden, vt::Cpu<float>>>(test::shared("goldens/train/backbone.safetensors"));
    vt::adapt::load_peft(model, folder);
    const auto pixels = test::tensor<4>(expected, "pixels");
    const auto run = [&] {
      return model(vt::TensorView<const float, dyn, 3, dyn, dyn>(pixels.data(), pixels.shape()));
    };
    CHECK(test::distance(run().cls, test::tensor<2>(expected, "cls")) < 1e-5);
    CHECK(test::distance(run().patches, test::tensor<3>(expected, "patches")) < 1e-5);
    test::TemporaryFolder again;
    vt::adapt::save_peft(model, again.path());
    vt::adapt::remove_lora(model);
    vt::adapt::load_peft(model, again.path());
    CHECK(test::distance(run().cls, test::tensor<2>(expected, "cls")) < 1e-5);
  }
}

TEST_CASE("PEFT reads our folders and computes the same") {
  NEEDS_SHARED("goldens/reference.py");
  const auto quoted = [](const std::filesystem::path& path) { return "'" + path.string() + "'"; };
  const auto python = quoted(test::from_environment("VITALS_PYTHON", "python3"));
  if (std::system((python + " -c 'import peft' 2> /dev/null").c_str()) != 0) {
    WARN("skipped: PEFT is not installed (VITALS_PYTHON names a Python that has it)");
    return;
  }
  const auto script = test::data("").parent_path().parent_path() / "adapt/peft_reads.py";
  const auto pixels = test::pixels(2, 42, 42, 1);
  for (const vt::adapt::LoraOptions& options :
       {vt::adapt::LoraOptions{.rank = 4, .targets = {"qkv", "fc1"}, .bias = vt::adapt::LoraBias::lora_only},
        vt::adapt::LoraOptions{.rank = 2, .targets = {"q", "v"}},
        vt::adapt::LoraOptions{
            .rank = 4, .alpha = 4, .targets = {"qkv", "attn.proj", "fc1", "fc2"}, .dropout = 0.1, .rslora = true}}) {
    auto model = vt::load<vt::ViT<golden, vt::Cpu<float>>>(test::shared("goldens/train/backbone.safetensors"));
    vt::adapt::lora(model, options);
    randomize_terms(model, 6);
    for (const auto& row : vt::trainable(model))
      if (row.name.ends_with("bias")) test::randomize<vt::Cpu<float>>({row}, 7);
    test::TemporaryFolder folder;
    vt::adapt::save_peft(model, folder.path());
    const auto out = model(pixels);
    vt::io::write_safetensors(
        folder / "expected.safetensors",
        std::vector<vt::io::NamedTensor>{{"pixels", {2, 3, 42, 42}, std::span<const float>(pixels.span())},
                                         {"cls", {2, 64}, std::span<const float>(out.cls.span())},
                                         {"patches", {2, 9, 64}, std::span<const float>(out.patches.span())}},
        {});
    CHECK(std::system(
              (python + " " + quoted(script) + " " + quoted(test::shared("goldens")) + " " + quoted(folder.path()))
                  .c_str()) == 0);
  }
}

TEST_CASE("the published matrices of a ViT-L are read") {
  NEEDS_SHARED("weights/dinov2_vitl14_lora_heads");
  for (const char* name :
       {"large_voc_lora.safetensors", "large_voc_lora.pt", "large_ade20k_lora.safetensors", "large_ade20k_lora.pt"}) {
    const auto adapter = vt::adapt::read_adapter(test::shared(std::string("weights/dinov2_vitl14_lora_heads/") + name));
    CHECK(adapter.terms.size() == 48);
    if (name == std::string("large_voc_lora.safetensors")) {  // a ViT-L costs a second
      vt::ViT<vt::dinov2::vitl14_reg, vt::Cpu<float>> model;
      vt::adapt::apply(model, adapter);
      CHECK(vt::adapt::trainable_count(model) == 48 * 3 * 2048);
    }
  }
  CHECK_THROWS_AS(
      vt::adapt::read_adapter(test::shared("weights/dinov2_vitl14_lora_heads/large_voc_no_lora.safetensors")),
      vt::FormatError);
}
