// The library's version. CMakeLists.txt reads it from here.
#pragma once

#define VITALS_VERSION_MAJOR 0
#define VITALS_VERSION_MINOR 1
#define VITALS_VERSION_PATCH 0

namespace vitals::inline v0 {

/// "major.minor.patch"; written into every report and feature file.
inline constexpr const char* version = "0.1.0";

}  // namespace vitals::inline v0
