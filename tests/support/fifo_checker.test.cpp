// SPDX-License-Identifier: BSL-1.0

// The judges of recorded histories can say no: good histories are accepted, and each kind of bad one is
// refused. Besides, on random small histories fifo_checker is compared with wgl.hpp, which judges
// exactly and works in another way altogether.

#include "support/fifo_checker.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <initializer_list>
#include <random>
#include <stdexcept>
#include <vector>

#include "support/catch.hpp"
#include "support/history.hpp"
#include "support/wgl.hpp"

namespace {

using support::fifo_fault;
using support::history;
using support::history_log;
using support::recorded;

/// A thread's part of a history, written down.
class thread {
 public:
  thread& push(std::uint64_t began, std::uint64_t ended, std::initializer_list<std::uint32_t> values) {
    return add(recorded::push, began, ended, values, values.size());
  }
  thread& pop(std::uint64_t began, std::uint64_t ended, std::initializer_list<std::uint32_t> values) {
    return add(recorded::pop, began, ended, values, values.size());
  }
  /// They wanted more than there was, or than there was room for.
  thread& short_push(std::uint64_t began, std::uint64_t ended, std::initializer_list<std::uint32_t> values) {
    return add(recorded::push, began, ended, values, values.size() + 1);
  }
  thread& short_pop(std::uint64_t began, std::uint64_t ended, std::initializer_list<std::uint32_t> values) {
    return add(recorded::pop, began, ended, values, values.size() + 1);
  }
  thread& full(std::uint64_t began, std::uint64_t ended) { return short_push(began, ended, {}); }
  thread& empty(std::uint64_t began, std::uint64_t ended) { return short_pop(began, ended, {}); }

  operator history_log() const { return log_; }

 private:
  thread& add(recorded::kind what, std::uint64_t began, std::uint64_t ended,
              std::initializer_list<std::uint32_t> values, std::size_t asked) {
    log_.add(what, began, ended, values.begin(), values.size(), asked);
    return *this;
  }
  history_log log_{0, 0};
};

fifo_fault judge(const history& h, std::size_t capacity = 0, std::uint32_t first = 0) {
  support::fifo_checker checker;
  const support::fifo_verdict verdict = checker.check(h, capacity, first);
  CHECK((verdict.fault == fifo_fault::none) == verdict.details.empty());
  return verdict.fault;
}

}  // namespace

TEST_CASE("a history of one call after the other is accepted") {
  CHECK(judge({}) == fifo_fault::none);
  CHECK(judge({thread()
                   .empty(1, 2)
                   .push(3, 4, {0})
                   .push(5, 6, {1})
                   .pop(7, 8, {0})
                   .pop(9, 10, {1})
                   .empty(11, 12)}) == fifo_fault::none);
  CHECK(judge({thread().push(1, 2, {0}).full(3, 4).pop(5, 6, {0}).push(7, 8, {1}).pop(9, 10, {1})}, 1) ==
        fifo_fault::none);
}

TEST_CASE("values may start anywhere, and what is left and what overlaps is counted") {
  support::fifo_checker checker;
  const auto verdict =
      checker.check({thread().push(1, 5, {70, 71, 72}).pop(6, 7, {70}), thread().empty(3, 4)}, 0, 70);
  CHECK(verdict.fault == fifo_fault::none);
  CHECK(verdict.left == 2);
  CHECK(verdict.overlapping == 1);
  CHECK(judge({thread().push(1, 2, {70}).pop(3, 4, {0})}, 0, 70) == fifo_fault::fresh);
  CHECK_THROWS_AS(judge({thread().push(1, 2, {70})}), std::invalid_argument);
  CHECK_THROWS_AS(judge({thread().push(1, 2, {0}).push(3, 4, {0})}), std::invalid_argument);
}

TEST_CASE("a checker forgets the history before") {
  support::fifo_checker checker;
  CHECK(checker.check({thread().push(1, 2, {0, 1}).pop(3, 4, {1})}, 0).fault == fifo_fault::order);
  CHECK(checker.check({thread().push(1, 2, {0})}, 0).fault == fifo_fault::none);
  CHECK(checker.check({thread().empty(1, 2)}, 0).fault == fifo_fault::none);
  CHECK(checker.check({thread().full(1, 2)}, 1).fault == fifo_fault::full);
}

TEST_CASE("a value that nobody pushed, or not yet, is refused") {
  CHECK(judge({thread().pop(1, 2, {0})}) == fifo_fault::fresh);
  CHECK(judge({thread().push(1, 2, {0}), thread().pop(3, 4, {9})}) == fifo_fault::fresh);
  CHECK(judge({thread().push(5, 6, {0}), thread().pop(3, 4, {0})}) == fifo_fault::fresh);
  CHECK(judge({thread().push(3, 6, {0}), thread().pop(2, 4, {0})}) == fifo_fault::none);
}

TEST_CASE("a value that comes out twice is refused") {
  CHECK(judge({thread().push(1, 2, {0}), thread().pop(3, 4, {0}), thread().pop(3, 4, {0})}) ==
        fifo_fault::repeated);
  CHECK(judge({thread().push(1, 2, {0}), thread().pop(3, 4, {0, 0})}) == fifo_fault::repeated);
}

TEST_CASE("of two pushes one after the other, the second's value does not come out first") {
  const thread in_order = thread().push(1, 2, {0}).push(3, 4, {1});
  CHECK(judge({in_order, thread().pop(5, 6, {1}).pop(7, 8, {0})}) == fifo_fault::order);
  CHECK(judge({in_order, thread().pop(5, 6, {1})}) == fifo_fault::order);  // 0 never came out
  CHECK(judge({in_order, thread().pop(5, 8, {1}), thread().pop(7, 9, {0})}) ==
        fifo_fault::none);  // pops overlap
  CHECK(judge({thread().push(1, 3, {0}), thread().push(2, 4, {1}), thread().pop(5, 6, {1}).pop(7, 8, {0})}) ==
        fifo_fault::none);  // pushes overlap
}

TEST_CASE("equal stamps count as overlapping") {
  CHECK(judge({thread().push(1, 2, {0}), thread().push(2, 3, {1}), thread().pop(5, 6, {1}).pop(7, 8, {0})}) ==
        fifo_fault::none);
  CHECK(judge({thread().push(2, 3, {0}), thread().pop(1, 2, {0})}) == fifo_fault::none);
  CHECK(judge({thread().push(1, 2, {0}), thread().empty(2, 3)}) == fifo_fault::none);
}

TEST_CASE("the messages of a bulk call keep their order") {
  CHECK(judge({thread().push(1, 2, {0, 1, 2}), thread().pop(3, 4, {0, 1}).pop(5, 6, {2})}) ==
        fifo_fault::none);
  CHECK(judge({thread().push(1, 2, {0, 1, 2}), thread().pop(3, 4, {0, 2, 1})}) == fifo_fault::order);
  CHECK(judge({thread().push(1, 2, {0, 1}), thread().pop(3, 4, {1}).pop(5, 6, {0})}) == fifo_fault::order);
  CHECK(judge({thread().push(1, 2, {0, 1}), thread().pop(3, 6, {1}), thread().pop(4, 5, {0})}) ==
        fifo_fault::none);
  CHECK(judge({thread().push(1, 2, {0}).push(3, 4, {1}), thread().pop(5, 6, {1, 0})}) == fifo_fault::order);
}

TEST_CASE("an order that fails only as a whole is refused") {
  // Each pair for itself could be in order: 0 before 1, 1 before 2, 2 before 3, 3 before 0.
  CHECK(judge({thread().push(1, 4, {0, 1}), thread().push(2, 3, {2, 3}), thread().pop(5, 8, {1, 2}),
               thread().pop(6, 7, {3, 0})}) == fifo_fault::order);
}

TEST_CASE("empty is refused while one value was in all the time") {
  const thread one = thread().push(1, 2, {0}).pop(8, 9, {0});
  CHECK(judge({one, thread().empty(3, 4)}) == fifo_fault::empty);
  CHECK(judge({one, thread().empty(1, 4)}) == fifo_fault::none);  // before it was in
  CHECK(judge({one, thread().empty(3, 8)}) == fifo_fault::none);  // when it was out
  CHECK(judge({one, thread().empty(10, 11)}) == fifo_fault::none);
  CHECK(judge({thread().push(1, 2, {0}), thread().empty(3, 4)}) == fifo_fault::empty);  // never came out
}

TEST_CASE("empty is refused while several values covered its time") {
  const thread relay = thread().push(1, 2, {0}).push(3, 4, {1});
  CHECK(judge({relay, thread().pop(6, 7, {0}).pop(10, 11, {1}), thread().empty(3, 9)}) == fifo_fault::empty);
  CHECK(judge({relay, thread().pop(3, 5, {0}).pop(10, 11, {1}), thread().empty(2, 9)}) ==
        fifo_fault::none);  // 3 to 4
}

TEST_CASE("empty is accepted while the push of what may be the oldest message is in flight") {
  const thread behind = thread().push(2, 3, {0}).pop(20, 21, {0});
  CHECK(judge({thread().push(1, 8, {1}), behind, thread().pop(22, 23, {1}), thread().empty(5, 6)}) ==
        fifo_fault::none);
  // It began after the other had ended, so it is not the oldest.
  CHECK(judge({thread().push(4, 8, {1}), behind, thread().pop(22, 23, {1}), thread().empty(5, 6)}) ==
        fifo_fault::empty);
  // It is over.
  CHECK(judge({thread().push(1, 4, {1}), behind, thread().pop(22, 23, {1}), thread().empty(5, 6)}) ==
        fifo_fault::empty);
  // Its message has come out.
  CHECK(judge({thread().push(1, 8, {1}), behind, thread().pop(2, 4, {1}), thread().empty(5, 6)}) ==
        fifo_fault::empty);
}

TEST_CASE("a bulk pop that gets less than it wanted has found the queue empty") {
  CHECK(judge({thread().push(1, 2, {0, 1}), thread().short_pop(3, 4, {0, 1})}) == fifo_fault::none);
  CHECK(judge({thread().push(1, 2, {0, 1, 2}), thread().short_pop(3, 4, {0, 1}).pop(5, 6, {2})}) ==
        fifo_fault::empty);
}

TEST_CASE("full is refused while there is room") {
  CHECK(judge({thread().full(1, 2)}, 1) == fifo_fault::full);
  CHECK(judge({thread().push(1, 2, {0}).full(3, 4)}, 2) == fifo_fault::full);
  CHECK(judge({thread().push(1, 2, {0}).push(3, 4, {1}).full(5, 6)}, 2) == fifo_fault::none);
  CHECK(judge({thread().push(1, 2, {0}).full(3, 4)}) == fifo_fault::full);  // unbounded
  const thread filled = thread().push(1, 2, {0}).push(3, 4, {1});
  CHECK(judge({filled, thread().pop(5, 6, {0}), thread().full(7, 8)}, 2) == fifo_fault::full);
  CHECK(judge({thread().push(1, 9, {0}), thread().full(2, 3)}, 1) == fifo_fault::none);  // it may be in
}

TEST_CASE("full is accepted while the pop that is to make room is in flight, and refused for another") {
  // Room is made by the pop of 0, which takes long; that of 1 is over, and would not help.
  const thread pushes = thread().push(1, 2, {0}).push(3, 4, {1});
  CHECK(judge({pushes, thread().pop(5, 20, {0}), thread().pop(6, 7, {1}), thread().full(8, 9)}, 2) ==
        fifo_fault::none);
  // The cell of 0 is free, the pop of 1 makes room for the push after the next.
  CHECK(judge({pushes, thread().pop(5, 6, {0}), thread().pop(5, 20, {1}), thread().full(8, 9)}, 2) ==
        fifo_fault::full);
}

TEST_CASE("a bulk push that gets in less than it wanted has found the queue full") {
  CHECK(judge({thread().short_push(1, 2, {0, 1})}, 2) == fifo_fault::none);
  CHECK(judge({thread().short_push(1, 2, {0, 1})}, 3) == fifo_fault::full);
}

TEST_CASE("more messages than the capacity are refused") {
  CHECK(judge({thread().push(1, 2, {0}).push(3, 4, {1})}, 1) == fifo_fault::overflow);
  CHECK(judge({thread().push(1, 2, {0, 1})}, 1) == fifo_fault::overflow);
  CHECK(judge({thread().push(1, 2, {0}).push(3, 5, {1}), thread().pop(4, 6, {0})}, 1) == fifo_fault::none);
}

namespace {

namespace wgl = support::wgl;

/// Makes histories of random calls with random intervals, of a queue that keeps its contract or, now
/// and then, breaks it in one place.
class random_histories {
 public:
  struct shape {
    std::size_t pushers, poppers, calls, most_in_bulk, capacity;
    bool refusals;
  };

  explicit random_histories(std::uint32_t seed) : random_(seed) {}

  history make(const shape& s) {
    struct draft {
      std::size_t thread;
      bool is_push;
      std::uint64_t began, ended, effect;
      std::size_t asked;
      std::vector<std::uint32_t> values;
    };
    std::vector<draft> calls;
    for (std::size_t thread = 0; thread < s.pushers + s.poppers; ++thread) {
      std::uint64_t time = below(10);
      for (std::size_t i = 0; i < s.calls; ++i) {
        draft d{thread, thread < s.pushers, time + below(10), 0, 0, 1 + below(s.most_in_bulk), {}};
        d.effect = d.began + below(12);
        d.ended = d.effect + below(12);
        time = d.ended + 1;
        calls.push_back(d);
      }
    }
    std::sort(calls.begin(), calls.end(), [](const draft& a, const draft& b) { return a.effect < b.effect; });

    std::deque<std::uint32_t> queue;
    std::uint32_t next = 0;
    std::vector<std::uint32_t*> popped;
    for (draft& d : calls) {
      const std::size_t room = s.capacity == 0 ? d.asked : s.capacity - queue.size();
      const std::size_t count = std::min(d.asked, d.is_push ? room : queue.size());
      for (std::size_t i = 0; i < count; ++i) {
        if (d.is_push) {
          queue.push_back(next);
          d.values.push_back(next++);
        } else {
          d.values.push_back(queue.front());
          queue.pop_front();
        }
      }
      if (!d.is_push) {
        for (auto& value : d.values) popped.push_back(&value);
      }
    }
    if (popped.size() > 1 && below(2) == 0) {
      const std::size_t at = below(popped.size() - 1);
      std::swap(*popped[at], *popped[at + 1 + below(std::min<std::size_t>(2, popped.size() - at - 1))]);
    }
    if (below(2) == 0) {  // a call is refused that should not be
      draft& victim = calls[below(calls.size())];
      if (!victim.is_push) victim.values.clear();
    }

    std::sort(calls.begin(), calls.end(), [](const draft& a, const draft& b) { return a.began < b.began; });
    history h(s.pushers + s.poppers, history_log(0, 0));
    for (const draft& d : calls) {
      if (d.values.empty() && !s.refusals) continue;
      h[d.thread].add(d.is_push ? recorded::push : recorded::pop, d.began, d.ended, d.values.data(),
                      d.values.size(), s.refusals ? d.asked : d.values.size());
    }
    return h;
  }

 private:
  std::size_t below(std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random_); }
  std::mt19937 random_;
};

wgl::history as_calls(const history& logs) {
  wgl::history calls;
  for (const history_log& log : logs) {
    for (const recorded& r : log.calls()) {
      const auto what = r.what == recorded::push ? wgl::kind::push : wgl::kind::pop;
      for (std::uint32_t i = 0; i < r.count; ++i) {
        calls.push_back({r.began, r.ended, what, wgl::answer::ok, i != 0, log.values_of(r)[i]});
      }
      if (r.refused) calls.push_back({r.began, r.ended, what, wgl::answer::refused, r.count != 0});
    }
  }
  return calls;
}

struct comparison {
  int good = 0;         // accepted by both
  int bad = 0;          // refused by both
  int lenient = 0;      // refused by wgl only
  int false_alarm = 0;  // refused by fifo_checker only
};

comparison compare(const random_histories::shape& shape) {
  comparison result;
  random_histories random(1);
  support::fifo_checker fast;
  wgl::checker exact;
  for (int i = 0; i < 3000; ++i) {
    const history h = random.make(shape);
    const bool accepted = fast.check(h, shape.capacity).fault == fifo_fault::none;
    const bool right = exact.check(as_calls(h), shape.capacity);
    ++(accepted ? (right ? result.good : result.lenient) : (right ? result.false_alarm : result.bad));
  }
  return result;
}

}  // namespace

TEST_CASE("both checkers agree on what succeeded") {
  for (const std::size_t most_in_bulk : {1u, 2u}) {
    const comparison c = compare({2, 2, 4, most_in_bulk, 0, false});
    CHECK(c.false_alarm == 0);
    CHECK(c.lenient == 0);
    CHECK(c.good > 500);
    CHECK(c.bad > 200);
  }
}

TEST_CASE("both checkers agree on empty where there is one producer") {
  const comparison c = compare({1, 2, 5, 1, 0, true});
  CHECK(c.false_alarm == 0);
  CHECK(c.lenient == 0);
  CHECK(c.good > 500);
  CHECK(c.bad > 200);
}

TEST_CASE("the fast checker raises no false alarm, and misses little") {
  for (const std::size_t capacity : {0u, 1u, 2u, 3u}) {
    for (const std::size_t most_in_bulk : {1u, 2u}) {
      CAPTURE(capacity, most_in_bulk);
      const comparison c = compare({2, 2, 4, most_in_bulk, capacity, true});
      CHECK(c.false_alarm == 0);
      CHECK(c.good > 500);
      CHECK(c.bad > 20 * c.lenient);
    }
  }
}
