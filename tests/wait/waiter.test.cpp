// SPDX-License-Identifier: BSL-1.0
#include <millrace/wait/waiter.hpp>

#include <vector>

#include <millrace/detail/atomic.hpp>

#include "support/catch.hpp"
#include "support/manual_executor.hpp"

namespace {

using traits = millrace::default_traits;
using waiter = millrace::detail::waiter<traits>;
using waiter_list = millrace::detail::waiter_list<traits>;

struct counting_waiter : waiter {
  int woken = 0;
  counting_waiter() noexcept {
    contest = nullptr;
    run = [](millrace::work_item* self) noexcept { ++static_cast<counting_waiter*>(self)->woken; };
  }
};

}  // namespace

TEST_CASE("waiters are served in the order in which they came") {
  counting_waiter w[3];
  waiter_list list;
  CHECK(list.empty());
  for (auto& one : w) list.push_back(one);
  for (auto& one : w) CHECK(list.take() == &one);
  CHECK(list.empty());
}

TEST_CASE("a waiter is listed until it is taken from its list") {
  counting_waiter w[3];
  waiter_list list;
  CHECK_FALSE(w[0].is_listed());
  for (auto& one : w) list.push_back(one);
  CHECK(w[1].is_listed());
  list.remove(w[1]);
  CHECK_FALSE(w[1].is_listed());
  CHECK(w[0].is_listed());
  CHECK(list.take() == &w[0]);
  CHECK_FALSE(w[0].is_listed());
  list.push_back(w[1]);
  CHECK(w[1].is_listed());
  CHECK(list.take() == &w[2]);
  CHECK(list.take() == &w[1]);
  CHECK(list.empty());
}

TEST_CASE("a waiter with a home is woken there") {
  support::manual_executor home;
  counting_waiter w;
  w.home = home;
  millrace::detail::wake(w);
  CHECK(w.woken == 0);
  CHECK(home.run_one());
  CHECK(w.woken == 1);
  CHECK_FALSE(home.run_one());
}

TEST_CASE("a waiter without a home is woken by the thread that wakes it") {
  counting_waiter w;
  millrace::detail::wake(w);
  CHECK(w.woken == 1);
}
