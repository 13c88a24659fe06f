// The volumes read last, so that their slices are read from memory; for several threads. Internal to the room.
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <string>

#include <vitals/core/config.hpp>
#include <vitals/io/volume.hpp>

namespace vitals::inline v0::data {

/// An image and its mask, as read.
struct VolumePair {
  io::Volume image;
  io::LabelVolume mask;
};

class VolumesKept {
 public:
  explicit VolumesKept(std::size_t bytes) : limit_(bytes) {}

  /// The pair of this name; `read` is called where it is not here, by one thread while others that want it wait.
  template <class Read>
  std::shared_ptr<const VolumePair> get(const std::string& name, Read&& read) {
    const auto entry = entry_of(name);
    const std::lock_guard reading(entry->reading);
    if (!entry->pair) {
      auto pair = std::make_shared<const VolumePair>(read());
      const std::lock_guard lock(mutex_);
      entry->pair = std::move(pair);
      entry->bytes = entry->pair->image.values.size() * sizeof(float) + entry->pair->mask.values.size();
      forget();
    }
    return entry->pair;
  }

 private:
  struct Entry {
    std::string name;
    std::mutex reading;
    std::shared_ptr<const VolumePair> pair;
    std::size_t bytes = 0;
  };

  // The entry of a name, moved to the front.
  std::shared_ptr<Entry> entry_of(const std::string& name) {
    const std::lock_guard lock(mutex_);
    for (auto at = entries_.begin(); at != entries_.end(); ++at)
      if ((*at)->name == name) {
        entries_.splice(entries_.begin(), entries_, at);
        return entries_.front();
      }
    entries_.push_front(std::make_shared<Entry>());
    entries_.front()->name = name;
    return entries_.front();
  }
  // The entries used longest ago go, down to the limit; the first stays. Whoever works with a pair holds it.
  void forget() {
    std::size_t bytes = 0;
    bool first = true;
    for (auto at = entries_.begin(); at != entries_.end();) {
      bytes += (*at)->bytes;
      if (!first && bytes > limit_ && (*at)->bytes)
        at = entries_.erase(at);
      else
        ++at;
      first = false;
    }
  }

  std::size_t limit_;
  std::mutex mutex_;
  std::list<std::shared_ptr<Entry>> entries_;
};

}  // namespace vitals::inline v0::data
