// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <millrace/detail/atomic.hpp>
#include <millrace/detail/macros.hpp>
#include <millrace/wait/clock.hpp>

namespace millrace::detail {

/// A number that one thread at a time adds to, and any thread may read. A copy begins anew.
class tally {
 public:
  tally() noexcept = default;
  tally(const tally&) noexcept {}

  MILLRACE_ALWAYS_INLINE void add(std::uint64_t n = 1) noexcept {
    set(get() + n);  // one writer: no locked operation
  }
  void raise(std::uint64_t n) noexcept {
    if (n > get()) set(n);
  }
  void set(std::uint64_t n) noexcept { n_.store(n, std::memory_order_relaxed); }     // relaxed: a counter
  std::uint64_t get() const noexcept { return n_.load(std::memory_order_relaxed); }  // relaxed: a counter

 private:
  default_traits::atomic<std::uint64_t> n_{0};
};

/// How many spans of time were about how long: in eight steps from each power of two to the next, so a step is
/// an eighth at most.
///
/// Threads     as tally.
/// Source      the buckets of G. Tene's HdrHistogram.
class histogram {
 public:
  static constexpr std::size_t size = 38 * 8;  // up to 2^40 ns, which is 18 minutes, and all that is longer

  static constexpr std::size_t bucket_of(std::uint64_t ns) noexcept {
    if (ns < 8) return static_cast<std::size_t>(ns);
    const unsigned octave = static_cast<unsigned>(std::bit_width(ns)) - 4;
    const std::size_t bucket = (octave + 1) * 8 + ((ns >> octave) & 7);
    return bucket < size ? bucket : size - 1;
  }
  /// The longest time that is counted there.
  static constexpr std::uint64_t last_of(std::size_t bucket) noexcept {
    if (bucket < 8) return bucket;
    const std::size_t octave = bucket / 8 - 1;
    return ((bucket % 8 + 9) << octave) - 1;
  }

  void add(std::chrono::nanoseconds span) noexcept {
    const std::uint64_t ns = span.count() > 0 ? static_cast<std::uint64_t>(span.count()) : 0;
    counts_[bucket_of(ns)].add();
    sum_.add(ns);
    longest_.raise(ns);
  }

  std::uint64_t count(std::size_t bucket) const noexcept { return counts_[bucket].get(); }
  std::uint64_t sum() const noexcept { return sum_.get(); }
  std::uint64_t longest() const noexcept { return longest_.get(); }

 private:
  std::array<tally, size> counts_;
  tally sum_;
  tally longest_;
};

struct stage_info;

/// The first so many of the spans in which a worker worked in one of its stages, of those that were sampled.
/// Threads: the worker's; any, once that has ended.
class trace_log {
 public:
  struct span {
    const stage_info* stage;
    std::uint64_t began;  // in ns of the clock
    std::uint64_t ended;
  };

  /// Errors: std::bad_alloc.
  explicit trace_log(std::size_t most) { spans_.reserve(most); }
  void add(const span& one) noexcept {
    if (spans_.size() < spans_.capacity()) spans_.push_back(one);
  }
  const std::vector<span>& spans() const noexcept { return spans_; }

 private:
  std::vector<span> spans_;
};

/// What one worker has done in one stage. A copy begins anew.
struct stage_meter {
  stage_meter() noexcept = default;
  stage_meter(const stage_meter&) noexcept {}

  /// How long that was; for the trace, too.
  std::chrono::nanoseconds span(const stage_info& stage, std::uint64_t began_at,
                                std::uint64_t ended_at) noexcept {
    if (log != nullptr) log->add({&stage, began_at, ended_at});
    return std::chrono::nanoseconds(ended_at - began_at);
  }
  /// The same for all the work on a message.
  void record(const stage_info& stage, std::uint64_t began_at, std::uint64_t ended_at) noexcept {
    service->add(span(stage, began_at, ended_at));
  }

  tally out;
  tally errors;
  tally retries;
  std::unique_ptr<histogram> service;  // null: nothing is timed
  trace_log* log = nullptr;
};

/// What a worker waits for: messages; somebody to take its own; another attempt, or a throttle; its stage.
enum class wait_kind : std::uint8_t { starved, blocked, paused, works };

/// Where one worker's time goes, but for its work: in ns, by the clock; 0: not yet, or not now.
struct worker_meter {
  std::array<tally, 4> waits;  // by their kind
  tally asleep_since;
  tally asleep_as;  // which kind that is
  tally began;
  tally ended;
};

}  // namespace millrace::detail
