// Implementation of checkpoint.hpp.
#pragma once

#include <algorithm>
#include <charconv>
#include <span>
#include <string_view>
#include <system_error>

#include <vitals/core/error.hpp>
#include <vitals/core/sha256.hpp>
#include <vitals/io/safetensors.hpp>
#include <vitals/io/tensor_file.hpp>
#include <vitals/train/checkpoint.hpp>

namespace vitals::inline v0::train {

namespace detail {

inline constexpr std::string_view checkpoint_prefix = "step-", checkpoint_suffix = ".safetensors",
                                  condition_prefix = "condition.";

// The checkpoints of a folder, newest first.
VITALS_INLINE std::vector<std::pair<std::uint64_t, std::filesystem::path>> checkpoints(
    const std::filesystem::path& folder) {
  std::vector<std::pair<std::uint64_t, std::filesystem::path>> found;
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (!name.starts_with(checkpoint_prefix) || !name.ends_with(checkpoint_suffix)) continue;
    const char* first = name.data() + checkpoint_prefix.size();
    const char* last = name.data() + name.size() - checkpoint_suffix.size();
    std::uint64_t step = 0;
    if (std::from_chars(first, last, step).ptr == last) found.emplace_back(step, at->path());
  }
  std::sort(found.rbegin(), found.rend());
  return found;
}

// Of the numbers of every tensor, in order: damage inside them is seen, too.
VITALS_INLINE std::string digest_of(std::span<const io::NamedTensor> tensors) {
  Sha256 sum;
  for (const auto& tensor : tensors) sum.update(tensor.name).update(tensor.bytes);
  return sum.hex();
}

VITALS_INLINE void check_digest(const io::TensorFile& file) {
  std::vector<io::NamedTensor> tensors;
  for (const auto& e : file.entries())
    tensors.emplace_back(e.name, e.shape, e.dtype, std::span<const std::byte>(e.data, e.size() * io::size_of(e.dtype)));
  std::sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  const auto found = file.metadata().find("digest");
  if (found == file.metadata().end() || found->second != digest_of(tensors))
    throw FormatError("its numbers are not those that were written", file.path().string());
}

VITALS_INLINE void check_conditions(const io::TensorFile& file, const Conditions& conditions) {
  const auto differs = [&](const std::string& name, const std::string& then, const std::string& now) {
    throw DataError("the checkpoint was made with " + name + " " + then + ", now it is " + now, file.path().string(),
                    "give the same options, or another folder");
  };
  for (const auto& [name, value] : conditions) {
    const auto found = file.metadata().find(std::string(condition_prefix) + name);
    if (found == file.metadata().end()) differs(name, "(none)", value);
    if (found->second != value) differs(name, found->second, value);
  }
}

VITALS_INLINE void read_checkpoint(const io::TensorFile& file, const std::vector<TrainableRow>& rows,
                                   Optimizer& optimizer, Position& position) {
  const auto tensor = [&](const std::string& name, std::size_t size) -> const io::TensorEntry& {
    const auto* entry = file.find(name);
    if (!entry || entry->size() != size)
      throw DataError("a checkpoint of another model: tensor " + name + " is missing or of another size",
                      file.path().string());
    return *entry;
  };
  Position p;
  std::vector<double> numbers(4);
  file.read(tensor("position", numbers.size()), std::span<double>(numbers));
  p.step = static_cast<std::uint64_t>(numbers[0]);
  p.loss_sum = numbers[1];
  p.loss_count = static_cast<std::uint64_t>(numbers[2]);
  p.best_step = static_cast<std::uint64_t>(numbers[3]);
  if (const auto* entry = file.find("evaluations")) {
    std::vector<double> all(entry->size());
    file.read(*entry, std::span<double>(all));
    for (std::size_t i = 0; i + 2 < all.size(); i += 3)
      p.evaluations.push_back({static_cast<std::uint64_t>(all[i]), all[i + 1], all[i + 2]});
  }
  std::vector<std::vector<float>> values;
  for (const auto& row : rows) {
    auto& v = values.emplace_back(row.size());
    file.read(tensor("row." + row.name, v.size()), std::span<float>(v));
    if (file.find("best." + row.name)) {
      auto& best = p.best.emplace_back(row.size());
      file.read(tensor("best." + row.name, best.size()), std::span<float>(best));
    }
  }
  optimizer.load_state(file);
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i].write(values[i]);
  position = std::move(p);
}

}  // namespace detail

VITALS_INLINE bool has_checkpoint(const std::filesystem::path& folder) { return !detail::checkpoints(folder).empty(); }

VITALS_INLINE void save_checkpoint(const std::filesystem::path& folder, const Conditions& conditions,
                                   const std::vector<TrainableRow>& rows, const Optimizer& optimizer,
                                   const Position& position) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw IoError("a folder of checkpoints cannot be made: " + error.message(), folder.string());
  const std::vector<double> numbers{static_cast<double>(position.step), position.loss_sum,
                                    static_cast<double>(position.loss_count), static_cast<double>(position.best_step)};
  std::vector<double> evaluations;
  for (const auto& e : position.evaluations)
    evaluations.insert(evaluations.end(), {static_cast<double>(e.step), e.score, e.loss});
  std::vector<io::NamedTensor> tensors = optimizer.state();
  tensors.emplace_back("position", std::vector<std::size_t>{numbers.size()}, std::span<const double>(numbers));
  if (!evaluations.empty())
    tensors.emplace_back("evaluations", std::vector<std::size_t>{evaluations.size()},
                         std::span<const double>(evaluations));
  std::vector<std::vector<float>> values(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    values[i].resize(rows[i].size());
    rows[i].read(values[i]);
    tensors.emplace_back("row." + rows[i].name, rows[i].shape, std::span<const float>(values[i]));
    if (!position.best.empty())
      tensors.emplace_back("best." + rows[i].name, rows[i].shape, std::span<const float>(position.best[i]));
  }
  std::sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  std::map<std::string, std::string> metadata{{"digest", detail::digest_of(tensors)}};
  for (const auto& [name, value] : conditions) metadata[std::string(detail::condition_prefix) + name] = value;
  const auto before = detail::checkpoints(folder);
  io::write_safetensors(folder / (std::string(detail::checkpoint_prefix) + std::to_string(position.step) +
                                  std::string(detail::checkpoint_suffix)),
                        tensors, metadata);
  std::size_t kept = 0;
  for (const auto& [step, file] : before)
    if (step != position.step && kept++ > 0) std::filesystem::remove(file, error);
}

VITALS_INLINE bool load_checkpoint(const std::filesystem::path& folder, const Conditions& conditions,
                                   const std::vector<TrainableRow>& rows, Optimizer& optimizer, Position& position,
                                   std::vector<std::string>& notes) {
  const auto found = detail::checkpoints(folder);
  for (std::size_t i = 0; i < found.size(); ++i) {
    try {
      const auto file = io::TensorFile::open(found[i].second);
      detail::check_digest(file);
      detail::check_conditions(file, conditions);
      detail::read_checkpoint(file, rows, optimizer, position);
      return true;
    } catch (const FormatError& damage) {
      notes.push_back("the checkpoint " + found[i].second.filename().string() + " is damaged (" + damage.what() +
                      "); the one before it is taken");
    }
  }
  if (!found.empty())
    throw DataError("every checkpoint is damaged", folder.string(), "empty the folder and begin anew");
  return false;
}

VITALS_INLINE void save_checkpoint(const std::filesystem::path& folder, const Conditions& conditions,
                                   TrainableBackbone& model, const Optimizer& optimizer, const Position& position) {
  save_checkpoint(folder, conditions, model.rows(), optimizer, position);
}

VITALS_INLINE bool load_checkpoint(const std::filesystem::path& folder, const Conditions& conditions,
                                   TrainableBackbone& model, Optimizer& optimizer, Position& position,
                                   std::vector<std::string>& notes) {
  return load_checkpoint(folder, conditions, model.rows(), optimizer, position, notes);
}

}  // namespace vitals::inline v0::train
