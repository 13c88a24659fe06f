// A backend without attention is no backend, and the message names the operation that it lacks.
// EXPECT: constraint
// EXPECT: HasAttention
#include <vitals/models/dinov2.hpp>

namespace vt = vitals;

struct Mine : vt::Cpu<float> {
#ifndef FIXED
  static void attention() = delete;
#endif
};

int main() { return static_cast<int>(sizeof(vt::ViT<vt::dinov2::vits14, Mine>)) > 0 ? 0 : 1; }
