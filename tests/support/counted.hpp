// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <atomic>
#include <utility>

namespace support {

/// A move-only message whose objects are counted. Moved from, it holds nothing and has number -1.
class counted {
 public:
  explicit counted(int n) noexcept : n_(n) {
    ++live_;
    ++full_;
  }
  counted(counted&& other) noexcept : n_(std::exchange(other.n_, -1)) { ++live_; }
  counted& operator=(counted&&) = delete;
  ~counted() {
    --live_;
    if (n_ != -1) --full_;
  }

  int number() const noexcept { return n_; }

  static int live() noexcept { return live_.load(); }  ///< how many objects there are
  static int full() noexcept { return full_.load(); }  ///< how many of them were not moved from

 private:
  int n_;
  inline static std::atomic<int> live_{0};
  inline static std::atomic<int> full_{0};
};

}  // namespace support
