// SPDX-License-Identifier: BSL-1.0

// Whatever may throw does so once, at its k-th turn, for k = 0, 1, ... until nothing throws any more: the
// construction of a message, a step of an iterator, an allocation. No message is lost or doubled, none
// and no memory is leaked, and the queue goes on working.

#include <algorithm>
#include <cstddef>
#include <deque>
#include <iterator>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include <millrace/lockfree/mpmc_ring.hpp>
#include <millrace/lockfree/segmented_queue.hpp>
#include <millrace/lockfree/spsc_ring.hpp>
#include <millrace/queue/bounded_queue.hpp>
#include <millrace/queue/make_channel.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"

namespace {

using millrace::op_status;

struct fault {};

/// Counts the turns down.
struct faults {
  static inline int until_next = -1;  // below 0: none will come

  static bool has_come() noexcept { return until_next < 0; }
  static bool is_next() noexcept { return until_next >= 0 && until_next-- == 0; }
  static void point() {
    if (is_next()) throw fault{};
  }
};

struct failing_memory : millrace::default_traits {
  static inline int outstanding = 0;

  template <std::size_t CellBytes>
  static constexpr std::size_t segment_cells = 2;

  static void* allocate(std::size_t bytes, std::size_t alignment) {
    if (faults::is_next()) throw std::bad_alloc();
    void* const memory = default_traits::allocate(bytes, alignment);
    ++outstanding;
    return memory;
  }
  static void deallocate(void* memory, std::size_t alignment) noexcept {
    --outstanding;
    default_traits::deallocate(memory, alignment);
  }
};

/// A message that may throw when it is built or copied, not when it is moved.
class brittle {
 public:
  static inline int live = 0;

  explicit brittle(int n) : n_(n) { alive(); }
  brittle(const brittle& other) : n_(other.n_) { alive(); }
  brittle(brittle&& other) noexcept : n_(std::exchange(other.n_, -1)) { ++live; }
  brittle& operator=(brittle&& other) noexcept {
    n_ = std::exchange(other.n_, -1);
    return *this;
  }
  ~brittle() { --live; }

  int number() const noexcept { return n_; }

 private:
  static void alive() {
    faults::point();
    ++live;
  }
  int n_;
};

/// Over messages, as const brittle& or as brittle&&. Each of its steps may throw.
template <class Reference>
struct brittle_source {
  std::remove_reference_t<Reference>* at;
  Reference operator*() const {
    faults::point();
    return static_cast<Reference>(*at);
  }
  brittle_source& operator++() {
    faults::point();
    ++at;
    return *this;
  }
};

/// Notes the numbers of the messages that it is given. Each of its steps may throw.
struct brittle_sink {
  std::vector<int>* seen;
  struct place {
    std::vector<int>* seen;
    void operator=(brittle&& message) const {
      seen->push_back(message.number());
      faults::point();
    }
  };
  place operator*() const {
    faults::point();
    return {seen};
  }
  brittle_sink& operator++() {
    faults::point();
    return *this;
  }
};

bool is_in(bool answer) {
  return answer;
}
bool is_in(op_status answer) {
  return answer == op_status::ok;
}

template <class Queue>
concept has_batches = requires(Queue& q, brittle* p) { q.try_push_n(p, std::size_t{1}); };

/// Uses a queue in every way, and knows what must be in it.
template <class Queue>
class user {
 public:
  user(Queue& queue, std::size_t capacity) : queue_(queue), capacity_(capacity) {}

  void use_all() {
    for (int round = 0; round < 4; ++round) {
      push();
      push_copy();
      emplace();
      pop_one();
      emplace();
      pop_one();
      if constexpr (has_batches<Queue>) {
        push_copies();
        pop_some();
        push_moved(7);
        push_from_brittle_source<const brittle&>();
        pop_into();
        pop_back_inserted();
        push_from_brittle_source<brittle&&>();
        pop_some();
      }
    }
    // To the brim, and empty.
    const std::size_t room = std::min(capacity_ - inside_.size(), std::size_t{5});
    for (std::size_t i = 0; i < room; ++i) push();
    if (inside_.size() == capacity_) push();
    while (!inside_.empty()) pop_one();
    pop_one();
  }

 private:
  /// What goes in is told by the size, also where an exception comes instead of an answer.
  template <class Push>
  std::size_t pushing(std::size_t n, Push push) {
    const std::size_t expected = std::min(n, capacity_ - inside_.size());
    const bool was_to_come = !faults::has_come();
    std::optional<std::size_t> answer;
    try {
      answer = push();
    } catch (const fault&) {
    } catch (const std::bad_alloc&) {
    }
    const bool failed = was_to_come && faults::has_come();
    const std::size_t in = queue_.size_approx() - inside_.size();
    REQUIRE((answer || failed));
    if (answer) REQUIRE(*answer == in);
    REQUIRE(in <= expected);
    if (!failed) REQUIRE(in == expected);
    for (std::size_t i = 0; i < in; ++i) inside_.push_back(next_ + static_cast<int>(i));
    next_ += static_cast<int>(n);
    return in;
  }

  void push() {
    std::vector<brittle> message = built(1);
    const std::size_t in = pushing(1, [&] { return is_in(queue_.try_push(std::move(message[0]))); });
    check_moved(message, in);
  }
  void push_copy() {
    const std::vector<brittle> message = built(1);
    pushing(1, [&] { return is_in(queue_.try_push(message[0])); });
    check_moved(message, 0);
  }
  void emplace() {
    const bool is_full = inside_.size() == capacity_;
    const int until_next = faults::until_next;
    pushing(1, [&] { return is_in(queue_.try_emplace(next_)); });
    if (is_full) REQUIRE(faults::until_next == until_next);  // nothing was built
  }
  void push_copies() {
    const std::vector<brittle> messages = built(3);
    pushing(3, [&] { return queue_.try_push_n(messages.data(), 3); });
    check_moved(messages, 0);
  }
  void push_moved(std::size_t n) {
    std::vector<brittle> messages = built(n);
    bool answered = false;
    const std::size_t in = pushing(n, [&] {
      const std::size_t answer = queue_.try_push_n(std::make_move_iterator(messages.data()), n);
      answered = true;
      return answer;
    });
    check_moved(messages, in);
    REQUIRE((answered || in == 0));  // where only memory can fail, what went in is told
  }
  template <class Reference>
  void push_from_brittle_source() {
    std::vector<brittle> messages = built(3);
    const std::size_t in =
        pushing(3, [&] { return queue_.try_push_n(brittle_source<Reference>{messages.data()}, 3); });
    check_moved(messages, std::is_rvalue_reference_v<Reference> ? in : 0);
  }

  /// The messages that come next, built while nothing throws.
  std::vector<brittle> built(std::size_t n) {
    const int until_next = std::exchange(faults::until_next, -1);
    std::vector<brittle> messages;
    messages.reserve(n);
    for (std::size_t i = 0; i < n; ++i) messages.emplace_back(next_ + static_cast<int>(i));
    faults::until_next = until_next;
    return messages;
  }

  /// The first were moved from, the others are untouched.
  void check_moved(const std::vector<brittle>& messages, std::size_t first) {
    const int begin = next_ - static_cast<int>(messages.size());
    for (std::size_t i = 0; i < messages.size(); ++i) {
      REQUIRE(messages[i].number() == (i < first ? -1 : begin + static_cast<int>(i)));
    }
  }

  /// What was taken is told by the size; of it, only the message in hand may not have been seen.
  template <class Pop>
  void popping(std::size_t n, Pop pop) {
    const std::size_t before = inside_.size();
    const bool was_to_come = !faults::has_come();
    std::vector<int> seen;
    std::optional<std::size_t> answer;
    try {
      answer = pop(seen);
    } catch (const fault&) {
    }
    const std::size_t taken = before - queue_.size_approx();
    if (answer) {
      REQUIRE(*answer == taken);
      REQUIRE(taken == std::min(n, before));
      REQUIRE(seen.size() == taken);
    } else {
      REQUIRE((was_to_come && faults::has_come()));
      REQUIRE(taken <= std::min(n, before));
      REQUIRE((seen.size() == taken || seen.size() + 1 == taken));
    }
    for (const int number : seen) {
      REQUIRE(number == inside_.front());
      inside_.pop_front();
    }
    if (seen.size() < taken) inside_.pop_front();
  }

  void pop_one() {
    popping(1, [&](std::vector<int>& seen) {
      auto message = queue_.try_pop();
      if (message) seen.push_back(message->number());
      return seen.size();
    });
  }
  void pop_into() {
    std::vector<brittle> message = built(1);
    popping(1, [&](std::vector<int>& seen) {
      if (queue_.try_pop(message[0])) seen.push_back(message[0].number());
      return seen.size();
    });
  }
  void pop_some() {
    popping(3, [&](std::vector<int>& seen) { return queue_.try_pop_n(brittle_sink{&seen}, 3); });
  }
  void pop_back_inserted() {
    popping(2, [&](std::vector<int>& seen) {
      std::vector<brittle> messages;
      const std::size_t answer = queue_.try_pop_n(std::back_inserter(messages), 2);
      for (const brittle& m : messages) seen.push_back(m.number());
      return answer;
    });
  }

  Queue& queue_;
  const std::size_t capacity_;
  std::deque<int> inside_;
  int next_ = 0;
};

using mpmc = millrace::mpmc_ring<brittle, failing_memory>;
using spsc = millrace::spsc_ring<brittle, failing_memory>;
using segmented = millrace::segmented_queue<brittle, failing_memory>;
using bounded = millrace::bounded_queue<brittle, failing_memory>;

/// Uses a new queue with one fault, at its k-th turn. False: it did not come to that.
template <class Queue, class... Capacity>
bool fails(int k, Capacity... capacity) {
  faults::until_next = k;
  try {
    Queue queue(capacity...);
    user<Queue>(queue, std::min({~std::size_t{0}, capacity...})).use_all();
  } catch (const std::bad_alloc&) {
    REQUIRE(faults::has_come());  // to the constructor
  }
  const bool failed = faults::has_come();
  faults::until_next = -1;
  return failed;
}

template <class Queue, class... Capacity>
void survives_every_fault(Capacity... capacity) {
  int k = 0;
  for (bool failed = true; failed; ++k) {
    CAPTURE(k);
    failed = fails<Queue>(k, capacity...);
    REQUIRE(brittle::live == 0);
    REQUIRE(failing_memory::outstanding == 0);
  }
  REQUIRE(k > 5);
}

}  // namespace

TEMPLATE_TEST_CASE("a bounded queue survives every fault", "", mpmc, spsc, bounded) {
  const std::size_t capacity = GENERATE(1u, 2u, 3u, 5u, 64u);
  CAPTURE(capacity);
  survives_every_fault<TestType>(capacity);
}

TEST_CASE("an unbounded queue survives every fault") {
  survives_every_fault<segmented>();
}

TEST_CASE("a message that cannot be built leaves those who wait for it waiting") {
  std::vector<int> got;
  {
    bounded queue(1);
    for (int i = 0; i < 2; ++i) {
      queue.pop().start([&](millrace::pop_result<brittle> m) { got.push_back(m ? m->number() : -1); });
    }
    const brittle message(2);
    for (int k = 0; k < 2; ++k) {
      faults::until_next = 0;
      CHECK_THROWS_AS(k == 0 ? queue.try_emplace(1) : queue.try_push(message), fault);
    }
    CHECK(got.empty());
    CHECK(queue.try_push(message) == op_status::ok);
    CHECK(got == std::vector<int>{2});
  }
  CHECK(got == std::vector<int>{2, -1});
  CHECK(brittle::live == 0);
}

TEST_CASE("a closed queue builds nothing") {
  bounded queue(1);
  queue.close();
  faults::until_next = 0;
  CHECK(queue.try_emplace(1) == op_status::closed);
  CHECK_FALSE(faults::has_come());
  faults::until_next = -1;
}

TEST_CASE("a channel that gets no memory throws, and leaks nothing") {
  bool made = false;
  for (std::size_t k = 0; !made; ++k) {
    for (const int until_next : {-1, 0}) {
      try {
        const support::failing_allocations later(k);
        faults::until_next = until_next;
        auto [tx, rx] = millrace::make_channel<brittle, bounded>(4);
        made = true;
      } catch (const std::bad_alloc&) {
      }
      faults::until_next = -1;
      CHECK(failing_memory::outstanding == 0);
    }
  }
}
