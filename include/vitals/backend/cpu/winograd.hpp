// Convolutions 3 x 3 with stride 1 by minimal filtering, F(2 x 2, 3 x 3): Winograd, "Arithmetic complexity of computations", 1980;
// Lavin, Gray, arXiv 1509.09308. A square of 2 x 2 results needs 4 x 4 pixels d; with the kernel g
//
//   Y = A^T [(G g G^T) o (B^T d B)] A
//
//         1  0 -1  0            1    0    0
//   B^T = 0  1  1  0        G = 1/2  1/2  1/2        A^T = 1  1  1  0
//         0 -1  1  0            1/2 -1/2  1/2              0  1 -1 -1
//         0  1  0 -1            0    0    1
//
// so 16 multiplications stand for 36. For each of the 16 places the sum over channels is a plain product (squares, In) (In, Out) on the
// packed kernels. The way back to the input is the same with the kernel turned by half a turn; that to the kernel is
//
//   dg = G^T [sum over squares of (A dY A^T) o (B^T d B)] G.
//
// Squares at the lower and right end may reach beyond the map: what is outside is read as zero and not written. In bfloat16 what is
// rounded are the transformed numbers.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include <vitals/backend/cpu/product.hpp>
#include <vitals/backend/window.hpp>
#include <vitals/core/config.hpp>
#include <vitals/core/parallel.hpp>

namespace vitals::inline v0::backend::cpu {

/// Whether a convolution is of this kind, and wide enough to gain.
inline bool winograd_fits(const WindowShape& s, std::size_t out) {
  return s.kernel_height == 3 && s.kernel_width == 3 && s.stride == 1 && s.in >= 16 && out >= 16;
}

/// Into how many sums the gradient of the weight is split, so that tasks share none.
inline std::size_t winograd_strips(std::size_t squares) { return std::clamp<std::size_t>(squares / 1024, 1, 8); }
/// Whether the gradient of the weight gains too: between very many channels its sums are larger than the caches.
inline bool winograd_gradient_fits(const WindowShape& s, std::size_t out) {
  return winograd_fits(s, out) && s.in * out <= 384 * 192;
}

/// G g G^T of every kernel of the weight (Out, In, 3, 3): 16 matrices (Out, In), or (In, Out) of the kernels turned by half a turn.
template <class T>
std::vector<PackedMatrix<T>> winograd_kernel(Executor& executor, const Wide<T>* weight, std::size_t out, std::size_t in,
                                             bool turned);

/// inputs joined (batch, height, width, In) with a border of `padding` zeros -> outputs (batch, height + 2 padding - 2,
/// width + 2 padding - 2, Out), their channels split; an output without data is left out. bias (Out) may be null.
template <class T>
void winograd_convolution(Executor& executor, std::span<const MapPart<const Wide<T>>> inputs, std::size_t batch,
                          std::size_t height, std::size_t width, std::size_t padding,
                          const std::vector<PackedMatrix<T>>& kernel, const Wide<T>* bias,
                          std::span<const MapPart<Wide<T>>> outputs);

/// dw (Out, In, 3, 3) is added to; dy (B, h', w', Out).
template <class T>
void winograd_weight_gradient(Executor& executor, std::span<const MapPart<const Wide<T>>> inputs, const Wide<T>* dy,
                              std::size_t out, const WindowShape& shape, Wide<T>* dw);

}  // namespace vitals::inline v0::backend::cpu

#if VITALS_HEADER_ONLY
#include <vitals/backend/cpu/winograd.ipp>
#endif
