// Cpu<double>: the CPU backend in double, through Eigen. For checking gradients and for reference values, not for speed.
#pragma once

#include <vitals/backend/cpu/cpu.hpp>
#include <vitals/backend/cpu/eigen_product.hpp>

namespace vitals::inline v0 {

template <>
inline constexpr bool backend::cpu::has_products<double> = true;

static_assert(backend::Backend<Cpu<double>>);

}  // namespace vitals::inline v0
