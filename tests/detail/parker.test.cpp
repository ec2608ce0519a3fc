// SPDX-License-Identifier: BSL-1.0
#include <millrace/detail/parker.hpp>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <thread>

#include "support/catch.hpp"

using millrace::detail::parker;

TEST_CASE("a wake-up before the sleep is remembered, once") {
  parker p;
  p.unpark();
  p.unpark();
  p.park();  // does not sleep
  std::promise<void> end;
  std::thread sleeper([&] {
    p.park();  // sleeps: the second wake-up was one too many
    end.set_value();
  });
  const auto early = end.get_future().wait_for(std::chrono::milliseconds(20));
  p.unpark();
  sleeper.join();
  CHECK(early == std::future_status::timeout);
}

TEST_CASE("what precedes the wake-up is there when the sleeper returns") {
  constexpr int turns = 20000;
  parker ping;
  parker pong;
  int count = 0;  // handed to and fro by the parkers alone
  std::thread other([&] {
    for (int i = 0; i < turns; ++i) {
      ping.park();
      ++count;
      pong.unpark();
    }
  });
  int wrong = 0;
  for (int i = 0; i < turns; ++i) {
    ++count;
    ping.unpark();
    pong.park();
    if (count != 2 * (i + 1)) ++wrong;
  }
  other.join();
  CHECK(wrong == 0);
  CHECK(count == 2 * turns);
}

TEST_CASE("the sleeper may destroy the parker as soon as it is awake") {
  constexpr int turns = 20000;
  std::atomic<parker*> shared{nullptr};
  std::thread waker([&] {
    for (int i = 0; i < turns; ++i) {
      parker* p = nullptr;
      while ((p = shared.exchange(nullptr)) == nullptr) std::this_thread::yield();
      p->unpark();
    }
  });
  for (int i = 0; i < turns; ++i) {
    auto mine = std::make_unique<parker>();
    shared.store(mine.get());
    mine->park();
  }
  waker.join();
  CHECK(shared.load() == nullptr);
}

namespace {

using clock_type = std::chrono::steady_clock;
using namespace std::chrono_literals;

}  // namespace

TEST_CASE("a sleep with a deadline ends with it, and not before") {
  parker p;
  for (const auto past : {clock_type::time_point::min(), clock_type::time_point(), clock_type::now()}) {
    CHECK_FALSE(p.park_until(past));
  }
  const auto soon = clock_type::now() + 3ms;
  CHECK_FALSE(p.park_until(soon));
  CHECK(clock_type::now() >= soon);
}

TEST_CASE("a wake-up counts although the deadline has passed, and is kept where it comes after that") {
  parker p;
  p.unpark();
  CHECK(p.park_until(clock_type::time_point()));
  CHECK_FALSE(p.park_until(clock_type::time_point()));
  p.unpark();
  CHECK(p.park_until(clock_type::now() + 1h));
  CHECK_FALSE(p.park_until(clock_type::time_point()));
  p.unpark();
  p.park();
  CHECK_FALSE(p.park_until(clock_type::now()));
}

TEST_CASE("a sleeper with a deadline is woken before it") {
  for (const auto deadline : {clock_type::now() + 1h, clock_type::time_point::max()}) {
    constexpr int turns = 5000;
    parker ping;
    parker pong;
    int count = 0;  // handed to and fro by the parkers alone
    int late = 0;
    std::thread other([&] {
      for (int i = 0; i < turns; ++i) {
        if (!ping.park_until(deadline)) ++late;
        ++count;
        pong.unpark();
      }
    });
    int wrong = 0;
    for (int i = 0; i < turns; ++i) {
      ++count;
      ping.unpark();
      if (!pong.park_until(deadline)) ++wrong;
      if (count != 2 * (i + 1)) ++wrong;
    }
    other.join();
    CHECK(wrong == 0);
    CHECK(late == 0);
  }
}

TEST_CASE("each wake-up is used once, however near to the deadline it comes") {
  constexpr int turns = 3000;
  parker p;
  parker told;
  std::thread waker([&] {
    for (int i = 0; i < turns; ++i) {
      p.unpark();
      told.park();
    }
  });
  int woken = 0;
  int passed = 0;
  while (woken < turns) {
    if (p.park_until(clock_type::now() + std::chrono::microseconds(passed % 8))) {
      ++woken;
      told.unpark();
    } else {
      ++passed;
    }
  }
  waker.join();
  CHECK(woken == turns);
  CHECK_FALSE(p.park_until(clock_type::now()));
}
