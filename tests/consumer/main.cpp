// A program of somebody else's: two translation units that both include the library. Linked together there is one
// definition of everything, and one state: both see the same default pool.
#include "use.hpp"

#include <cstdio>

#include <vitals/core/parallel.hpp>

int main() {
  const bool counted = counted_by_the_other() == 1000;
  const bool one_pool = pool_of_the_other() == static_cast<const void*>(&vitals::default_pool());
  std::printf("counted: %s, one pool: %s\n", counted ? "yes" : "no", one_pool ? "yes" : "no");
  return counted && one_pool ? 0 : 1;
}
