// Shared by the two translation units of every consumer.
#pragma once

/// What another translation unit sees of the library's one pool of threads, after it has counted on it.
const void* pool_of_the_other();
/// 1000, counted on that pool.
int counted_by_the_other();
