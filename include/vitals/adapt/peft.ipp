// Implementation of peft.hpp.
#pragma once

#include <set>
#include <span>

#include <rapidjson/prettywriter.h>
#include <rapidjson/stringbuffer.h>

#include <vitals/adapt/peft.hpp>
#include <vitals/core/error.hpp>
#include <vitals/io/atomic_file.hpp>
#include <vitals/io/json.hpp>
#include <vitals/io/safetensors.hpp>

namespace vitals::inline v0::adapt {

namespace detail {

VITALS_INLINE void does_not_fit(const std::string& what, const std::string& module) {
  throw DataError("[adapter] " + what, module, "load the model that the adapter was made for");
}

inline std::vector<float> adapter_numbers(const io::TensorFile& file, const io::TensorEntry& entry) {
  std::vector<float> values(entry.size());
  file.read(entry, std::span<float>(values));
  for (float v : values)
    if (!std::isfinite(v))
      throw DataError("a number that is NaN or infinite in '" + entry.name + "'", file.path().string());
  return values;
}

/// A term for qkv with the metadata's parts, as terms of the parts.
inline std::vector<Adapter::Term> split_parts(const Adapter::Term& whole, const std::vector<std::string>& parts) {
  const std::size_t rank = whole.rank / parts.size(), rows = whole.rows / 3;
  std::vector<Adapter::Term> out;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    Adapter::Term term{whole.module, parts[i], rank, whole.in, rows, {}, {}, whole.scale};
    const auto begin = whole.a.begin() + static_cast<std::ptrdiff_t>(i * rank * whole.in);
    term.a.assign(begin, begin + static_cast<std::ptrdiff_t>(rank * whole.in));
    const std::size_t first = parts[i] == "k" ? rows : parts[i] == "v" ? 2 * rows : 0;
    for (std::size_t n = first; n < first + rows; ++n)
      for (std::size_t r = 0; r < rank; ++r) term.b.push_back(whole.b[n * whole.rank + i * rank + r]);
    out.push_back(std::move(term));
  }
  return out;
}

inline Adapter read_numbered_pairs(const io::TensorFile& file) {
  Adapter out;
  out.options.targets = {"q", "v"};
  for (std::size_t i = 0;; ++i) {
    const std::string digits = std::to_string(i),
                      number = std::string(3 - std::min<std::size_t>(3, digits.size()), '0') + digits;
    const auto *a = file.find("w_a_" + number), *b = file.find("w_b_" + number);
    if (!a && !b) break;
    if (!a || !b || a->shape.size() != 2 || b->shape.size() != 2 || a->shape[0] != b->shape[1])
      throw FormatError("matrices w_a_" + number + " and w_b_" + number + " are no pair", file.path().string());
    out.terms.push_back({"blocks." + std::to_string(i / 2) + ".attn.qkv", i % 2 ? "v" : "q", a->shape[0], a->shape[1],
                         b->shape[0], adapter_numbers(file, *a), adapter_numbers(file, *b), 1.0});
    out.options.rank = a->shape[0];
    out.options.alpha = static_cast<double>(a->shape[0]);
  }
  if (out.terms.empty())
    throw FormatError("no low-rank matrices (w_a_000 ...)", file.path().string(),
                      "give a folder that PEFT has written");
  return out;
}

inline void read_config(const io::JsonValue& config, const std::string& where, LoraOptions& options) {
  const auto* type = config.find("peft_type");
  if (!type || !type->is_text() || type->as_text() != "LORA")
    throw FormatError("not an adapter of kind LORA", where, "other kinds of PEFT are not read");
  for (const char* other : {"use_dora", "fan_in_fan_out", "use_qalora", "lora_bias", "use_bdlora"})
    if (const auto* flag = config.find(other); flag && !flag->is_null() && flag->as_bool())
      throw FormatError(std::string("'") + other + "' is not read", where, "only plain LoRA on Linear layers is");
  options.rank = static_cast<std::size_t>(config.at("r").as_integer());
  options.alpha = config.at("lora_alpha").as_number();
  if (const auto* v = config.find("lora_dropout")) options.dropout = v->as_number();
  if (const auto* v = config.find("use_rslora"); v && !v->is_null()) options.rslora = v->as_bool();
  if (const auto* v = config.find("bias")) options.bias = lora_bias_by_name(v->as_text());
  options.targets.clear();
  if (const auto* v = config.find("target_modules")) {
    if (v->is_list())
      for (const auto& target : v->as_list()) options.targets.push_back(target.as_text());
    else if (v->is_text())
      options.targets.push_back(v->as_text());
  }
  if (const auto* v = config.find("rank_pattern"); v && v->is_object())
    for (const auto& [key, value] : v->as_object())
      options.rank_pattern[key] = static_cast<std::size_t>(value.as_integer());
  if (const auto* v = config.find("alpha_pattern"); v && v->is_object())
    for (const auto& [key, value] : v->as_object()) options.alpha_pattern[key] = value.as_number();
  check_lora(options);
}

/// "base_model.model.blocks.0.attn.qkv.lora_A.weight" -> module "blocks.0.attn.qkv" and what "lora_A"; also with the
/// adapter's name between (".lora_A.default.weight"), and biases of the base.
struct AdapterKey {
  std::string module, what;
};
inline AdapterKey adapter_key(std::string key) {
  if (const std::string prefix = "base_model.model."; key.starts_with(prefix)) key = key.substr(prefix.size());
  for (const char* side : {"lora_A", "lora_B"})
    if (const auto at = key.find(std::string(".") + side + "."); at != key.npos && key.ends_with("weight"))
      return {key.substr(0, at), side};
  for (const char* end : {".base_layer.bias", ".bias"})
    if (key.ends_with(end)) return {key.substr(0, key.size() - std::string(end).size()), "bias"};
  return {key, ""};
}

}  // namespace detail

VITALS_INLINE Adapter read_adapter(const std::filesystem::path& path) {
  if (!std::filesystem::is_directory(path)) return detail::read_numbered_pairs(io::TensorFile::open(path));
  Adapter out;
  const auto config = path / "adapter_config.json", weights = path / "adapter_model.safetensors";
  detail::read_config(io::read_json(config), config.string(), out.options);
  const auto file = io::TensorFile::open(weights);
  const std::string where = weights.string();
  std::vector<std::string> parts;
  if (const auto at = file.metadata().find("vitals.targets"); at != file.metadata().end()) {
    for (char c : at->second)
      if (c != ',') parts.push_back(std::string(1, c));
    for (const auto& part : parts)
      if (part != "q" && part != "k" && part != "v")
        throw FormatError("metadata vitals.targets '" + at->second + "'", where);
  }
  std::map<std::string, Adapter::Term> terms;
  std::vector<std::string> order;
  for (const auto& entry : file.entries()) {
    const auto [module, what] = detail::adapter_key(entry.name);
    if (what == "bias") {
      out.biases[module + ".bias"] = detail::adapter_numbers(file, entry);
      continue;
    }
    if (what.empty() || entry.shape.size() != 2)
      throw FormatError("tensor '" + entry.name + "' is not part of a LoRA adapter", where,
                        "only plain LoRA on Linear layers is read");
    auto& term = terms[module];
    if (term.module.empty()) order.push_back(module);
    term.module = module;
    if (what == "lora_A") {
      term.a = detail::adapter_numbers(file, entry);
      term.in = entry.shape[1];
    } else {
      term.b = detail::adapter_numbers(file, entry);
      term.rows = entry.shape[0];
    }
    const std::size_t rank = entry.shape[what == "lora_A" ? 0 : 1];
    if (rank == 0 || (term.rank && term.rank != rank))
      throw FormatError("A and B of '" + module + "' have different ranks", where);
    term.rank = rank;
  }
  for (const auto& module : order) {
    auto& term = terms[module];
    if (term.a.empty() || term.b.empty()) throw FormatError("'" + module + "' lacks its A or its B", where);
    if (const auto said = detail::by_pattern(module, out.options.rank_pattern, out.options.rank); said != term.rank)
      throw FormatError("'" + module + "' has rank " + std::to_string(term.rank) + ", adapter_config.json says " +
                            std::to_string(said),
                        where);
    const double alpha = detail::by_pattern(module, out.options.alpha_pattern, out.options.alpha);
    const double rank = static_cast<double>(term.rank);
    term.scale = alpha / (out.options.rslora ? std::sqrt(rank) : rank);
    if (!parts.empty() && module.ends_with("qkv") && term.rank % parts.size() == 0 && term.rows % 3 == 0)
      for (auto& part : detail::split_parts(term, parts)) out.terms.push_back(std::move(part));
    else
      out.terms.push_back(std::move(term));
  }
  if (out.terms.empty()) throw FormatError("an adapter without terms", where);
  return out;
}

namespace detail {

/// Terms of parts of one module as one term of the whole. Their scales may differ: B carries the ratio to the first's.
inline Adapter::Term join_parts(const std::vector<const Adapter::Term*>& parts) {
  const auto& first = *parts.front();
  Adapter::Term whole{first.module, "", 0, first.in, 3 * first.rows, {}, {}, first.scale};
  for (const auto* part : parts) {
    whole.rank += part->rank;
    whole.a.insert(whole.a.end(), part->a.begin(), part->a.end());
  }
  whole.b.assign(whole.rows * whole.rank, 0.0f);
  std::size_t column = 0;
  for (const auto* part : parts) {
    const std::size_t row = part->part == "k" ? part->rows : part->part == "v" ? 2 * part->rows : 0;
    for (std::size_t n = 0; n < part->rows; ++n)
      for (std::size_t r = 0; r < part->rank; ++r)
        whole.b[(row + n) * whole.rank + column + r] =
            static_cast<float>(static_cast<double>(part->b[n * part->rank + r]) * part->scale / first.scale);
    column += part->rank;
  }
  return whole;
}

}  // namespace detail

VITALS_INLINE void write_peft(const std::filesystem::path& folder, const Adapter& adapter) {
  // One term a module, in order; parts are joined.
  std::vector<Adapter::Term> terms;
  std::set<std::string> done, part_names;
  for (const auto& term : adapter.terms) {
    if (!done.insert(term.module).second) continue;
    std::vector<const Adapter::Term*> same;
    for (const auto& other : adapter.terms)
      if (other.module == term.module) same.push_back(&other);
    if (term.part.empty() && same.size() == 1) {
      terms.push_back(term);
      continue;
    }
    std::sort(same.begin(), same.end(), [](const auto* a, const auto* b) { return a->part < b->part; });
    for (const auto* part : same) {
      if (part->part.empty())
        throw ArgumentError("[write_peft] a term of the whole beside terms of parts", term.module);
      part_names.insert(part->part);
    }
    terms.push_back(detail::join_parts(same));
  }
  std::map<std::string, std::string> metadata{{"format", "pt"}};
  std::string parts;
  for (const auto& part : part_names) parts += (parts.empty() ? "" : ",") + part;
  if (!parts.empty()) metadata["vitals.targets"] = parts;

  // r and alpha of the first; whatever differs stands in the patterns, by the whole name.
  const auto alpha = [](const Adapter::Term& term) { return term.scale * static_cast<double>(term.rank); };
  std::vector<io::NamedTensor> tensors;
  std::set<std::string> targets;
  for (const auto& term : terms) {
    const std::string key = "base_model.model." + term.module;
    tensors.emplace_back(key + ".lora_A.weight", std::vector<std::size_t>{term.rank, term.in},
                         std::span<const float>(term.a));
    tensors.emplace_back(key + ".lora_B.weight", std::vector<std::size_t>{term.rows, term.rank},
                         std::span<const float>(term.b));
    // PEFT matches ends of names: `proj` alone would also be the patch embedding's.
    const std::string last = term.module.substr(term.module.rfind('.') + 1);
    targets.insert(last == "proj" && term.module.ends_with("attn.proj") ? "attn.proj" : last);
  }
  for (const auto& [name, values] : adapter.biases) {
    const std::string module = module_of(name);
    tensors.emplace_back("base_model.model." + module + (done.count(module) ? ".base_layer.bias" : ".bias"),
                         std::vector<std::size_t>{values.size()}, std::span<const float>(values));
  }

  rapidjson::StringBuffer buffer;
  rapidjson::PrettyWriter<rapidjson::StringBuffer> json(buffer);
  const auto text = [&](const std::string& s) { json.String(s.data(), static_cast<rapidjson::SizeType>(s.size())); };
  const auto number = [&](double x) {  // whole numbers as such
    if (x == std::floor(x) && std::abs(x) < 1e15)
      json.Int64(static_cast<std::int64_t>(x));
    else
      json.Double(x);
  };
  json.StartObject();
  json.Key("alpha_pattern");
  json.StartObject();
  for (const auto& term : terms)
    if (alpha(term) != alpha(terms.front())) {
      text(term.module);
      number(alpha(term));
    }
  json.EndObject();
  json.Key("base_model_name_or_path");
  json.Null();
  json.Key("bias");
  json.String(name(adapter.options.bias));
  json.Key("fan_in_fan_out");
  json.Bool(false);
  json.Key("inference_mode");
  json.Bool(true);
  json.Key("init_lora_weights");
  json.Bool(true);
  json.Key("lora_alpha");
  number(alpha(terms.front()));
  json.Key("lora_dropout");
  json.Double(adapter.options.dropout);
  json.Key("modules_to_save");
  json.Null();
  json.Key("peft_type");
  json.String("LORA");
  json.Key("r");
  json.Uint64(terms.front().rank);
  json.Key("rank_pattern");
  json.StartObject();
  for (const auto& term : terms)
    if (term.rank != terms.front().rank) {
      text(term.module);
      json.Uint64(term.rank);
    }
  json.EndObject();
  json.Key("target_modules");
  json.StartArray();
  for (const auto& target : targets) text(target);
  json.EndArray();
  json.Key("task_type");
  json.Null();
  json.Key("use_rslora");  // scales are written as alpha / r whatever they were
  json.Bool(false);
  json.EndObject();

  std::error_code ignored;
  std::filesystem::create_directories(folder, ignored);
  io::write_safetensors(folder / "adapter_model.safetensors", tensors, metadata);
  io::write_text_file(folder / "adapter_config.json", std::string(buffer.GetString(), buffer.GetSize()) + "\n");
}

}  // namespace vitals::inline v0::adapt
