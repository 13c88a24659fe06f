// Implementation of feature_cache.hpp.
#pragma once

#include <cstdint>
#include <cstring>
#include <fstream>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <vitals/core/error.hpp>
#include <vitals/core/sha256.hpp>
#include <vitals/eval/feature_cache.hpp>
#include <vitals/io/atomic_file.hpp>

namespace vitals::inline v0::eval {

namespace detail {

inline constexpr std::string_view shard_magic = "vitals features 1\n";
inline constexpr const char* shard_suffix = ".features";
inline constexpr std::size_t digest_size = 64, records_a_shard = 64;
inline constexpr std::chrono::seconds shard_every{10};

inline void append_u64(std::string& text, std::uint64_t value) {
  char bytes[8];
  std::memcpy(bytes, &value, 8);
  text.append(bytes, 8);
}

inline std::string shard_header(const std::string& key, std::size_t numbers, std::size_t count) {
  std::string text(shard_magic);
  text += key;
  append_u64(text, numbers);
  append_u64(text, count);
  return text;
}

inline std::optional<std::string> whole_file(const std::filesystem::path& file) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(file, error)) return std::nullopt;
  const std::uintmax_t size = std::filesystem::file_size(file, error);
  std::ifstream stream(file, std::ios::binary);
  if (error || !stream) return std::nullopt;
  std::string text(size, '\0');
  if (!stream.read(text.data(), static_cast<std::streamsize>(size))) return std::nullopt;
  return text;
}

// The records of a shard: those of `text` where it is sound, nothing where it is not.
inline std::optional<std::string_view> shard_records(std::string_view text, const std::string& key,
                                                     std::size_t numbers) {
  const std::size_t record = digest_size + numbers * sizeof(float), head = shard_magic.size() + digest_size + 16;
  if (text.size() < head + digest_size || (text.size() - head - digest_size) % record != 0) return std::nullopt;
  const std::size_t count = (text.size() - head - digest_size) / record;
  if (text.substr(0, head) != shard_header(key, numbers, count)) return std::nullopt;
  const std::string_view body = text.substr(0, text.size() - digest_size);
  if (Sha256().update(body).hex() != text.substr(body.size())) return std::nullopt;
  return body.substr(head);
}

}  // namespace detail

VITALS_INLINE FeatureCache::FeatureCache(std::filesystem::path folder, std::string key, std::size_t numbers)
    : folder_(std::move(folder)), key_(std::move(key)), numbers_(numbers) {
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  if (!std::filesystem::is_directory(folder_))
    throw IoError("cannot make the cache folder" + (error ? " (" + error.message() + ")" : std::string()),
                  folder_.string());
}

VITALS_INLINE std::size_t FeatureCache::read(
    const std::function<void(const std::string& image, std::span<const float> numbers)>& found) const {
  std::size_t damaged = 0;
  std::vector<float> values(numbers_);
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder_, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (name.rfind(key_.substr(0, 16) + "-", 0) != 0 || at->path().extension() != detail::shard_suffix) continue;
    const auto text = detail::whole_file(at->path());
    const auto records = text ? detail::shard_records(*text, key_, numbers_) : std::nullopt;
    if (!records) {
      ++damaged;
      continue;
    }
    for (std::size_t i = 0; i < records->size(); i += detail::digest_size + numbers_ * sizeof(float)) {
      std::memcpy(values.data(), records->data() + i + detail::digest_size, numbers_ * sizeof(float));
      found(std::string(records->substr(i, detail::digest_size)), values);
    }
  }
  return damaged;
}

VITALS_INLINE void FeatureCache::add(const std::string& image, std::span<const float> numbers) {
  if (image.size() != detail::digest_size || numbers.size() != numbers_)
    throw ArgumentError("[FeatureCache] a record of " + std::to_string(numbers.size()) + " numbers, expected " +
                        std::to_string(numbers_));
  pending_ += image;
  pending_.append(reinterpret_cast<const char*>(numbers.data()), numbers.size_bytes());
  ++count_;
  if (count_ >= detail::records_a_shard || std::chrono::steady_clock::now() - last_ >= detail::shard_every) flush();
}

VITALS_INLINE void FeatureCache::flush() {
  last_ = std::chrono::steady_clock::now();
  if (count_ == 0) return;
  std::string text = detail::shard_header(key_, numbers_, count_) + pending_;
  const std::string checksum = Sha256().update(text).hex();
  text += checksum;
  std::string name = key_.substr(0, 16) + "-" + checksum.substr(0, 16);
  std::error_code error;
  while (std::filesystem::is_directory(folder_ / (name + detail::shard_suffix), error)) name += "-";
  io::write_text_file(folder_ / (name + detail::shard_suffix), text);
  pending_.clear();
  count_ = 0;
}

}  // namespace vitals::inline v0::eval
