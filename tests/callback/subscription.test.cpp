// SPDX-License-Identifier: BSL-1.0
#include <millrace/callback/subscription.hpp>

#include <functional>
#include <memory>
#include <utility>

#include "support/catch.hpp"

namespace {

class fake_state final : public millrace::detail::subscription_state {
 public:
  int disconnects = 0;
  int waits = 0;

  void disconnect() noexcept override { ++disconnects; }
  void wait() noexcept override { ++waits; }

  void call(const std::function<void()>& f) {
    const inside here(*this);
    f();
  }
};

}  // namespace

TEST_CASE("a subscription disconnects and waits when it goes") {
  auto state = std::make_shared<fake_state>();
  {
    millrace::subscription s(state);
    millrace::subscription moved(std::move(s));
    CHECK(state->disconnects == 0);
  }
  CHECK(state->disconnects == 1);
  CHECK(state->waits == 1);
}

TEST_CASE("disconnecting alone does not wait") {
  auto state = std::make_shared<fake_state>();
  millrace::subscription s(state);
  s.disconnect();
  CHECK(state->disconnects == 1);
  CHECK(state->waits == 0);
}

TEST_CASE("assigning a subscription ends the one that it was") {
  auto first = std::make_shared<fake_state>();
  auto second = std::make_shared<fake_state>();
  millrace::subscription s(first);
  s = millrace::subscription(second);
  CHECK(first->waits == 1);
  CHECK(second->disconnects == 0);
}

TEST_CASE("an empty subscription has nothing to wait for") {
  millrace::subscription s;
  s.disconnect();
  CHECK(s.disconnect_and_wait());
}

TEST_CASE("a thread knows which callbacks it is inside of") {
  auto outer = std::make_shared<fake_state>();
  auto inner = std::make_shared<fake_state>();
  millrace::subscription s(outer);
  outer->call([&] {
    inner->call([&] {
      CHECK(outer->is_inside());
      CHECK(inner->is_inside());
      CHECK_FALSE(s.disconnect_and_wait());
    });
    CHECK_FALSE(inner->is_inside());
  });
  CHECK_FALSE(outer->is_inside());
  CHECK(outer->waits == 0);
}
