// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <memory>

/// Message types that the laws hold for: make<T>(n) and number(T) are inverse.
namespace messages {

using move_only = std::unique_ptr<int>;

struct alignas(64) over_aligned {
  int n;
  explicit over_aligned(int value) noexcept : n(value) {}
};

/// Has no default constructor and no assignment.
struct bare {
  const int n;
  explicit bare(int value) noexcept : n(value) {}
};

template <class T>
T make(int n) {
  return T(n);
}
template <>
inline move_only make<move_only>(int n) {
  return std::make_unique<int>(n);
}

inline int number(int m) { return m; }
inline int number(const move_only& m) { return m ? *m : -1; }
inline int number(const over_aligned& m) { return m.n; }
inline int number(const bare& m) { return m.n; }

}  // namespace messages
