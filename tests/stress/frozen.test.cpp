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

template <class Queue>
bool push(Queue& queue, int number) {
  return queue.try_push(message(number));
}
/// -1: nothing came.
template <class Queue>
int pop(Queue& queue) {
  const std::optional<message> m = queue.try_pop();
  return m ? m->number() : -1;
}

/// Pops the messages with these numbers, in this order.
template <class Queue>
void pops_exactly(Queue& queue, int from, int to) {
  for (int n = from; n < to; ++n) REQUIRE(pop(queue) == n);
}
template <class Queue>
void says_empty(Queue& queue) {
  for (int i = 0; i < 3; ++i) REQUIRE(pop(queue) == -1);
}
template <class Queue>
void says_full(Queue& queue) {
  for (int i = 0; i < 3; ++i) REQUIRE_FALSE(push(queue, -2));
}

/// Bounded queues take `room` messages, then say full; others take all.
template <class Kind, class Queue>
int push_what_fits(Queue& queue, int from, int room) {
  const int to = from + (Kind::bounded ? room : 500);
  for (int n = from; n < to; ++n) REQUIRE(push(queue, n));
  if (Kind::bounded) says_full(queue);
  return to;
}

constexpr int capacities[] = {1, 2, 3, 64};

template <class Kind, class Queue>
void producer_is_frozen(int capacity, int before) {
  CAPTURE(capacity, before);
  Queue queue = support::make_queue<Queue>(static_cast<std::size_t>(capacity));
  ice held;
  for (int n = 0; n < before; ++n) REQUIRE(push(queue, n));
  bool pushed = false;
  victim producer(held, [&] { pushed = queue.try_push(message(before, &held, in_push)); });

  int next = before + 1;
  if (Kind::many) next = push_what_fits<Kind>(queue, next, capacity - next);
  pops_exactly(queue, 0, before);
  says_empty(queue);  // from the frozen push on
  // One lap later, the frozen push is in the way of others.
  if (Kind::many) next = push_what_fits<Kind>(queue, next, before);
  says_empty(queue);

  producer.let_go();
  CHECK(pushed);
  pops_exactly(queue, before, next);
  says_empty(queue);
  push_what_fits<Kind>(queue, next, capacity);
}

template <class Kind, class Queue>
void consumer_is_frozen(int capacity, int before) {
  CAPTURE(capacity, before);
  Queue queue = support::make_queue<Queue>(static_cast<std::size_t>(capacity));
  ice held;
  REQUIRE(queue.try_push(message(0, &held, in_pop)));
  for (int n = 1; n < before; ++n) REQUIRE(push(queue, n));
  int taken = -1;
  victim consumer(held, [&] { taken = pop(queue); });

  int next = before;
  int oldest = 1;
  if (Kind::many) {
    pops_exactly(queue, oldest, next);
    oldest = next;
    says_empty(queue);
  }
  // Up to one lap later, where the frozen pop is in the way, although others have made room.
  next = push_what_fits<Kind>(queue, next, capacity - before);
  if (Kind::many) {
    pops_exactly(queue, oldest, next);
    oldest = next;
    says_empty(queue);
    if (Kind::bounded) says_full(queue);
  }

  consumer.let_go();
  CHECK(taken == 0);
  next = push_what_fits<Kind>(queue, next, capacity - (next - oldest));
  pops_exactly(queue, oldest, next);
  says_empty(queue);
}

}  // namespace

TEMPLATE_TEST_CASE("a frozen push holds up pops from its message on, and pushes one lap later", "",
                   support::mpmc, support::scattered_mpmc, support::spsc, support::segmented) {
  support::with_each_traits([](auto traits, const char* traits_name) {
    using queue = typename TestType::template queue<message, decltype(traits)>;
    CAPTURE(traits_name);
    const support::watchdog dog(traits_name, 0);
    for (const int capacity : capacities) {
      producer_is_frozen<TestType, queue>(capacity, 0);
      producer_is_frozen<TestType, queue>(capacity, capacity / 2);
      producer_is_frozen<TestType, queue>(capacity, capacity - 1);
    }
  });
}

TEMPLATE_TEST_CASE("a frozen pop holds up pushes one lap later, and nobody else", "", support::mpmc,
                   support::scattered_mpmc, support::spsc, support::segmented) {
  support::with_each_traits([](auto traits, const char* traits_name) {
    using queue = typename TestType::template queue<message, decltype(traits)>;
    CAPTURE(traits_name);
    const support::watchdog dog(traits_name, 0);
    for (const int capacity : capacities) {
      consumer_is_frozen<TestType, queue>(capacity, 1);
      consumer_is_frozen<TestType, queue>(capacity, capacity);
    }
  });
}
