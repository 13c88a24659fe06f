// A width of 192 cannot be cut into 5 heads.
// EXPECT: ViTConfig: dim is not a multiple of heads
// EXPECT: HeadsOf<192, 5>
#include <vitals/models/dinov2.hpp>

namespace vt = vitals;

#ifdef FIXED
inline constexpr std::size_t heads = 3;
#else
inline constexpr std::size_t heads = 5;
#endif
inline constexpr vt::ViTConfig tiny{
    .dim = 192, .depth = 4, .heads = heads, .patch = 16, .registers = 4, .mlp = vt::Mlp::swiglu};

int main() { vt::ViT<tiny, vt::Cpu<float>> model(/*seed=*/0); }
