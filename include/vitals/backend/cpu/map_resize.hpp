// Resizing of maps (B, h, w, C), channels last, along the rows and then along the columns; and the way back.
#pragma once

#include <cstddef>

#include <vitals/backend/cpu/map_kernels.hpp>
#include <vitals/backend/resize.hpp>
#include <vitals/core/config.hpp>
#include <vitals/core/parallel.hpp>

namespace vitals::inline v0::backend::cpu {

/// x (batch, down.in, across.in, n) -> y (batch, down.out, across.out, n). With `add` y is added to. With taps turned round and x
/// a gradient this is the way back.
template <class T>
void resize_map(Executor& executor, const T* x, std::size_t batch, std::size_t n, const Taps<T>& down,
                const Taps<T>& across, bool add, T* y);

}  // namespace vitals::inline v0::backend::cpu

#if VITALS_HEADER_ONLY
#include <vitals/backend/cpu/map_resize.ipp>
#endif
