// The peak resident memory of this process, as Linux counts it (VmHWM: since the program started, mapped files included).
#pragma once

#include <cstdlib>
#include <fstream>
#include <string>

namespace bench {

/// Bytes; 0 where the system does not tell.
inline double peak_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return 1024 * std::atof(line.c_str() + 6);
  return 0;
}

}  // namespace bench
