// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <type_traits>

#include <millrace/detail/atomic.hpp>
#include <millrace/detail/macros.hpp>

namespace millrace::detail {

/// Whether to wait a moment at one end of a ring that has caught up with the other, and the wait. Two ends that
/// work on the same line take it from each other with each message; a little later there is a batch to be
/// had in one go. So who finds the ring blocked first, at this ticket, waits until the cell a batch ahead is
/// ready, for 64 pauses at most (1.3 to 3 us on x86). If no batch came, the next blocked tickets are not waited for:
/// 1 of them, then 3, at last 255. So who never meets a batch (a queue that one thread fills and empties,
/// two that answer each other) loses about 10 ns each time that the ring is blocked.
///
/// Threads     any thread may call wait().
/// Progress    wait-free.
template <class Traits>
class patience {
 public:
  using ticket = typename Traits::ticket;

  /// Whether it has waited: then it is worth another look. is_ready tells of the cell a batch ahead.
  template <class Ready>
  MILLRACE_NOINLINE bool wait(ticket blocked, Ready is_ready) noexcept {
    static_assert(std::is_nothrow_invocable_r_v<bool, Ready>);
    if (seen_.load(std::memory_order_relaxed) == blocked) return false;  // relaxed: a hint
    seen_.store(blocked, std::memory_order_relaxed);                     // relaxed: a hint
    const unsigned left = left_.load(std::memory_order_relaxed);         // relaxed: a hint
    if (left != 0) {
      left_.store(left - 1, std::memory_order_relaxed);  // relaxed: a hint
      return false;
    }
    bool came = is_ready();
    for (int turn = 0; turn < turns && !came; ++turn) {
      for (int i = 0; i < pauses_in_turn; ++i) Traits::pause();
      came = is_ready();
    }
    const unsigned missed = missed_.load(std::memory_order_relaxed);  // relaxed: a hint
    const unsigned now = came ? 0 : missed < most_missed ? 2 * missed + 1 : missed;
    if (now != missed) missed_.store(now, std::memory_order_relaxed);  // relaxed: a hint
    if (now != 0) left_.store(now, std::memory_order_relaxed);         // relaxed: a hint
    return true;
  }

 private:
  static constexpr int turns = 16;
  static constexpr int pauses_in_turn = 4;
  static constexpr unsigned most_missed = 255;

  // Threads may overwrite what others have just stored: then one waits too often, or not often enough.
  typename Traits::template atomic<ticket> seen_{1};  // the last one that was blocked: none, with that flag
  typename Traits::template atomic<unsigned> left_{0};    // how many are not waited for
  typename Traits::template atomic<unsigned> missed_{0};  // what that was to begin with
};

/// For a ring that is patient at both ends.
template <class Traits>
struct patience_beside {
  using tail = patience<Traits>;
  using head = patience<Traits>;
};

}  // namespace millrace::detail
