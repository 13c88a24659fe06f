// Plain numbers whose shape is known at run time only: kernels of convolutions, and what batch norm keeps for each channel.
#pragma once

#include <array>
#include <cstddef>

#include <vitals/nn/parameter.hpp>

namespace vitals::inline v0::nn {

template <backend::Backend B>
struct RuntimeParameter : ParameterStorage<B> {
  template <std::size_t Rank>
  explicit RuntimeParameter(const std::array<std::size_t, Rank>& shape) : ParameterStorage<B>(false, shape) {}
  explicit RuntimeParameter(std::size_t n) : RuntimeParameter(std::array<std::size_t, 1>{n}) {}
};

}  // namespace vitals::inline v0::nn
