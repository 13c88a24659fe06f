// How the library is built: header-only, or against the compiled target. The only macros of the library live here.
//
// Header-only (the default): each `x.hpp` includes its implementation `x.ipp`, whose functions are `inline`.
// Compiled (`vitals::compiled` defines VITALS_COMPILED): the same `x.ipp` files are built once into a library and
// the headers hold declarations only, so a program that includes them stays quick to build. Behaviour is the same.
#pragma once

#if defined(VITALS_COMPILED)
#define VITALS_INLINE
#define VITALS_HEADER_ONLY 0
#else
#define VITALS_INLINE inline
#define VITALS_HEADER_ONLY 1
#endif

// The vectorised kernels need g++ or clang: their vectors of four run on any processor, AVX2 and AVX-512 on x86-64.
// With another compiler products are Eigen's.
#if defined(__GNUC__)
#define VITALS_VECTOR_EXTENSIONS 1
#else
#define VITALS_VECTOR_EXTENSIONS 0
#endif
#if defined(__x86_64__) && defined(__GNUC__)
#define VITALS_X86 1
#else
#define VITALS_X86 0
#endif
