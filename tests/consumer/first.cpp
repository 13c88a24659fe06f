#include "use.hpp"

#include <atomic>

#include <vitals/core/parallel.hpp>

const void* pool_of_the_other() { return &vitals::default_pool(); }

int counted_by_the_other() {
  std::atomic<int> count{0};
  vitals::parallel_for(vitals::default_pool(), 1000, 10,
                       [&](std::size_t begin, std::size_t end) { count += static_cast<int>(end - begin); });
  return count;
}
