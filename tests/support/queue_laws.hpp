// SPDX-License-Identifier: BSL-1.0
#pragma once

// What every bounded queue keeps, whatever its capacity and its message type.

#include <cstddef>
#include <deque>
#include <exception>
#include <iterator>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include <millrace/queue/pop_result.hpp>
#include <millrace/queue/push_result.hpp>
#include <millrace/task/scope.hpp>
#include <millrace/task/sync_wait.hpp>
#include <millrace/task/task.hpp>
#include <millrace/wait/op_status.hpp>

#include "support/catch.hpp"
#include "support/messages.hpp"

namespace laws {

using messages::make;
using messages::number;
using millrace::op_status;

template <class Queue>
using value_t = typename Queue::value_type;

/// Pushes 0, 1, ... until the queue is full.
template <class Queue>
void fill(Queue& q) {
  for (std::size_t i = 0; i < q.capacity(); ++i) {
    REQUIRE(q.try_push(make<value_t<Queue>>(static_cast<int>(i))) == op_status::ok);
  }
}

template <class Queue>
millrace::task<> pop_into(Queue& q, std::vector<int>& out, int& ended) {
  while (auto m = co_await q.pop()) out.push_back(number(*m));
  ++ended;
}

/// Pops once; -1 for no message.
template <class Queue>
millrace::task<> pop_one(Queue& q, std::vector<int>& out) {
  auto m = co_await q.pop();
  out.push_back(m ? number(*m) : -1);
}

template <class Queue>
millrace::task<> push_one(Queue& q, int n, std::vector<int>& entered, std::vector<int>& returned) {
  auto message = make<value_t<Queue>>(n);
  auto result = co_await q.push(std::move(message));
  (result ? entered : returned).push_back(result ? n : number(result.value()));
}

template <class Queue>
millrace::task<> note_drained(Queue& q, int& ended) {
  const op_status status = co_await q.drained();
  if (status == op_status::ok) ++ended;
}

template <class Queue>
void holds_exactly_its_capacity(std::size_t capacity) {
  Queue q(capacity);
  CHECK(q.capacity() == capacity);
  for (int lap = 0; lap < 3; ++lap) {
    for (std::size_t i = 0; i < capacity; ++i) {
      CHECK(q.size_approx() == i);
      CHECK(q.try_push(make<value_t<Queue>>(static_cast<int>(i))) == op_status::ok);
    }
    auto rejected = make<value_t<Queue>>(99);
    CHECK(q.try_push(std::move(rejected)) == op_status::full);
    CHECK(number(rejected) == 99);  // untouched
    for (std::size_t i = 0; i < capacity; ++i) {
      auto m = q.try_pop();
      REQUIRE(m);
      CHECK(number(*m) == static_cast<int>(i));
    }
    CHECK(q.try_pop().status() == op_status::empty);
  }
}

template <class Queue>
void is_fifo_over_many_laps(std::size_t capacity) {
  Queue q(capacity);
  std::deque<int> model;
  int next = 0;
  unsigned random = 1;
  for (int turn = 0; turn < 5000; ++turn) {
    random = random * 1103515245u + 12345u;
    if ((random >> 16) % 2 != 0) {
      const bool room = model.size() < capacity;
      const op_status status = q.try_push(make<value_t<Queue>>(next));
      REQUIRE(status == (room ? op_status::ok : op_status::full));
      if (room) model.push_back(next++);
    } else {
      auto m = q.try_pop();
      REQUIRE(static_cast<bool>(m) == !model.empty());
      if (m) {
        REQUIRE(number(*m) == model.front());
        model.pop_front();
      }
    }
    REQUIRE(q.size_approx() == model.size());
  }
}

/// Pops that came first are served first, each by a push that finds it waiting.
template <class Queue>
void serves_waiting_pops_in_order(std::size_t capacity) {
  Queue q(capacity);
  millrace::scope work;
  std::vector<int> got[3];
  for (auto& one : got) work.spawn(pop_one(q, one));
  for (int n = 0; n < 3; ++n) {
    CHECK(q.try_push(make<value_t<Queue>>(n)) == op_status::ok);
    CHECK(q.size_approx() == 0);  // handed over
  }
  work.join().wait();
  for (int n = 0; n < 3; ++n) CHECK(got[n] == std::vector<int>{n});
}

/// Pushes that came first are served first, and newcomers do not overtake them.
template <class Queue>
void serves_waiting_pushes_in_order(std::size_t capacity) {
  Queue q(capacity);
  const int full = static_cast<int>(capacity);
  fill(q);
  millrace::scope work;
  std::vector<int> entered;
  std::vector<int> returned;
  for (int n = full; n < full + 3; ++n) work.spawn(push_one(q, n, entered, returned));
  CHECK(entered.empty());
  for (int n = 0; n < full + 3; ++n) {
    auto m = q.try_pop();
    REQUIRE(m);
    CHECK(number(*m) == n);
    if (n < 2) CHECK(q.try_push(make<value_t<Queue>>(-5)) == op_status::full);
  }
  work.join().wait();
  CHECK(entered == std::vector<int>{full, full + 1, full + 2});
  CHECK(returned.empty());
}

template <class Queue>
void close_keeps_what_is_buffered(std::size_t capacity) {
  Queue q(capacity);
  fill(q);
  CHECK_FALSE(q.is_closed());
  CHECK(q.close());
  CHECK_FALSE(q.close());
  CHECK(q.is_closed());
  auto late = make<value_t<Queue>>(77);
  CHECK(q.try_push(std::move(late)) == op_status::closed);
  CHECK(number(late) == 77);
  auto refused = q.push(make<value_t<Queue>>(78)).wait();
  CHECK(refused.status() == op_status::closed);
  REQUIRE(refused.returned());
  CHECK(number(refused.value()) == 78);
  for (std::size_t i = 0; i < capacity; ++i) {
    auto m = q.pop().wait();
    REQUIRE(m);
    CHECK(number(*m) == static_cast<int>(i));
  }
  CHECK(q.try_pop().status() == op_status::closed);
  CHECK(q.pop().wait().status() == op_status::closed);
}

template <class Queue>
void close_wakes_waiting_pops(std::size_t capacity) {
  Queue q(capacity);
  millrace::scope work;
  std::vector<int> out;
  int ended = 0;
  for (int i = 0; i < 3; ++i) work.spawn(pop_into(q, out, ended));
  CHECK(q.close());
  work.join().wait();
  CHECK(ended == 3);
  CHECK(out.empty());
}

template <class Queue>
void close_hands_waiting_pushes_their_messages_back(std::size_t capacity) {
  Queue q(capacity);
  fill(q);
  millrace::scope work;
  std::vector<int> entered;
  std::vector<int> returned;
  for (int n = 0; n < 3; ++n) work.spawn(push_one(q, 100 + n, entered, returned));
  CHECK(q.close());
  work.join().wait();
  CHECK(entered.empty());
  CHECK(returned == std::vector<int>{100, 101, 102});
  CHECK(q.size_approx() == capacity);
}

template <class Queue>
void close_and_drain_returns_the_rest(std::size_t capacity) {
  Queue q(capacity);
  const int full = static_cast<int>(capacity);
  fill(q);
  millrace::scope work;
  std::vector<int> entered;
  std::vector<int> returned;
  int drained = 0;
  work.spawn(push_one(q, 100, entered, returned));
  work.spawn(note_drained(q, drained));
  std::vector<value_t<Queue>> rest;
  CHECK(q.close_and_drain(std::back_inserter(rest)) == capacity);
  work.join().wait();
  REQUIRE(rest.size() == capacity);
  for (int n = 0; n < full; ++n) CHECK(number(rest[static_cast<std::size_t>(n)]) == n);
  CHECK(returned == std::vector<int>{100});
  CHECK(drained == 1);
}

template <class Queue>
void drained_ends_with_the_last_message(std::size_t capacity) {
  Queue q(capacity);
  REQUIRE(q.try_push(make<value_t<Queue>>(1)) == op_status::ok);
  millrace::scope work;
  int before_close = 0;
  int after_close = 0;
  int after_all = 0;
  work.spawn(note_drained(q, before_close));
  q.close();
  work.spawn(note_drained(q, after_close));
  CHECK(before_close + after_close == 0);
  CHECK(q.try_pop());
  CHECK(before_close + after_close == 2);
  work.spawn(note_drained(q, after_all));
  CHECK(after_all == 1);
  work.join().wait();
}

template <class Queue>
void tells_why_it_was_closed(std::size_t capacity) {
  Queue q(capacity);
  CHECK(q.close_reason() == nullptr);
  CHECK(q.close(std::make_exception_ptr(std::runtime_error("feed lost"))));
  CHECK_FALSE(q.close(std::make_exception_ptr(std::runtime_error("too late"))));
  REQUIRE(q.close_reason() != nullptr);
  CHECK_THROWS_WITH(std::rethrow_exception(q.close_reason()), "feed lost");
}


template <class Queue>
void threads_wait_for_each_other(std::size_t capacity) {
  Queue q(capacity);
  constexpr int n = 2000;
  std::vector<int> got;
  std::thread consumer([&] {
    while (auto m = q.pop().wait()) got.push_back(number(*m));
  });
  int refused = 0;
  for (int i = 0; i < n; ++i) {
    if (auto result = q.push(make<value_t<Queue>>(i)).wait(); !result) ++refused;
  }
  q.close();
  consumer.join();
  CHECK(refused == 0);
  REQUIRE(got.size() == n);
  for (int i = 0; i < n; ++i) CHECK(got[static_cast<std::size_t>(i)] == i);
}

template <class Queue>
void the_destructor_ends_who_waits(std::size_t capacity) {
  std::vector<int> out;
  std::vector<int> entered;
  std::vector<int> returned;
  millrace::scope work;
  int ended = 0;
  {
    Queue empty(capacity);
    Queue full(capacity);
    fill(full);
    work.spawn(pop_into(empty, out, ended));
    work.spawn(push_one(full, 100, entered, returned));
  }
  work.join().wait();
  CHECK(ended == 1);
  CHECK(returned == std::vector<int>{100});
}

template <class Queue>
void all_hold() {
  const std::size_t capacity = GENERATE(1u, 2u, 3u, 4u, 64u);
  CAPTURE(capacity);
  holds_exactly_its_capacity<Queue>(capacity);
  is_fifo_over_many_laps<Queue>(capacity);
  serves_waiting_pops_in_order<Queue>(capacity);
  serves_waiting_pushes_in_order<Queue>(capacity);
  close_keeps_what_is_buffered<Queue>(capacity);
  close_wakes_waiting_pops<Queue>(capacity);
  close_hands_waiting_pushes_their_messages_back<Queue>(capacity);
  close_and_drain_returns_the_rest<Queue>(capacity);
  drained_ends_with_the_last_message<Queue>(capacity);
  tells_why_it_was_closed<Queue>(capacity);
  threads_wait_for_each_other<Queue>(capacity);
  the_destructor_ends_who_waits<Queue>(capacity);
}

}  // namespace laws
