// SPDX-License-Identifier: BSL-1.0
#pragma once

// What the fuzz targets share: the bytes that steer a run, a check that ends the program, and messages
// that notice when they are lost, doubled or misplaced.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <type_traits>
#include <utility>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace fuzz {

/// Also where NDEBUG is defined.
inline void check(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "fuzz: this does not hold: %s\n", what);
  std::abort();
}

/// The input, byte by byte; 0 once it is used up.
class bytes {
 public:
  bytes(const std::uint8_t* data, std::size_t size) noexcept : at_(data), end_(data + size) {}
  bool empty() const noexcept { return at_ == end_; }
  std::size_t next() noexcept { return empty() ? 0 : *at_++; }

 private:
  const std::uint8_t* at_;
  const std::uint8_t* end_;
};

/// A move-only message: counts its objects, and knows where it was built. Moved from, its number is -1.
template <std::size_t Alignment>
class alignas(Alignment) tracked {
 public:
  static inline int live = 0;

  explicit tracked(int n) noexcept : n_(n) { ++live; }
  tracked(tracked&& other) noexcept : n_(other.give()) { ++live; }
  tracked& operator=(tracked&& other) noexcept {
    look();
    n_ = other.give();
    return *this;
  }
  ~tracked() {
    look();
    self_ = nullptr;
    --live;
  }
  int number() const noexcept {
    look();
    return n_;
  }

 private:
  int give() noexcept {
    look();
    return std::exchange(n_, -1);
  }
  void look() const noexcept {
    check(self_ == this, "a message is alive where it was built");
    check(reinterpret_cast<std::uintptr_t>(this) % Alignment == 0, "a message is aligned");
  }

  const tracked* self_ = this;
  int n_;
};

using move_only = tracked<alignof(void*)>;
using over_aligned = tracked<128>;

template <class T>
T make(int n) {
  return T(n);
}

inline int number(std::int64_t m) {
  return static_cast<int>(m);
}
template <std::size_t Alignment>
int number(const tracked<Alignment>& m) {
  return m.number();
}

/// What is left of a message with number n that was moved from.
template <class T>
int moved_from(int n) {
  return std::is_same_v<T, std::int64_t> ? n : -1;
}

inline void check_nothing_left() {
  check(move_only::live == 0 && over_aligned::live == 0, "no message outlives its queue");
}

}  // namespace fuzz
