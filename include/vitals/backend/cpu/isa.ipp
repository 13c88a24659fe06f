// Implementation of isa.hpp.
#pragma once

#include <atomic>
#include <cstdlib>
#include <string>

#include <vitals/backend/cpu/isa.hpp>
#include <vitals/core/error.hpp>

namespace vitals::inline v0::backend::cpu {

VITALS_INLINE const char* name(Isa isa) {
  switch (isa) {
    case Isa::avx512bf16:
      return "avx512bf16";
    case Isa::avx512vnni:
      return "avx512vnni";
    case Isa::avx512:
      return "avx512";
    case Isa::avx2:
      return "avx2";
    case Isa::portable:
      break;
  }
  return "portable";
}

VITALS_INLINE Isa isa_by_name(std::string_view text) {
  for (Isa isa : all_isas)
    if (text == name(isa)) return isa;
  throw ArgumentError("unknown instruction set '" + std::string(text) + "'", "VITALS_CPU",
                      "use avx512bf16, avx512vnni, avx512, avx2 or portable");
}

VITALS_INLINE bool supported(Isa isa) {
#if VITALS_X86
  if (isa == Isa::avx512bf16) return supported(Isa::avx512vnni) && __builtin_cpu_supports("avx512bf16");
  if (isa == Isa::avx512vnni) return supported(Isa::avx512) && __builtin_cpu_supports("avx512vnni");
  if (isa == Isa::avx512)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (isa == Isa::avx2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
  return isa == Isa::portable;
}

namespace detail {

// -1: nothing forced; else the number of an Isa.
inline std::atomic<int>& forced_isa() {
  static std::atomic<int> forced{-1};
  return forced;
}

inline Isa checked_isa(Isa isa) {
  if (!supported(isa))
    throw ArgumentError(std::string("this processor cannot run '") + name(isa) + "'", "VITALS_CPU",
                        "leave it out and the best supported set is used");
  return isa;
}

inline Isa isa_of_environment() {
  const char* wish = std::getenv("VITALS_CPU");
  if (wish && *wish) return checked_isa(isa_by_name(wish));
  Isa best = Isa::portable;
  for (Isa isa : all_isas)
    if (supported(isa)) best = isa;
  return best;
}

}  // namespace detail

VITALS_INLINE Isa active_isa() {
  if (const int forced = detail::forced_isa().load(std::memory_order_relaxed); forced >= 0)
    return static_cast<Isa>(forced);
  static const Isa chosen = detail::isa_of_environment();
  return chosen;
}

VITALS_INLINE ScopedIsa::ScopedIsa(Isa isa)
    : before_(detail::forced_isa().exchange(static_cast<int>(detail::checked_isa(isa)))) {}
VITALS_INLINE ScopedIsa::~ScopedIsa() { detail::forced_isa().store(before_); }

}  // namespace vitals::inline v0::backend::cpu
