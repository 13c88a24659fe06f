// Where the large buffers of the CPU backend come from. A model walks through megabytes of packed weights at the speed of the
// processor's arithmetic; with pages of 4 KiB the look-up of addresses alone costs 2 to 4 % of a product, with pages of
// 2 MiB nothing. So large buffers are cut from a few big regions for which Linux is asked for huge pages; elsewhere, and
// under the sanitizers, which want to see every block, they are ordinary memory.
#pragma once

#include <cstddef>

#include <vitals/core/config.hpp>

namespace vitals::inline v0::backend::cpu {

/// 64-byte aligned, undefined contents. Any thread. Throws std::bad_alloc.
void* allocate(std::size_t bytes);
/// Gives back what allocate(bytes) gave; p may be null. A region in which nothing is left goes back to the system.
void release(void* p, std::size_t bytes) noexcept;

}  // namespace vitals::inline v0::backend::cpu

#if VITALS_HEADER_ONLY
#include <vitals/backend/cpu/memory.ipp>
#endif
