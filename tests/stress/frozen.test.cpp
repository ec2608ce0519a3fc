// SPDX-License-Identifier: BSL-1.0

// A thread that is stopped in the middle of a push or a pop, while it moves its message. What it then holds
// up is what the queues document, and no more; once it goes on, everything is delivered.

#include <atomic>
#include <cstddef>
#include <optional>
#include <thread>
#include <utility>

#include "support/catch.hpp"
#include "support/lockfree_queues.hpp"
#include "support/watchdog.hpp"

namespace {

/// Where a thread is held.
class ice {
 public:
  void freeze_here() noexcept {
    frozen_.store(true);
    frozen_.notify_all();
    thawed_.wait(false);
  }
  void wait_for_victim() const noexcept { frozen_.wait(false); }
  void thaw() noexcept {
    thawed_.store(true);
    thawed_.notify_all();
  }

 private:
  std::atomic<bool> frozen_{false};
  std::atomic<bool> thawed_{false};
};

/// A thread that f() holds in the ice, until it is let go: at the latest when a test fails.
class victim {
 public:
  template <class F>
  victim(ice& where, F f) : ice_(where), thread_(std::move(f)) {
    ice_.wait_for_victim();
  }
  ~victim() {
    if (thread_.joinable()) let_go();
  }
  void let_go() {
    ice_.thaw();
    thread_.join();
  }

 private:
  ice& ice_;
  std::thread thread_;
};

/// A message that holds who moves it for the n-th time.
class message {
 public:
  explicit message(int number, ice* where = nullptr, int moves = 0) noexcept
      : number_(number), ice_(where), moves_(moves) {}
  message(message&& other) noexcept : number_(other.number_), ice_(other.ice_), moves_(other.moves_ - 1) {
    if (ice_ != nullptr && moves_ == 0) ice_->freeze_here();
    other.number_ = -1;
  }
  message& operator=(message&&) = delete;

  int number() const noexcept { return number_; }

 private:
  int number_;
  ice* ice_;
  int moves_;
};

constexpr int in_push = 1;  // the move that a push makes
constexpr int in_pop = 2;   // the first one that a pop makes

/// A queue, used by one thread: each call that returns is progress, whatever it says.
template <class Kind, class Queue>
class user {
 public:
  user(Queue& queue, support::pulse& pulse) : queue_(queue), pulse_(pulse) {}

  bool push(int number) {
    const bool pushed = queue_.try_push(message(number));
    pulse_.beat();
    return pushed;
  }
  /// -1: nothing came.
  int pop() {
    const std::optional<message> m = queue_.try_pop();
    pulse_.beat();
    return m ? m->number() : -1;
  }

  void pushes(int from, int to) {
    for (int n = from; n < to; ++n) REQUIRE(push(n));
  }
  /// Pops the messages with these numbers, in this order.
  void pops_exactly(int from, int to) {
    for (int n = from; n < to; ++n) REQUIRE(pop() == n);
  }
  void says_empty() {
    for (int i = 0; i < 3; ++i) REQUIRE(pop() == -1);
  }
  void says_full() {
    for (int i = 0; i < 3; ++i) REQUIRE_FALSE(push(-2));
  }

  /// Bounded queues take `room` messages, then say full; others take all.
  int push_what_fits(int from, int room) {
    const int to = from + (Kind::bounded ? room : 500);
    pushes(from, to);
    if (Kind::bounded) says_full();
    return to;
  }

 private:
  Queue& queue_;
  support::pulse& pulse_;
};

constexpr int capacities[] = {1, 2, 3, 64};

template <class Kind, class Queue>
void producer_is_frozen(int capacity, int before, support::pulse& pulse) {
  CAPTURE(capacity, before);
  Queue queue = support::make_queue<Queue>(static_cast<std::size_t>(capacity));
  user<Kind, Queue> other(queue, pulse);
  ice held;
  other.pushes(0, before);
  bool pushed = false;
  victim producer(held, [&] { pushed = queue.try_push(message(before, &held, in_push)); });

  int next = before + 1;
  if (Kind::many) next = other.push_what_fits(next, capacity - next);
  other.pops_exactly(0, before);
  other.says_empty();  // from the frozen push on
  // One lap later, the frozen push is in the way of others.
  if (Kind::many) next = other.push_what_fits(next, before);
  other.says_empty();

  producer.let_go();
  CHECK(pushed);
  other.pops_exactly(before, next);
  other.says_empty();
  other.push_what_fits(next, capacity);
}

template <class Kind, class Queue>
void consumer_is_frozen(int capacity, int before, support::pulse& pulse) {
  CAPTURE(capacity, before);
  Queue queue = support::make_queue<Queue>(static_cast<std::size_t>(capacity));
  user<Kind, Queue> other(queue, pulse);
  ice held;
  REQUIRE(queue.try_push(message(0, &held, in_pop)));
  other.pushes(1, before);
  int taken = -1;
  victim consumer(held, [&] {
    if (const std::optional<message> m = queue.try_pop()) taken = m->number();
  });

  int next = before;
  int oldest = 1;
  if (Kind::many) {
    other.pops_exactly(oldest, next);
    oldest = next;
    other.says_empty();
  }
  // Up to one lap later, where the frozen pop is in the way, although others have made room.
  next = other.push_what_fits(next, capacity - before);
  if (Kind::many) {
    other.pops_exactly(oldest, next);
    oldest = next;
    other.says_empty();
    if (Kind::bounded) other.says_full();
  }

  consumer.let_go();
  CHECK(taken == 0);
  next = other.push_what_fits(next, capacity - (next - oldest));
  other.pops_exactly(oldest, next);
  other.says_empty();
}

}  // namespace

TEMPLATE_TEST_CASE("a frozen push holds up pops from its message on, and pushes one lap later", "",
                   support::mpmc, support::scattered_mpmc, support::spsc, support::segmented) {
  support::with_each_traits([](auto traits, const char* traits_name) {
    using queue = typename TestType::template queue<message, decltype(traits)>;
    CAPTURE(traits_name);
    support::watchdog dog(traits_name, 1);
    for (const int capacity : capacities) {
      for (const int before : {0, capacity / 2, capacity - 1}) {
        producer_is_frozen<TestType, queue>(capacity, before, dog.worker(0));
      }
    }
  });
}

TEMPLATE_TEST_CASE("a frozen pop holds up pushes one lap later, and nobody else", "", support::mpmc,
                   support::scattered_mpmc, support::spsc, support::segmented) {
  support::with_each_traits([](auto traits, const char* traits_name) {
    using queue = typename TestType::template queue<message, decltype(traits)>;
    CAPTURE(traits_name);
    support::watchdog dog(traits_name, 1);
    for (const int capacity : capacities) {
      for (const int before : {1, capacity}) {
        consumer_is_frozen<TestType, queue>(capacity, before, dog.worker(0));
      }
    }
  });
}
