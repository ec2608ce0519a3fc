// SPDX-License-Identifier: BSL-1.0
#pragma once

// Recorded histories: what each thread asked of a queue, what it got, and when.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace support {

/// A point in time that all threads agree on: if an operation's last stamp is below another's first
/// one, then it was over before the other began.
///
/// On x86-64 the time stamp counter, which runs evenly on all cores (history.test.cpp looks whether it
/// does): mfence makes what the thread stored visible before the counter is read, the lfence before
/// it has the thread's loads done, and the one after it keeps those to come from starting early.
/// Elsewhere a counter in memory, which orders by happens-before, and slows the threads down.
inline std::uint64_t stamp() noexcept {
#if defined(__x86_64__)
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  std::uint32_t core = 0;
  asm volatile("mfence\n\tlfence\n\trdtscp\n\tlfence" : "=a"(low), "=d"(high), "=c"(core) : : "memory");
  return std::uint64_t{high} << 32 | low;
#else
  static std::atomic<std::uint64_t> counter{0};
  return counter.fetch_add(1);
#endif
}

/// One call of a queue, with its interval. A call that got less than it asked for was `refused`: a push
/// found the queue full, a pop found it empty; a bulk call may have got some of it before.
struct recorded {
  enum kind : std::uint8_t { push, pop };

  std::uint64_t began;
  std::uint64_t ended;
  std::uint32_t first;  // of its values, in the log
  std::uint16_t count;
  kind what;
  bool refused;
};

/// The calls of one thread, one after the other, each message a number that no other message of the
/// history has. Allocates only in its constructor, as long as it is not asked for more.
class history_log {
 public:
  history_log(std::size_t calls, std::size_t values) {
    calls_.reserve(calls);
    values_.reserve(values);
  }

  /// A call, stamped before and after, that moved `count` messages of the `asked`, in this order.
  void add(recorded::kind what, std::uint64_t began, std::uint64_t ended, const std::uint32_t* values,
           std::size_t count, std::size_t asked) {
    calls_.push_back({began, ended, static_cast<std::uint32_t>(values_.size()),
                      static_cast<std::uint16_t>(count), what, count < asked});
    values_.insert(values_.end(), values, values + count);
  }

  const std::vector<recorded>& calls() const noexcept { return calls_; }
  const std::uint32_t* values_of(const recorded& call) const noexcept { return values_.data() + call.first; }

 private:
  std::vector<recorded> calls_;
  std::vector<std::uint32_t> values_;
};

using history = std::vector<history_log>;

}  // namespace support
