// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <cstdint>

namespace millrace::detail {

/// Memory that nobody can find any more, but in which an emission may still read. discard() frees it.
struct retired {
  retired* next_retired = nullptr;
  void (*discard)(retired*) noexcept = nullptr;
};

/// Retired memory in no particular order, all of which may be freed after the same time. Owns nothing.
///
/// Threads    none: its owner guards it.
class retired_batch {
 public:
  std::size_t size() const noexcept { return size_; }
  std::uint64_t time() const noexcept { return time_; }
  void set_time(std::uint64_t time) noexcept { time_ = time; }

  void add(retired& one) noexcept {
    one.next_retired = first_;
    first_ = &one;
    if (last_ == nullptr) last_ = &one;
    ++size_;
  }
  /// Takes all of the other batch; the later time of both holds.
  void add(retired_batch& other) noexcept {
    if (other.first_ == nullptr) return;
    other.last_->next_retired = first_;
    first_ = other.first_;
    if (last_ == nullptr) last_ = other.last_;
    size_ += other.size_;
    if (time_ < other.time_) time_ = other.time_;
    other = retired_batch();
  }
  /// Frees all, and runs what that runs.
  void discard() noexcept {
    for (retired* one = first_; one != nullptr;) {
      retired* const next = one->next_retired;
      one->discard(one);
      one = next;
    }
    *this = retired_batch();
  }

 private:
  retired* first_ = nullptr;
  retired* last_ = nullptr;
  std::size_t size_ = 0;
  std::uint64_t time_ = 0;
};

}  // namespace millrace::detail
