// SPDX-License-Identifier: BSL-1.0
#pragma once

// What mpmc_ring, spsc_ring and segmented_queue have in common, whatever the capacity and the message.
// A Family is one of support/lockfree_queues.hpp; where its queue is unbounded, the capacity is how many
// messages a law works with.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <millrace/detail/atomic.hpp>

#include "support/catch.hpp"
#include "support/counted.hpp"
#include "support/lockfree_queues.hpp"
#include "support/messages.hpp"

namespace lockfree_laws {

using messages::make;
using messages::number;
using millrace::default_traits;
using support::make_queue;

inline int number(const support::counted& m) {
  return m.number();
}

/// Reads make<T>(n), make<T>(n + 1), ... by value, and counts how often it was read.
template <class T, bool IsNothrow>
struct numbers_from {
  int n;
  std::size_t* reads;
  T operator*() const noexcept(IsNothrow) {
    ++*reads;
    return make<T>(n);
  }
  numbers_from& operator++() noexcept(IsNothrow) {
    ++n;
    return *this;
  }
};

/// Notes the numbers of the messages that are assigned to it.
template <class T>
struct numbers_into {
  std::vector<int>* out;
  struct place {
    std::vector<int>* out;
    void operator=(T&& message) const noexcept { out->push_back(number(message)); }
  };
  place operator*() const noexcept { return {out}; }
  numbers_into& operator++() noexcept { return *this; }
};

/// A message whose construction from an int throws when its turn has come.
class throwing {
 public:
  static inline int until_throw = -1;

  explicit throwing(int n) : counted_(n) {
    if (until_throw >= 0 && until_throw-- == 0) throw std::runtime_error("construction");
  }
  int number() const noexcept { return counted_.number(); }

 private:
  support::counted counted_;
};

/// A message that notes whether it ever lay where its alignment forbids.
struct alignas(128) aligned {
  static inline int misplaced = 0;
  int n;
  explicit aligned(int value) noexcept : n(value) { look(); }
  aligned(aligned&& other) noexcept : n(other.n) { look(); }
  void look() const noexcept {
    if (reinterpret_cast<std::uintptr_t>(this) % 128 != 0) ++misplaced;
  }
};

/// A message of several cache lines.
struct large {
  int words[500];
  explicit large(int n) noexcept { std::fill(std::begin(words), std::end(words), n); }
  bool is(int n) const noexcept {
    return std::all_of(std::begin(words), std::end(words), [n](int word) { return word == n; });
  }
};

/// Copies and moves, but neither default construction nor assignment may be asked for.
struct throwing_assignment {
  throwing_assignment(throwing_assignment&&) noexcept;
  throwing_assignment& operator=(throwing_assignment&&) noexcept(false);
};

template <class Queue, class T>
concept pops_into = requires(Queue& q, T& out) { q.try_pop(out); };
template <class Queue, class T>
concept pushes_from = requires(Queue& q, T message) { q.try_push(message); };
template <class Queue, class Source>
concept pushes_batch_of = requires(Queue& q, Source from) { q.try_push_n(from, std::size_t{1}); };

/// What can be said of the interface without running it.
template <class Family>
constexpr bool interface_holds() {
  using namespace std;
  using numbers = typename Family::template queue<int, default_traits>;
  using words = typename Family::template queue<string, default_traits>;
  using unique = typename Family::template queue<unique_ptr<int>, default_traits>;
  using unassignable = typename Family::template queue<throwing_assignment, default_traits>;
  constexpr bool puts = Family::bounded;  // an unbounded one may need memory
  static_assert(is_same_v<typename words::value_type, string>);
  static_assert(!is_copy_constructible_v<numbers> && !is_move_constructible_v<numbers>);
  static_assert(!is_copy_assignable_v<numbers> && !is_move_assignable_v<numbers>);
  static_assert(!is_convertible_v<size_t, numbers>, "the constructor is explicit");
  static_assert(noexcept(declval<words&>().try_push(declval<string>())) == puts);
  static_assert(noexcept(declval<numbers&>().try_push(declval<const int&>())) == puts);
  static_assert(!noexcept(declval<words&>().try_push(declval<const string&>())), "a copy may throw");
  static_assert(noexcept(declval<words&>().try_emplace(declval<string>())) == puts);
  static_assert(!noexcept(declval<words&>().try_emplace("text")));
  static_assert(noexcept(declval<words&>().try_pop()));
  static_assert(noexcept(declval<words&>().try_pop(declval<string&>())));
  static_assert(noexcept(declval<const words&>().size_approx()));
  static_assert(pushes_from<numbers, int&> && pushes_from<words, const string&>);
  static_assert(!pushes_from<unique, unique_ptr<int>&>, "what cannot be copied must be moved");
  static_assert(pops_into<unique, unique_ptr<int>> && !pops_into<unassignable, throwing_assignment>);
  static_assert(pushes_batch_of<words, const char**> && !pushes_batch_of<numbers, string*>);
  static_assert(!pushes_batch_of<unique, unique_ptr<int>*>);
  static_assert(pushes_batch_of<unique, move_iterator<unique_ptr<int>*>>);
  return true;
}

/// Exactly its capacity goes in, and what does not go in is untouched.
template <class Family, class T, class Traits>
void holds_exactly_its_capacity(std::size_t capacity) {
  auto q = make_queue<typename Family::template queue<T, Traits>>(capacity);
  if constexpr (Family::bounded) REQUIRE(q.capacity() == capacity);
  for (int lap = 0; lap < 3; ++lap) {
    bool all = true;
    for (std::size_t i = 0; i < capacity; ++i) {
      all = all && q.size_approx() == i && q.try_push(make<T>(static_cast<int>(i)));
    }
    REQUIRE(all);
    REQUIRE(q.size_approx() == capacity);
    if constexpr (Family::bounded) {
      auto rejected = make<T>(99);
      REQUIRE_FALSE(q.try_push(std::move(rejected)));
      REQUIRE_FALSE(q.try_emplace(std::move(rejected)));
      REQUIRE(number(rejected) == 99);
      REQUIRE(q.size_approx() == capacity);
    }
    for (std::size_t i = 0; i < capacity; ++i) {
      auto m = q.try_pop();
      all = all && m && number(*m) == static_cast<int>(i) && q.size_approx() == capacity - i - 1;
    }
    REQUIRE(all);
    REQUIRE_FALSE(q.try_pop());
  }
}

/// The first of many random operations, single ones and batches of both kinds, whose answer is not a
/// std::deque's; -1: none.
template <class Family, class T, class Traits>
int first_difference_from_a_deque(std::size_t capacity, int operations) {
  auto q = make_queue<typename Family::template queue<T, Traits>>(capacity);
  std::deque<int> model;
  std::vector<int> got;
  int next = 0;
  std::uint32_t random = 1;
  const auto below = [&random](std::size_t n) {
    random = random * 1103515245u + 12345u;
    return static_cast<std::size_t>(random >> 16) % n;
  };
  const auto popped = [&](std::size_t n) {
    const std::size_t expected = std::min(n, model.size());
    const auto end = model.begin() + static_cast<std::ptrdiff_t>(expected);
    const bool same = std::equal(got.begin(), got.end(), model.begin(), end);
    model.erase(model.begin(), end);
    return same;
  };
  for (int i = 0; i < operations; ++i) {
    const std::size_t n = below(capacity + 3);
    const std::size_t room = Family::bounded ? capacity - model.size() : n + 1;
    std::size_t in = 0;
    std::size_t expected = 0;
    std::size_t reads = 0;
    bool same = true;
    got.clear();
    switch (below(7)) {
      case 0:
        expected = std::min<std::size_t>(1, room);
        in = q.try_push(make<T>(next)) ? 1 : 0;
        break;
      case 1:
        expected = std::min<std::size_t>(1, room);
        in = q.try_emplace(make<T>(next)) ? 1 : 0;
        break;
      case 2:
        expected = std::min(n, room);
        in = q.try_push_n(numbers_from<T, true>{next, &reads}, n);
        same = reads == in;  // read only once it has a slot
        break;
      case 3:
        expected = std::min(n, room);
        in = q.try_push_n(numbers_from<T, false>{next, &reads}, n);
        break;
      case 4:
        if (auto m = q.try_pop()) got.push_back(number(*m));
        same = popped(1);
        break;
      case 5:
        got.reserve(n);
        same = q.try_pop_n(numbers_into<T>{&got}, n) == got.size() && popped(n);
        break;
      default: {
        std::vector<T> out;
        same = q.try_pop_n(std::back_inserter(out), n) == out.size();
        for (const T& m : out) got.push_back(number(m));
        same = popped(n) && same;
      }
    }
    for (std::size_t k = 0; k < in; ++k) model.push_back(next++);
    if (!same || in != expected || q.size_approx() != model.size()) return i;
  }
  return -1;
}

template <class Family, class T, class Traits = default_traits>
void works_like_a_deque(std::size_t capacity) {
  CAPTURE(capacity);
  holds_exactly_its_capacity<Family, T, Traits>(capacity);
  CHECK(first_difference_from_a_deque<Family, T, Traits>(capacity, 6000) == -1);
}

/// Of a batch, exactly what goes in is moved away, and exactly what comes out is assigned.
template <class Family, class Traits>
void batches_move_what_they_say(std::size_t capacity) {
  using T = std::unique_ptr<int>;
  auto q = make_queue<typename Family::template queue<T, Traits>>(capacity);
  const std::size_t n = capacity + 2;
  const std::size_t expected = Family::bounded ? capacity : n;
  for (int lap = 0; lap < 3; ++lap) {
    std::vector<T> given;
    for (std::size_t i = 0; i < n; ++i) given.push_back(make<T>(static_cast<int>(i)));
    REQUIRE(q.try_push_n(std::make_move_iterator(given.begin()), 0) == 0);
    REQUIRE(q.try_push_n(std::make_move_iterator(given.begin()), n) == expected);
    bool all = true;
    for (std::size_t i = 0; i < n; ++i) all = all && (given[i] == nullptr) == (i < expected);
    REQUIRE(all);

    std::vector<T> out(n + 1);
    REQUIRE(q.try_pop_n(out.begin(), 0) == 0);
    REQUIRE(q.try_pop_n(out.begin(), 1) == 1);  // so that the next batch begins elsewhere in the next lap
    REQUIRE(q.try_pop_n(out.begin() + 1, n) == expected - 1);
    for (std::size_t i = 0; i <= n; ++i) {
      all = all && number(out[i]) == (i < expected ? static_cast<int>(i) : -1);
    }
    REQUIRE(all);
    REQUIRE(q.try_push(make<T>(0)));
    REQUIRE(q.try_pop());
  }
}

/// A batch from lvalues copies, whether the copies may throw or not.
template <class Family, class T, class Traits>
void batches_copy(std::size_t capacity, T value) {
  auto q = make_queue<typename Family::template queue<T, Traits>>(capacity);
  const std::vector<T> given(capacity, value);
  CHECK(q.try_push_n(given.begin(), capacity) == capacity);
  CHECK(given == std::vector<T>(capacity, value));
  std::vector<T> out;
  CHECK(q.try_pop_n(std::back_inserter(out), capacity + 1) == capacity);
  CHECK(out == given);
}

/// An exception from an iterator of a batch: what was done before it stays done.
template <class Family, class Traits>
void iterators_may_throw(std::size_t capacity) {
  if (capacity < 3) return;
  struct source {
    int n;
    support::counted operator*() const {
      if (n == 2) throw std::runtime_error("read");
      return support::counted(n);
    }
    source& operator++() {
      ++n;
      return *this;
    }
  };
  struct sink {
    std::vector<int>* out;
    sink& operator*() { return *this; }
    sink& operator++() { return *this; }
    sink& operator=(support::counted&& message) {
      if (message.number() == 1) throw std::runtime_error("write");
      out->push_back(message.number());
      return *this;
    }
  };
  {
    auto q = make_queue<typename Family::template queue<support::counted, Traits>>(capacity);
    bool thrown = false;
    try {
      static_cast<void>(q.try_push_n(source{0}, 3));
    } catch (const std::runtime_error&) {
      thrown = true;
    }
    CHECK(thrown);
    CHECK(q.size_approx() == 2);
    CHECK(q.try_emplace(2));
    std::vector<int> out;
    thrown = false;
    try {
      static_cast<void>(q.try_pop_n(sink{&out}, 3));
    } catch (const std::runtime_error&) {
      thrown = true;
    }
    CHECK(thrown);
    CHECK(out == std::vector<int>{0});
    CHECK(support::counted::live() == 1);  // the message in hand is destroyed, the others are not
    CHECK(q.try_pop_n(sink{&out}, 3) == 1);
    CHECK(out == std::vector<int>{0, 2});
  }
  CHECK(support::counted::live() == 0);
}

template <class Family, class Traits>
void a_construction_that_throws_changes_nothing(std::size_t capacity) {
  constexpr int attempts = 10;
  for (int k = 0; k < attempts; ++k) {
    auto q = make_queue<typename Family::template queue<throwing, Traits>>(capacity);
    std::vector<int> entered;
    std::vector<int> left;
    int thrown = 0;
    bool unchanged = true;
    throwing::until_throw = k;
    for (int n = 0; n < attempts; ++n) {
      const std::size_t before = q.size_approx();
      try {
        if (q.try_emplace(n)) entered.push_back(n);
      } catch (const std::runtime_error&) {
        ++thrown;
        unchanged = q.size_approx() == before;
      }
      if (q.size_approx() == capacity || n + 1 == attempts) {
        while (auto m = q.try_pop()) left.push_back(m->number());
      }
    }
    CHECK(thrown == 1);
    CHECK(unchanged);
    CHECK(entered.size() == attempts - 1);
    CHECK(left == entered);
    const std::vector<int> numbers(capacity, 7);
    CHECK(q.try_push_n(numbers.begin(), capacity) == capacity);
    if (Family::bounded) {
      throwing::until_throw = 0;  // nothing is built where there is no room
      CHECK_FALSE(q.try_emplace(7));
    }
    throwing::until_throw = -1;
  }
  CHECK(support::counted::live() == 0);
}

template <class Family, class Traits>
void the_destructor_destroys_what_is_left(std::size_t capacity) {
  const std::size_t step = capacity / 4 + 1;
  bool all = true;
  for (std::size_t offset = 0; offset <= 2 * capacity; offset += step) {
    for (std::size_t fill = 0; fill <= capacity; fill += step) {
      {
        auto q = make_queue<typename Family::template queue<support::counted, Traits>>(capacity);
        for (std::size_t i = 0; i < offset; ++i) all = all && q.try_emplace(1) && q.try_pop();
        for (std::size_t i = 0; i < fill; ++i) all = all && q.try_emplace(1);
        all = all && support::counted::live() == static_cast<int>(fill);
      }
      all = all && support::counted::live() == 0;
    }
  }
  CHECK(all);
}

/// What a batch gives to an iterator is destroyed in its slot, moved from or not.
template <class Family, class Traits>
void batches_destroy_what_they_gave(std::size_t capacity) {
  auto q = make_queue<typename Family::template queue<support::counted, Traits>>(capacity);
  std::size_t reads = 0;
  std::vector<int> got;
  got.reserve(capacity);
  CHECK(q.try_push_n(numbers_from<support::counted, true>{0, &reads}, capacity) == capacity);
  CHECK(support::counted::live() == static_cast<int>(capacity));
  CHECK(q.try_pop_n(numbers_into<support::counted>{&got}, capacity) == capacity);
  CHECK(support::counted::live() == 0);
}

template <class Family, class Traits>
void copies_moves_and_assigns(std::size_t capacity) {
  auto strings = make_queue<typename Family::template queue<std::string, Traits>>(capacity);
  std::string given = "kept";
  CHECK(strings.try_push(given));
  CHECK(given == "kept");
  CHECK(strings.try_pop() == "kept");
  CHECK(strings.try_emplace(3u, 'x'));
  std::string text = "old";
  CHECK(strings.try_pop(text));
  CHECK(text == "xxx");
  CHECK_FALSE(strings.try_pop(text));
  CHECK(text == "xxx");

  auto unique = make_queue<typename Family::template queue<std::unique_ptr<int>, Traits>>(capacity);
  auto one = std::make_unique<int>(1);
  CHECK(unique.try_push(std::move(one)));
  CHECK(one == nullptr);
  CHECK(unique.try_pop(one));
  CHECK(number(one) == 1);
}

template <class Family, class Traits>
void messages_lie_where_they_must(std::size_t capacity) {
  aligned::misplaced = 0;
  auto q = make_queue<typename Family::template queue<aligned, Traits>>(capacity);
  auto big = make_queue<typename Family::template queue<large, Traits>>(capacity);
  bool all = true;
  for (int lap = 0; lap < 2; ++lap) {
    for (std::size_t i = 0; i < capacity; ++i) {
      const int n = static_cast<int>(i);
      all = all && q.try_push(aligned(n)) && big.try_push(large(n));
    }
    for (std::size_t i = 0; i < capacity; ++i) {
      const auto m = big.try_pop();
      all = all && m && m->is(static_cast<int>(i)) && q.try_pop();
    }
  }
  CHECK(all);
  CHECK(aligned::misplaced == 0);
}

/// Each message arrives once, and those of one producer in order, whether sent alone or in batches.
template <class Family, class Traits>
void threads_lose_nothing(std::size_t capacity) {
  constexpr std::uint32_t sides = Family::many ? 2 : 1;
  constexpr std::uint32_t each = 4000;
  struct record {
    std::vector<std::uint32_t> got;
    int out_of_order = 0;
  };
  auto q = make_queue<typename Family::template queue<std::uint32_t, Traits>>(capacity);
  std::atomic<std::uint32_t> left{sides * each};
  record records[sides];
  std::vector<std::thread> threads;
  for (std::uint32_t p = 0; p < sides; ++p) {
    threads.emplace_back([&q, p] {
      std::uint32_t batch[3];
      for (std::uint32_t i = 0; i < each;) {
        const std::uint32_t n = std::min(i % 4, each - i);
        std::uint32_t m = p * each + i;
        std::size_t in = 0;
        if (n < 2) {
          in = q.try_push(std::move(m)) ? 1 : 0;
        } else {
          for (std::uint32_t k = 0; k < n; ++k) batch[k] = m + k;
          in = q.try_push_n(batch, n);
        }
        if (in == 0) std::this_thread::yield();
        i += static_cast<std::uint32_t>(in);
      }
    });
    threads.emplace_back([&q, &left, &mine = records[p]] {
      std::int64_t last[sides];
      std::fill(std::begin(last), std::end(last), -1);
      std::uint32_t batch[5];
      for (std::uint32_t turn = 0; left.load() != 0; ++turn) {
        std::size_t out = 0;
        if (turn % 2 == 0) {
          out = q.try_pop(batch[0]) ? 1 : 0;
        } else {
          out = q.try_pop_n(batch, std::size(batch));
        }
        if (out == 0) std::this_thread::yield();
        left.fetch_sub(static_cast<std::uint32_t>(out));
        for (std::size_t k = 0; k < out; ++k) {
          std::int64_t& before = last[batch[k] / each];
          if (batch[k] <= before) ++mine.out_of_order;
          before = batch[k];
          mine.got.push_back(batch[k]);
        }
      }
    });
  }
  for (auto& t : threads) t.join();

  std::vector<int> times(sides * each, 0);
  for (const record& r : records) {
    CHECK(r.out_of_order == 0);
    for (const std::uint32_t m : r.got) ++times.at(m);
  }
  CHECK(std::count(times.begin(), times.end(), 1) == sides * each);  // each once
  CHECK(q.size_approx() == 0);
  CHECK_FALSE(q.try_pop());
}

template <class Family, class Traits = default_traits>
void all_hold(std::size_t capacity) {
  CAPTURE(capacity);
  STATIC_REQUIRE(interface_holds<Family>());
  works_like_a_deque<Family, int, Traits>(capacity);
  works_like_a_deque<Family, messages::move_only, Traits>(capacity);
  batches_move_what_they_say<Family, Traits>(capacity);
  batches_copy<Family, int, Traits>(capacity, 5);
  batches_copy<Family, std::string, Traits>(capacity, "a string that does not fit into its object");
  iterators_may_throw<Family, Traits>(capacity);
  a_construction_that_throws_changes_nothing<Family, Traits>(capacity);
  the_destructor_destroys_what_is_left<Family, Traits>(capacity);
  batches_destroy_what_they_gave<Family, Traits>(capacity);
  copies_moves_and_assigns<Family, Traits>(capacity);
  messages_lie_where_they_must<Family, Traits>(capacity);
  threads_lose_nothing<Family, Traits>(capacity);
}

}  // namespace lockfree_laws
