// Numbers as text that loses nothing: for names, records and messages.
#pragma once

#include <charconv>
#include <concepts>
#include <string>

namespace vitals::inline v0 {

/// The shortest decimal that reads back as the same number of its type: "0.1", "1e-05", "inf", "nan". The same in every locale.
template <std::floating_point T>
std::string shortest_text(T value) {
  char text[32];  // 24 are enough for a double
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

}  // namespace vitals::inline v0
