// SPDX-License-Identifier: BSL-1.0

// Queues for one producer and one consumer, and the fastest that such a queue could be. Read ratios
// of one run, never single figures.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <millrace/lockfree/spsc_ring.hpp>

#include "support/workloads.hpp"

#if BENCH_READERWRITER
#include <readerwriterqueue/readerwriterqueue.h>
#endif
#if BENCH_BOOST
#include <boost/lockfree/spsc_queue.hpp>
#endif

namespace {

using bench::message;
using bench::plain;

struct spsc_ring : plain<millrace::spsc_ring<message>> {
  static constexpr const char* name = "millrace::spsc_ring";
  using plain::plain;
};

#if BENCH_READERWRITER
class reader_writer_queue {
 public:
  static constexpr const char* name = "moodycamel::ReaderWriterQueue";
  using producer = reader_writer_queue&;
  using consumer = reader_writer_queue&;

  explicit reader_writer_queue(std::size_t capacity) : queue_(capacity) {}
  bool push(message m) { return queue_.try_enqueue(m); }
  bool pop(message& m) { return queue_.try_dequeue(m); }

 private:
  moodycamel::ReaderWriterQueue<message> queue_;
};
#endif

#if BENCH_BOOST
class boost_spsc_queue {
 public:
  static constexpr const char* name = "boost::lockfree::spsc_queue";
  using producer = boost_spsc_queue&;
  using consumer = boost_spsc_queue&;

  explicit boost_spsc_queue(std::size_t capacity) : queue_(capacity) {}
  bool push(message m) { return queue_.push(m); }
  bool pop(message& m) { return queue_.pop(m); }
  std::size_t push_n(const message* first, std::size_t n) { return queue_.push(first, n); }
  std::size_t pop_n(message* out, std::size_t n) { return queue_.pop(out, n); }

 private:
  boost::lockfree::spsc_queue<message> queue_;
};
#endif

/// A limit, not a queue: two loops over one array, each with its index in a register, which it
/// publishes after every message (Step 1) or run of up to Step. It looks at the other's index only
/// when the ring seems full or empty.
template <std::uint64_t Step>
class ideal_ring {
  // E1  push -> pop   the messages.
  // E2  pop -> push   the emptied slots.

 public:
  static constexpr const char* name = "ideal ring";
  using producer = ideal_ring&;
  using consumer = ideal_ring&;

  explicit ideal_ring(std::size_t power_of_two) : slots_(power_of_two) {}

  void push(message from, message to) {
    message* const slots = slots_.data();
    const std::uint64_t capacity = slots_.size();
    std::uint64_t tail = tail_.load(std::memory_order_relaxed);  // relaxed: this side's own
    std::uint64_t head = head_.load(std::memory_order_acquire);  // E2 observe
    while (from != to) {
      for (bench::spin wait; tail - head == capacity;) {
        head = head_.load(std::memory_order_acquire);  // E2 observe
        if (tail - head == capacity) wait();
      }
      std::uint64_t run = Step == 1 ? 1 : std::min({Step, to - from, capacity - (tail - head)});
      do slots[tail++ & (capacity - 1)] = from++;
      while (--run != 0);
      tail_.store(tail, std::memory_order_release);  // E1 publish
    }
  }

  std::uint64_t pop(std::uint64_t count) {
    const message* const slots = slots_.data();
    const std::uint64_t capacity = slots_.size();
    std::uint64_t head = head_.load(std::memory_order_relaxed);  // relaxed: this side's own
    std::uint64_t tail = tail_.load(std::memory_order_acquire);  // E1 observe
    std::uint64_t sum = 0;
    for (const std::uint64_t end = head + count; head != end;) {
      for (bench::spin wait; head == tail;) {
        tail = tail_.load(std::memory_order_acquire);  // E1 observe
        if (head == tail) wait();
      }
      std::uint64_t run = Step == 1 ? 1 : std::min({Step, end - head, tail - head});
      do sum += slots[head++ & (capacity - 1)];
      while (--run != 0);
      head_.store(head, std::memory_order_release);  // E2 publish
    }
    return sum;
  }

 private:
  // Apart by more than what a prefetcher fetches together.
  alignas(1024) std::vector<message> slots_;
  alignas(1024) std::atomic<std::uint64_t> tail_{0};
  alignas(1024) std::atomic<std::uint64_t> head_{0};
};

template <std::uint64_t Step>
struct whole_share {
  static constexpr const char* name = Step == 1 ? "item" : "bulk";
  static void push(ideal_ring<Step>& in, message from, message to) { in.push(from, to); }
  static std::uint64_t pop(ideal_ring<Step>& out, std::uint64_t count) { return out.pop(count); }
};

template <std::uint64_t Step>
void register_ideal(std::size_t capacity) {
  bench::register_stream<ideal_ring<Step>, whole_share<Step>>("spsc", std::to_string(capacity), capacity,
                                                              {1, 1});
}

void register_capacity(std::size_t capacity) {
  bench::register_rows<spsc_ring
#if BENCH_READERWRITER
                       ,
                       reader_writer_queue
#endif
#if BENCH_BOOST
                       ,
                       boost_spsc_queue
#endif
                       >("spsc", capacity, {{1, 1}});
  register_ideal<1>(capacity);
  register_ideal<bench::batch>(capacity);
}

[[maybe_unused]] const bool registered = (register_capacity(1024), register_capacity(65536), true);

}  // namespace
