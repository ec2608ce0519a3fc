// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <vector>

namespace support {

/// 0 to n - 1.
inline std::vector<int> numbers(int n) {
  std::vector<int> v;
  for (int i = 0; i < n; ++i) v.push_back(i);
  return v;
}

}  // namespace support
