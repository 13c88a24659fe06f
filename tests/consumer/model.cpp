// A program of somebody else's that takes a whole model out of the installed library.
#include <cstdio>

#include <vitals/models/dinov2.hpp>

int main() {
  const auto backbone = vitals::dinov2::random("dinov2_vits14", /*seed=*/0);
  std::printf("%zu parameters\n", backbone->info().parameters);
  return backbone->info().parameters == 22'056'576 ? 0 : 1;
}
