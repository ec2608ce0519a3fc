// SPDX-License-Identifier: BSL-1.0
#pragma once

namespace millrace::detail {

/// Waits for a step that another thread is about to take: pauses at first, then gives the
/// processor away, because that thread may be waiting for it.
template <class Traits>
class backoff {
 public:
  void operator()() noexcept {
    if (turn_ < turns_before_yield) {
      ++turn_;
      Traits::pause();
    } else {
      Traits::yield();
    }
  }

  /// After a lost race for a word: stays away from it for 2 to 4 us (on x86), so that threads in the same
  /// role take turns instead of fighting over the cache line. A third of that is no more than the line
  /// needs there and back between distant cores.
  static void lost_race() noexcept {
    for (int i = 0; i < pauses_after_lost_race; ++i) Traits::pause();
  }

 private:
  static constexpr unsigned turns_before_yield = 16;
  static constexpr int pauses_after_lost_race = 96;

  unsigned turn_ = 0;
};

}  // namespace millrace::detail
