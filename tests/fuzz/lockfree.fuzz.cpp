// SPDX-License-Identifier: BSL-1.0

// The queues of lockfree/, used by one thread, against a std::deque. The first bytes choose the queue with
// its messages, and its capacity; each byte after them is an operation, that of a batch has an operand.

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <iterator>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include <millrace/lockfree/mpmc_ring.hpp>
#include <millrace/lockfree/segmented_queue.hpp>
#include <millrace/lockfree/spsc_ring.hpp>

#include "fuzz/fuzz.hpp"

namespace {

using fuzz::bytes;
using fuzz::check;
using fuzz::make;
using fuzz::moved_from;
using fuzz::number;
using millrace::default_traits;

/// Tickets that wrap within a few laps.
struct tiny_tickets : default_traits {
  using ticket = std::uint16_t;
  static constexpr ticket first_ticket = 4000;
};

struct tiny_segments : default_traits {
  template <std::size_t CellBytes>
  static constexpr std::size_t segment_cells = 2;
};

constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();

/// The messages next, next + 1, ... each built as it is read.
template <class T, bool Noexcept>
struct source {
  int& next;
  T operator*() noexcept(Noexcept) { return make<T>(next++); }
  source& operator++() noexcept(Noexcept) { return *this; }
};

template <class Queue>
class run {
  using T = typename Queue::value_type;

 public:
  run(Queue& queue, std::size_t capacity) : queue_(queue), capacity_(capacity) {}

  void operation(bytes& in) {
    switch (in.next() % 11) {
      case 0: return push();
      case 1: return push_copy();
      case 2: return pushed(queue_.try_emplace(next_));
      case 3: return pop();
      case 4: return pop_into();
      case 5: return push_moved(in.next() % beyond());
      case 6: return push_copies(in.next() % beyond());
      case 7: return push_built<true>(in.next() % beyond());
      case 8: return push_built<false>(in.next() % beyond());
      case 9: return pop_some(in.next() % beyond());
      case 10: return pop_back_inserted(in.next() % beyond());
    }
  }

  void check_size() const { check(queue_.size_approx() == model_.size(), "the size is exact"); }

 private:
  std::size_t room() const { return capacity_ - model_.size(); }

  /// Counts for a batch end here: often more than fits.
  std::size_t beyond() const { return capacity_ == unlimited ? 20 : capacity_ + 3; }

  void pushed(bool answer) {
    check(answer == (room() > 0), "a push goes in exactly where there is room");
    if (answer) model_.push_back(next_++);
  }

  void push() {
    T message = make<T>(next_);
    const bool answer = queue_.try_push(std::move(message));
    check(number(message) == (answer ? moved_from<T>(next_) : next_), "what is refused is untouched");
    pushed(answer);
  }

  void push_copy() {
    if constexpr (std::copy_constructible<T>) {
      const T message = make<T>(next_);
      pushed(queue_.try_push(message));
    }
  }

  void pop() {
    std::optional<T> message = queue_.try_pop();
    check(message.has_value() == !model_.empty(), "a pop brings something exactly where there is something");
    if (message) popped(*message);
  }

  void pop_into() {
    T message = make<T>(-7);
    if (queue_.try_pop(message)) {
      popped(message);
    } else {
      check(model_.empty() && number(message) == -7, "a pop that brings nothing assigns nothing");
    }
  }

  void popped(const T& message) {
    check(!model_.empty() && number(message) == model_.front(), "first in, first out");
    model_.pop_front();
  }

  std::vector<T> some(std::size_t n) {
    std::vector<T> messages;
    messages.reserve(n);
    for (std::size_t i = 0; i < n; ++i) messages.push_back(make<T>(next_ + static_cast<int>(i)));
    return messages;
  }

  void pushed_n(std::size_t answer, std::size_t n) {
    check(answer == std::min(n, room()), "as many of a batch go in as there is room for");
    for (std::size_t i = 0; i < answer; ++i) model_.push_back(next_++);
  }

  void push_moved(std::size_t n) {
    std::vector<T> messages = some(n);
    const std::size_t answer = queue_.try_push_n(std::make_move_iterator(messages.begin()), n);
    for (std::size_t i = 0; i < n; ++i) {
      const int was = next_ + static_cast<int>(i);
      check(number(messages[i]) == (i < answer ? moved_from<T>(was) : was),
            "the rest of a batch is untouched");
    }
    pushed_n(answer, n);
  }

  void push_copies(std::size_t n) {
    if constexpr (std::copy_constructible<T>) {
      const std::vector<T> messages = some(n);
      pushed_n(queue_.try_push_n(messages.data(), n), n);
    }
  }

  template <bool Noexcept>
  void push_built(std::size_t n) {
    int next = next_;
    const std::size_t answer = queue_.try_push_n(source<T, Noexcept>{next}, n);
    const int read = next - next_;
    const int in = static_cast<int>(answer);
    check(read == in || (!Noexcept && answer < n && read == in + 1), "nothing is read that does not go in");
    pushed_n(answer, n);
  }

  void pop_some(std::size_t n) {
    std::vector<T> messages;
    messages.reserve(n);
    for (std::size_t i = 0; i < n; ++i) messages.push_back(make<T>(-7));
    const std::size_t answer = queue_.try_pop_n(messages.begin(), n);
    check(answer == std::min(n, model_.size()), "as many come out as there are");
    for (std::size_t i = 0; i < n; ++i) {
      if (i < answer) {
        popped(messages[i]);
      } else {
        check(number(messages[i]) == -7, "no more than the answer says is assigned");
      }
    }
  }

  void pop_back_inserted(std::size_t n) {
    std::vector<T> messages;
    const std::size_t answer = queue_.try_pop_n(std::back_inserter(messages), n);
    check(answer == std::min(n, model_.size()), "as many come out as there are");
    check(messages.size() == answer, "as many are written as come out");
    for (const T& message : messages) popped(message);
  }

  Queue& queue_;
  const std::size_t capacity_;
  std::deque<int> model_;
  int next_ = 0;
};

template <class Queue>
void use(Queue& queue, std::size_t capacity, bytes& in) {
  run<Queue> one(queue, capacity);
  while (!in.empty()) {
    one.operation(in);
    one.check_size();
  }
}

template <class Queue>
void bounded(bytes& in) {
  const std::size_t capacity = 1 + in.next() % 70;  // scattered_slots permutes 64 slots
  Queue queue(capacity);
  check(queue.capacity() == capacity, "the capacity is what was asked for");
  use(queue, capacity, in);
}

template <class Queue>
void unbounded(bytes& in) {
  Queue queue;
  use(queue, unlimited, in);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace millrace;
  using fuzz::move_only;
  using fuzz::over_aligned;
  using std::int64_t;
  bytes in(data, size);
  switch (in.next() % 11) {
    case 0: bounded<mpmc_ring<int64_t>>(in); break;
    case 1: bounded<mpmc_ring<int64_t, tiny_tickets, padded_slots>>(in); break;
    case 2: bounded<mpmc_ring<move_only, tiny_tickets, scattered_slots>>(in); break;
    case 3: bounded<mpmc_ring<over_aligned>>(in); break;
    case 4: bounded<spsc_ring<int64_t>>(in); break;
    case 5: bounded<spsc_ring<move_only>>(in); break;
    case 6: bounded<spsc_ring<over_aligned>>(in); break;
    case 7: unbounded<segmented_queue<int64_t>>(in); break;
    case 8: unbounded<segmented_queue<int64_t, tiny_segments>>(in); break;
    case 9: unbounded<segmented_queue<move_only, tiny_segments>>(in); break;
    case 10: unbounded<segmented_queue<over_aligned, tiny_segments>>(in); break;
  }
  fuzz::check_nothing_left();
  return 0;
}
