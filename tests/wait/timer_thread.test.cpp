// SPDX-License-Identifier: BSL-1.0
#include <millrace/wait/timer_thread.hpp>

#include <chrono>
#include <cstddef>
#include <future>
#include <new>
#include <thread>
#include <utility>
#include <vector>

#include <millrace/detail/atomic.hpp>
#include <millrace/wait/trampoline.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/here.hpp"

namespace {

using millrace::timer_node;
using millrace::timer_service;
using millrace::timer_thread;
using clock_type = timer_node::clock;
using namespace std::chrono_literals;

/// A timer that calls a function.
template <class F>
struct calls : timer_node {
  F f;
  calls(clock_type::time_point when, F function) : f(std::move(function)) {
    deadline = when;
    fire = [](timer_node* self) noexcept { static_cast<calls*>(self)->f(); };
  }
};

}  // namespace

TEST_CASE("there is one timer thread, and it fires what is due") {
  timer_service& timers = timer_thread::get();
  CHECK(&timers == &timer_thread::get());
  for (const auto delay : {-1h, 0h}) {
    std::promise<std::thread::id> fired;
    calls timer(clock_type::now() + delay, [&] { fired.set_value(std::this_thread::get_id()); });
    timers.add(timer);
    CHECK(fired.get_future().get() != std::this_thread::get_id());
    timers.remove(timer);
  }
}

TEST_CASE("a timer is fired after its deadline, whatever the thread sleeps for") {
  timer_service& timers = timer_thread::get();
  calls hour(clock_type::now() + 1h, [] {});
  timers.add(hour);
  for (int i = 0; i < 20; ++i) {
    std::promise<clock_type::time_point> fired;
    calls timer(clock_type::now() + std::chrono::microseconds(100 * i),
                [&] { fired.set_value(clock_type::now()); });
    timers.add(timer);
    CHECK(fired.get_future().get() >= timer.deadline);
    timers.remove(timer);
  }
  timers.remove(hour);
}

TEST_CASE("what many threads add is fired once, or removed before") {
  struct counted : timer_node {
    int fired = 0;  // handed over by the removal alone
    counted() {
      fire = [](timer_node* self) noexcept { ++static_cast<counted*>(self)->fired; };
    }
  };
  timer_service& timers = timer_thread::get();
  std::vector<std::thread> threads;
  int wrong[3] = {};
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&timers, &bad = wrong[t]] {
      for (int i = 0; i < 500; ++i) {
        counted timer;
        timer.deadline = clock_type::now() + std::chrono::microseconds(i % 50 - 10);
        timers.add(timer);
        if (i % 2 == 0) std::this_thread::yield();
        timers.remove(timer);
        if (timer.fired > 1) ++bad;
      }
    });
  }
  for (auto& t : threads) t.join();
  CHECK(wrong[0] + wrong[1] + wrong[2] == 0);
}

TEST_CASE("the timer thread runs no executor's work; what has no executor runs there after the timers") {
  using trampoline = millrace::detail::trampoline<millrace::default_traits>;
  struct late : millrace::work_item {
    std::promise<bool> ran;
    bool timers_over = false;
    late() {
      run = [](work_item* self) noexcept {
        auto* const me = static_cast<late*>(self);
        me->ran.set_value(me->timers_over && trampoline::active() && !support::here());
      };
    }
  } item;
  timer_service& timers = timer_thread::get();
  calls timer(clock_type::now(), [&] {
    trampoline::dispatch(item, {});
    item.timers_over = true;
  });
  timers.add(timer);
  CHECK(item.ran.get_future().get());
  timers.remove(timer);
}

TEST_CASE("a timer thread that cannot be started throws, and starts when it is asked for again") {
  if (!support::counts_allocations) return;
  struct own_traits : millrace::default_traits {};
  using own_thread = millrace::basic_timer_thread<own_traits>;
  for (const std::size_t k : {0u, 1u}) {  // its state, and what std::thread needs
    const support::failing_allocations later(k);
    CHECK_THROWS_AS(own_thread::get(), std::bad_alloc);
  }
  std::promise<void> fired;
  calls timer(clock_type::now(), [&] { fired.set_value(); });
  own_thread::get().add(timer);
  fired.get_future().wait();
  own_thread::get().remove(timer);
}
