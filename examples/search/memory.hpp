// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdio>

#include <sys/resource.h>

namespace search {

/// The most memory that this process had, in KiB.
inline long peak_memory() noexcept {
  long peak = 0;
  if (std::FILE* const status = std::fopen("/proc/self/status", "r")) {
    char line[128];
    while (std::fgets(line, sizeof line, status) != nullptr && std::sscanf(line, "VmHWM: %ld", &peak) != 1) {
    }
    std::fclose(status);
  }
  if (peak != 0) return peak;
  rusage used{};  // counts what was there before exec(), too
  ::getrusage(RUSAGE_SELF, &used);
  return used.ru_maxrss;
}

}  // namespace search
