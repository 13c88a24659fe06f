// Which instruction set the CPU kernels use: found out at run time, so a program compiled with plain -O2 runs at full
// speed on any processor (design decision 13).
#pragma once

#include <string_view>

#include <vitals/core/config.hpp>

namespace vitals::inline v0::backend::cpu {

/// portable: any processor. avx2: AVX2 and FMA. avx512: AVX-512 F, BW, DQ, VL. avx512vnni: and products of int8 fours
/// (VNNI). avx512bf16: and products of bfloat16 pairs. On x86-64 each holds those before it.
enum class Isa { portable, avx2, avx512, avx512vnni, avx512bf16 };
inline constexpr Isa all_isas[] = {Isa::portable, Isa::avx2, Isa::avx512, Isa::avx512vnni, Isa::avx512bf16};
const char* name(Isa);
/// "portable", "avx2", "avx512", "avx512vnni", "avx512bf16". Throws ArgumentError for another word.
Isa isa_by_name(std::string_view name);

/// What this processor and this build can run.
bool supported(Isa);
/// The best supported one, or what the environment variable VITALS_CPU asks for (read once).
/// Throws ArgumentError where VITALS_CPU is no such name or cannot run here.
Isa active_isa();

/// Uses another instruction set for as long as it lives (tests, benchmarks). Weights stay usable: each remembers the
/// form in which it was packed. Not while other threads run models. Throws ArgumentError where unsupported.
class ScopedIsa {
 public:
  explicit ScopedIsa(Isa isa);
  ~ScopedIsa();
  ScopedIsa(const ScopedIsa&) = delete;
  ScopedIsa& operator=(const ScopedIsa&) = delete;

 private:
  int before_;
};

}  // namespace vitals::inline v0::backend::cpu

#if VITALS_HEADER_ONLY
#include <vitals/backend/cpu/isa.ipp>
#endif
