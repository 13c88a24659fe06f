// The cache of features on disk: a folder of shards, each written whole or not at all (io::AtomicFile), never changed.
// A killed process loses what it had not yet written, a second one may write beside it, and a damaged or foreign file
// costs a recomputation, never an error.
//
// A shard (little-endian, as the processor has it): "vitals features 1\n", key (64 hexadecimal digits), numbers a
// record and count of records (u64 each), the records (64 digits of the image's SHA-256, then float32 numbers), and the
// SHA-256 of everything before it (64 digits). Its name: first 16 digits of the key, "-", first 16 of the checksum.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string>

#include <vitals/core/config.hpp>

namespace vitals::inline v0::eval {

class FeatureCache {
 public:
  /// `key`: 64 hexadecimal digits that name everything but the image that the numbers depend on (see feature_key).
  /// Makes the folder. Throws IoError.
  FeatureCache(std::filesystem::path folder, std::string key, std::size_t numbers);

  /// Calls found(image, numbers) for each record of each sound shard of this key. Gives how many shards were damaged.
  std::size_t read(const std::function<void(const std::string& image, std::span<const float> numbers)>& found) const;
  /// Keeps a record (`image`: SHA-256 of its file); writes a shard after every 64 records or ten seconds. Throws IoError.
  void add(const std::string& image, std::span<const float> numbers);
  /// Writes what is kept as a shard. Throws IoError; then it is still kept.
  void flush();

 private:
  std::filesystem::path folder_;
  std::string key_, pending_;
  std::size_t numbers_, count_ = 0;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

}  // namespace vitals::inline v0::eval

#if VITALS_HEADER_ONLY
#include <vitals/eval/feature_cache.ipp>
#endif
