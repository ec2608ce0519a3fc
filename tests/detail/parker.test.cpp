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
